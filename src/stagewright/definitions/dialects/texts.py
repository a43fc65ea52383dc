"""Texts of other dialects: `${{` means nothing there, and `{{nodes.scan.output.a}}` is a reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagewright.definitions.references import STAGE_FIELDS
from stagewright.definitions.scan import OPENING
from stagewright.definitions.words import did_you_mean, listed, pointer, shown
from stagewright.model.errors import Problem

_LITERAL_OPENING = '${{ "${{" }}'
_FIELDS = tuple(name for name in STAGE_FIELDS if name != "outputs")
_STEP = re.compile(r"\.([^\s{}.\[\]'\"\\]+)|\[([0-9]{1,9})\]|\['([^'\\{}]+)'\]|\[\"([^\"\\{}]+)\"\]")


@dataclass(frozen=True, slots=True)
class Roots:
    """What references of a dialect begin with, and the ids of stages by the names that they have there."""

    stages: str  # nodes in a workflow, steps in a plan
    parameters: str | None
    ids: Mapping[str, str]


def literal(value: Any) -> Any:
    """Return a JSON value in which every text says exactly what it said, also where it looks like an expression."""
    if isinstance(value, str):
        return value.replace(OPENING, _LITERAL_OPENING) if OPENING in value else value
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


def translated(value: Any, roots: Roots, at: str, problems: list[Problem]) -> Any:
    """Return a JSON value with references as canonical expressions; all other text stays as it is.

    A text that is one reference keeps the type of its value.
    """
    if isinstance(value, str):
        return _text(value, roots, at, problems)
    if isinstance(value, dict):
        return {key: translated(item, roots, pointer(at, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [translated(item, roots, f"{at}/{number}", problems) for number, item in enumerate(value)]
    return value


def _text(text: str, roots: Roots, at: str, problems: list[Problem]) -> str:
    if "{{" not in text:
        return text
    words = "|".join(re.escape(word) for word in (roots.stages, roots.parameters) if word)
    pieces, end = [], 0
    for match in re.finditer(rf"\{{\{{\s*({words})(?![\w-])([^{{}}]*?)\s*\}}\}}", text):
        before = text[end : match.start()]
        found = _reference(match[1], match[2], roots)
        if isinstance(found, Problem):
            problems.append(Problem(f"{found.detail} Found: {shown(match[0])}", at))
            continue
        # A dollar before the braces is text, and must not join the sign that opens an expression.
        pieces += [literal(before), "${{ ", found, " }}"]
        end = match.end()
    return "".join([*pieces, literal(text[end:])])


def _reference(root: str, rest: str, roots: Roots) -> str | Problem:
    if root == roots.parameters:
        keys = _keys(rest)
        return _mistake(f"After {root} comes a path, as in {{{{{root}.name}}}}.") if not keys else "parameters" + keys
    name, what, path = _split(rest)
    if not name:
        return _mistake(f"After {root} comes an id and .output, as in {{{{{root}.scan.output.items}}}}.")
    keys = _keys(path)
    if what not in _FIELDS or keys is None:
        hint = did_you_mean(what, _FIELDS)
        return _mistake(f"After {root}.{name} comes a path that begins with one of {listed(_FIELDS)}{hint}.")
    return f"stages['{roots.ids.get(name, name)}'].{what}{keys}"


def _split(rest: str) -> tuple[str, str, str]:
    """Cut `.scan-node.output.a[0]` into id, field and path; an id may hold dots or stand in brackets."""
    bracket = re.match(r"\[(?:'([^'\\{}]+)'|\"([^\"\\{}]+)\")\]", rest)
    if bracket is not None:
        name, rest = bracket[1] or bracket[2], rest[bracket.end() :]
        match = re.match(r"\.(\w+)(.*)", rest, re.DOTALL)
        return (name, match[1], match[2]) if match else (name, "", "")
    match = re.match(rf"\.([^\s'\"\\\[\]]+?)\.({'|'.join(_FIELDS)})(?![\w-])(.*)", rest, re.DOTALL)
    if match is not None:
        return match[1], match[2], match[3]
    name, _, what = rest.removeprefix(".").partition(".")
    return name, what.split(".")[0].split("[")[0], ""


def _keys(path: str) -> str | None:
    """Write a path canonically; None if it is none. `.0` and `[0]` are both the first item of a list."""
    written, at = "", 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        name = match[1] or match[3] or match[4]
        if match[2] is not None or (match[1] is not None and match[1].isdecimal() and len(match[1]) < 10):
            written += f"[{int(match[2] or match[1])}]"
        elif "'" in name:
            written += f'["{name}"]'
        else:
            written += f"['{name}']"
        at = match.end()
    return written


def _mistake(detail: str) -> Problem:
    return Problem(detail)
