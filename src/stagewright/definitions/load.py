"""Loading pipeline documents: text or value in, checked pipeline out, or all problems at once with their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from stagewright.definitions.build import build, digest_of
from stagewright.definitions.dialects import Translation, translate
from stagewright.definitions.read_json import NotReadable, json_lines, read_json
from stagewright.definitions.values import check_value, copy_value
from stagewright.definitions.words import pointer_keys, printable, shown, type_of
from stagewright.model.errors import InvalidDocument, Malformed, Problem, TooLarge
from stagewright.model.pipeline import Pipeline

DOCUMENT_BYTES_MAX = 10 * 1024 * 1024

LineOf = Callable[[str], int | None]


def load_text(text: str | bytes) -> Pipeline:
    """Load a document of any dialect in YAML 1.2 (core schema) or JSON.

    Errors: TooLarge beyond the bounds, Malformed when it is neither YAML nor JSON, InvalidDocument with every
    problem, each with its pointer and line.
    """
    decoded = _decode(text)
    value, problems, line_of = _read(decoded)
    if isinstance(value, dict):
        problems += check_value(value)
    return _load(value, problems, line_of)


def load_value(value: Mapping[str, Any]) -> Pipeline:
    """Load a document that is already parsed; it is copied. InvalidDocument lists every problem, TooLarge bounds it."""
    copy, problems = copy_value(value)
    if not problems and len(orjson.dumps(copy)) > DOCUMENT_BYTES_MAX:
        raise _too_large(DOCUMENT_BYTES_MAX, "document")
    return _load(copy, problems, lambda _: None)


def _load(value: Any, problems: list[Problem], line_of: LineOf) -> Pipeline:
    if not isinstance(value, dict):
        detail = f"Expected an object with name and stages, found {type_of(value)}: {shown(value)}"
        raise InvalidDocument(detail, (Problem(detail, "#", 1 if value is not None else None),))
    # Poisoned values would be quoted in further messages and in the digest, so they are reported alone.
    pipeline, found = (None, problems) if _is_poisoned(value, problems) else _build(value)
    if found is not problems:
        found = [*problems, *found]
    if pipeline is not None and not found:
        return pipeline
    placed = [_placed(each, line_of) for each in found]
    placed.sort(key=_position)
    more = f" and {len(placed) - 1} more problems" if len(placed) > 1 else ""
    raise InvalidDocument(f"{placed[0].pointer}: {placed[0].detail}{more}", placed)


def _build(value: dict[str, Any]) -> tuple[Pipeline | None, list[Problem]]:
    translation = translate(value)
    return build(value) if translation is None else _build_translated(value, translation)


def _build_translated(value: dict[str, Any], translation: Translation) -> tuple[Pipeline | None, list[Problem]]:
    """Check the canonical form and tell what is wrong where it was written; the snapshot is the original."""
    pipeline, found = build(translation.document) if "stages" in translation.document else (None, [])
    told = list(translation.problems)
    said_of = {problem.pointer for problem in told}
    placed = (Problem(each.detail, translation.place(each.pointer), each.line) for each in found)
    told += [each for each in placed if each.pointer not in said_of]
    if pipeline is None or told:
        return None, [translation.told(each) for each in told]
    stages = pipeline.stages
    if translation.has_all_needs:
        written = (tuple(stage["needs"]) for stage in translation.document["stages"])
        stages = tuple(replace(stage, needs=needs) for stage, needs in zip(stages, written, strict=True))
    return replace(pipeline, stages=stages, document=value, digest=digest_of(value)), []


def _placed(problem: Problem, line_of: LineOf) -> Problem:
    line = problem.line if problem.line is not None else line_of(problem.pointer)
    return Problem(printable(problem.detail), printable(problem.pointer), line)


def _is_poisoned(value: dict[str, Any], problems: list[Problem]) -> bool:
    return bool(problems) and bool(check_value(value))


def _position(problem: Problem) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """Sort as a reader goes: by line where there are lines, else by pointer with numbers as numbers."""
    keys = pointer_keys(problem.pointer)
    numbered = tuple((0, int(key), "") if key.isdecimal() and len(key) < 10 else (1, 0, key) for key in keys)
    return (problem.line or 0, numbered)


def _decode(text: str | bytes) -> str:
    if len(text) > DOCUMENT_BYTES_MAX:
        raise _too_large(DOCUMENT_BYTES_MAX, "document")
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _malformed("The document is not UTF-8; save it as UTF-8.", line) from None


def _read(text: str) -> tuple[Any, list[Problem], LineOf]:
    """Read JSON if it is JSON, else YAML; the latter also takes objects in braces that are no JSON."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value, problems = read_json(text)
        except NotReadable as error:
            if text.lstrip("{[ \t\r\n")[:1] == '"':
                raise _malformed(str(error), error.line) from None
        else:
            return value, problems, _json_line_of(text)
    return _read_yaml(text)


def _json_line_of(text: str) -> LineOf:
    lines: dict[str, int] = {}

    def line_of(place: str) -> int | None:
        if not lines:
            lines.update(json_lines(text))
            lines["#"] = 1
        while place not in lines:
            place = place.rpartition("/")[0]
        return lines[place]

    return line_of


def _read_yaml(text: str) -> tuple[Any, list[Problem], LineOf]:
    # Imported here because JSON documents do not need it and it takes 0.1 s.
    from stagewright.definitions.read_yaml import YAML_BYTES_MAX, YamlReader

    if len(text) > YAML_BYTES_MAX:
        raise _too_large(YAML_BYTES_MAX, "YAML document", "; write large documents as JSON")
    try:
        reader = YamlReader(text)
    except NotReadable as error:
        raise _malformed(str(error), error.line) from None
    return reader.value, reader.problems, lambda place: reader.line_of(pointer_keys(place)) or 1


def _malformed(detail: str, line: int | None) -> Malformed:
    detail = printable(detail)
    where = f"Line {line}: " if line is not None else ""
    return Malformed(where + detail, (Problem(detail, "#", line),))


def _too_large(bytes_max: int, what: str, mend: str = "") -> TooLarge:
    return TooLarge(f"The {what} is larger than {bytes_max} bytes{mend or '; make it smaller'}.")
