"""What a command says and how it exits when it could not do what was asked. Imports only the model."""

from __future__ import annotations

import re
from typing import Any

from stagewright.model import errors
from stagewright.model.errors import StagewrightError

OK = 0
EXECUTION_FAILED = 1
USAGE = 2
UNREACHABLE = 3
NOT_FOUND = 5
CONFLICT = 7
CANCELLED = 8
TIMED_OUT = 9
NOT_VALID = 10
INTERNAL = 70
INTERRUPTED = 130

PROBLEMS_SHOWN_MAX = 50


class NotWritable(errors.Trouble):
    """A file that was to be written here cannot be."""

    code, title = "not_writable", "The file cannot be written"


# The first that fits holds, so that a subclass stands before its parent.
_EXITS: tuple[tuple[type[StagewrightError], int], ...] = (
    (errors.KeyReused, CONFLICT),
    (errors.NotFound, NOT_FOUND),
    (errors.WrongState, CONFLICT),
    (errors.Invalid, NOT_VALID),
    (errors.Malformed, NOT_VALID),
    (errors.TooLarge, NOT_VALID),
    (errors.Stalled, UNREACHABLE),
    (errors.Misconfigured, USAGE),
    (NotWritable, USAGE),
)

# What to do, where the error itself does not end with it.
_MENDS: dict[str, str] = {
    "invalid_document": "Mend the document and check it with: stagewright pipelines validate FILE",
    "unknown_pipeline": "List what there is with: stagewright pipelines list",
    "request_conflict": "Use another --request-id for another request, or repeat the first one unchanged",
    "stalled": "Try again in a few seconds; `stagewright doctor` checks the database",
    "store_trouble": "Check the disk and the folder's rights, then: stagewright doctor",
    "data_lost": "Check what is missing with: stagewright doctor",
    "misconfigured": "Mend the settings; see them with: stagewright config show",
}


def exit_code(error: StagewrightError) -> int:
    """Return the exit code for an error."""
    if error.code == "unreachable":
        return UNREACHABLE
    return next((code for kind, code in _EXITS if isinstance(error, kind)), INTERNAL)


def problem_of(error: StagewrightError) -> dict[str, Any]:
    """Return the problem document (RFC 9457) of an error, the same as the API's."""
    problem: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "errors": [each.as_json() for each in error.problems],
    }
    for note in getattr(error, "__notes__", ()):
        name, _, value = note.partition(": ")
        if name == "trace_id":
            problem["trace_id"] = value
    return problem


# What the API says of its own parts, and what the same is called here.
_WORDS = (
    (re.compile(r"(: list them with| with|:)? (GET|POST) /\S+"), ""),
    (re.compile(r"`from_stage`"), "--from-stage"),
    (re.compile(r"`request_id`"), "--request-id"),
    (re.compile(r"`budget_usd`"), "--budget"),
)


def rephrased(text: str, program: str = "stagewright") -> str:
    """Say with words of the command line what the API says with its own."""
    for word, here in _WORDS:
        text = word.sub(here, text)
    return text if program == "stagewright" else re.sub(r"(: |`)stagewright (?=[a-z])", rf"\1{program} ", text)


def lines_of(error: StagewrightError, program: str = "stagewright") -> list[str]:
    """Say what, why and what to do; one line each, the problems of a document between."""
    return [rephrased(line, program) for line in _lines(error)]


def _lines(error: StagewrightError) -> list[str]:
    lines = [f"Error: {error.title}"]
    listed = [f"  {_place(each)}{each.detail}" for each in error.problems[:PROBLEMS_SHOWN_MAX]]
    if len(error.problems) > PROBLEMS_SHOWN_MAX:
        listed.append(f"  … and {len(error.problems) - PROBLEMS_SHOWN_MAX} more")
    # A list says all that the sentence repeats of its first entry.
    only = len(error.problems) == 1 and error.problems[0].detail in error.detail
    lines += listed if listed and (only or error.code == "invalid_document") else [f"  {error.detail}", *listed]
    mend = _MENDS.get(error.code)
    if error.detail.startswith("There is no execution "):
        mend = "List what there is with: stagewright executions list"
    return [*lines, f"  {mend}"] if mend else lines


def _place(problem: errors.Problem) -> str:
    line = f"line {problem.line}, " if problem.line is not None else ""
    return f"{line}{problem.pointer}: " if problem.pointer else ""
