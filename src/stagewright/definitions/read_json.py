"""Reading JSON text: duplicate keys are found, and lines of values can be looked up afterwards."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from stagewright.definitions.words import pointer
from stagewright.model.errors import Problem

DUPLICATES_MAX = 100  # keys that stand twice in one document; more are not listed

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|\n|[^\s{}\[\]:,"]+', re.DOTALL)


class NotReadable(ValueError):
    """The text is no JSON or YAML; `line` is where that shows."""

    def __init__(self, detail: str, line: int | None) -> None:
        super().__init__(detail)
        self.line = line


def read_json(text: str) -> tuple[Any, list[Problem]]:
    """Parse JSON and list duplicate keys. NotReadable when it is no JSON."""
    has_duplicates = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_duplicates
        members = dict(items)
        has_duplicates = has_duplicates or len(members) < len(items)
        return members

    def constant(name: str) -> NoReturn:
        raise NotReadable(f"JSON has no {name}; write a number or null.", _line_of_constant(text, name))

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise NotReadable(
                f"The number {digits[:40]} is too large; write it as text.", _line_of_constant(text, digits)
            )
        return value

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
    except json.JSONDecodeError as error:
        raise NotReadable(f"The text is no JSON: {error.msg} at column {error.colno}.", error.lineno) from None
    except RecursionError:
        raise NotReadable("The text is nested too deeply; make it flatter.", None) from None
    except NotReadable:
        raise
    except ValueError:  # an integer with thousands of digits
        raise NotReadable("A number has too many digits; write it as text.", None) from None
    return value, _duplicates(text) if has_duplicates else []


def json_lines(text: str) -> dict[str, int]:
    """Map the pointer of every value in a valid JSON text to its line, from 1."""
    lines: dict[str, int] = {}

    def note(place: str, line: int) -> None:
        lines[place] = line  # of two equal keys the later one counts, as in the value

    _visit(text, note)
    return lines


def _duplicates(text: str) -> list[Problem]:
    first: dict[str, int] = {}
    problems: list[Problem] = []

    def note(place: str, line: int) -> None:
        if place not in first:
            first[place] = line
            return
        if len(problems) == DUPLICATES_MAX:
            return
        if problems and place.startswith(problems[-1].pointer + "/"):
            return  # inside the second value of a key: its members are equal in place but not in object
        detail = f"The key stands twice in one object, first in line {first[place]}; keep one."
        problems.append(Problem(detail, place, line))

    _visit(text, note)
    return problems


def _visit(text: str, note: Callable[[str, int], None]) -> None:
    """Call `note(pointer, line)` for every member and item of a valid JSON text, in order."""
    line = 1
    path: list[tuple[str, int | None]] = []  # pointer of the open container, and its next index or None
    waiting = "#"
    key_expected = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
            continue
        if token in "}]":
            path.pop()
        elif token == ",":
            key_expected = path[-1][1] is None
        elif token != ":":
            if key_expected:
                place = pointer(path[-1][0], json.loads(token))
                note(place, line)
                key_expected, waiting = False, place
                continue
            base, number = path[-1] if path else ("#", None)
            if number is not None:
                waiting = pointer(base, number)
                path[-1] = (base, number + 1)
                note(waiting, line)
            if token in "{[":
                path.append((waiting, None if token == "{" else 0))
                key_expected = token == "{"


def _line_of_constant(text: str, name: str) -> int:
    without_strings = _TOKEN.finditer(text)
    at = next((match.start() for match in without_strings if match[0] == name), 0)
    return text.count("\n", 0, at) + 1
