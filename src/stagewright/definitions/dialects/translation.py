"""What all dialects share: the canonical document, where each part of it was written, and the checks of shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from stagewright.definitions.explain import NAME_PATTERN, explain
from stagewright.definitions.words import Key, pointer
from stagewright.model.errors import Problem

SHAPE_PROBLEMS_MAX = 1_001
NAME_CHARACTERS_MAX = 128
ALIKE_MIN = 0.85  # how alike an unknown field is to a known one before it counts as misspelt

PASSED_ON = ("description", "budget_usd")
"""Fields of a canonical document that a document of any dialect may have as well."""

NOBODY = "nobody"
"""Stands for a worker that is not written, so that the rest of a document is checked as well."""

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "object": (dict,), "array": (list,), "integer": (int, float), "null": (),
}  # fmt: skip
_NAME = re.compile(NAME_PATTERN)
_NO_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9_.]+")


@dataclass(slots=True)
class Translation:
    """A canonical document made of another, and what is wrong with that other.

    `places` maps a pointer into the canonical document to the one into the original; a `True` beside it says that
    what lies deeper has the same way there.
    """

    document: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, tuple[str, bool]] = field(default_factory=dict)
    has_all_needs: bool = False  # the written needs cover what references imply
    text_at: str | None = None  # the pointer of a text that holds JSON; nothing can point into it

    def place(self, canonical: str) -> str:
        """Return the pointer into the original for one into the canonical document."""
        end = len(canonical)
        while end > 0:
            known = self.places.get(canonical[:end])
            if known is not None:
                return known[0] + (canonical[end:] if known[1] else "")
            end = canonical.rfind("/", 0, end)
        return "#"

    def told(self, problem: Problem) -> Problem:
        """Return a problem as its reader finds it: one inside a text points to the text and says where in it."""
        inside = self.text_at
        if inside is None or not problem.pointer.startswith(inside + "/"):
            return problem
        where = problem.pointer.removeprefix(inside)
        return Problem(f"In this text, at {where}: {problem.detail}", inside)

    def refuse(self, detail: str, place: str) -> None:
        """Note what is wrong at a place of the original."""
        self.problems.append(Problem(detail, place))


def begin(original: Mapping[str, Any], name_field: str, fallback: str) -> Translation:
    """Start a canonical document: its name, and the fields that every dialect may have."""
    written = original.get(name_field)
    text = written if isinstance(written, str) else ""
    translation = Translation({"name": name_from(text, fallback)}, places={"#/name": (f"#/{name_field}", False)})
    for passed in PASSED_ON:
        if passed in original:
            translation.document[passed] = original[passed]
            translation.places[f"#/{passed}"] = (f"#/{passed}", True)
    if text and text != translation.document["name"]:
        translation.document.setdefault("description", text[:10_000])
    return translation


def name_from(text: str, fallback: str) -> str:
    """Return the text if it is a name, else one made of its letters: `Security scan` becomes `security-scan`.

    A text without any letter that a name can have becomes `fallback-` and the start of its digest.
    """
    if len(text) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(text):
        return text
    made = _NO_NAME_CHARACTERS.sub("-", text.lower()).strip("-.")[:NAME_CHARACTERS_MAX].rstrip("-.")
    if made:
        return made
    return f"{fallback}-{sha256(text.encode()).hexdigest()[:8]}" if text else fallback


def is_name(text: Any) -> bool:
    """Say whether a value can stand as the id of a stage as it is."""
    return isinstance(text, str) and len(text) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(text) is not None


def free_id(wanted: str, taken: Iterable[str]) -> str:
    """Return the id, with `-2`, `-3` and so on behind it where it is taken."""
    used = taken if isinstance(taken, set | dict) else set(taken)
    if wanted not in used:
        return wanted
    number = 2
    while f"{wanted}-{number}" in used:
        number += 1
    return f"{wanted}-{number}"


def check_shape(value: Any, schema: Mapping[str, Any], base: str = "#") -> list[Problem]:
    """List where a value has not the shape of a dialect; at most `SHAPE_PROBLEMS_MAX`."""
    errors = _validator(orjson.dumps(schema)).iter_errors(value)
    found = (problem for error in errors for problem in explain(error, _part(schema, error.instance_path), base))
    return list(islice(found, SHAPE_PROBLEMS_MAX))


def sound(value: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an object that have the type they should have, so that checking can go on with them."""
    kept = {}
    for name, part in schema["properties"].items():
        found = value.get(name) if isinstance(value, Mapping) else None
        kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
        if not isinstance(found, bool) and any(isinstance(found, _KINDS[kind]) for kind in kinds):
            kept[name] = found
    return kept


def misspelt(value: Mapping[str, Any], known: Sequence[str], at: str) -> list[Problem]:
    """List fields that nobody knows but that look like one that is known; others are somebody's own notes."""
    problems = []
    for name in value:
        if name in known or len(name) > NAME_CHARACTERS_MAX:
            continue
        near = next((each for each in known if _alike(name, each)), None)
        if near is not None and near not in value:
            problems.append(Problem(f"There is no field {name} here (did you mean {near}?).", pointer(at, name)))
    return problems


def _alike(found: str, known: str) -> bool:
    a, b = (text.replace("_", "").replace("-", "").lower() for text in (found, known))
    return SequenceMatcher(None, a, b).ratio() >= ALIKE_MIN


@lru_cache(maxsize=16)
def _validator(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(orjson.loads(schema), offline=True)


def _part(schema: Mapping[str, Any], path: Sequence[Key]) -> Mapping[str, Any]:
    part: Any = schema
    for key in path:
        part = part.get("items", {}) if isinstance(key, int) else part.get("properties", {}).get(key, {})
    return part if isinstance(part, Mapping) else {}
