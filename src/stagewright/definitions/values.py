"""What counts as a JSON value here: no NUL, no lone surrogate, 64-bit integers, finite numbers, bounded depth."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from stagewright.definitions.words import Key, pointer
from stagewright.model.errors import Problem

DEPTH_MAX = 64
NODES_MAX = 2_000_000
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_SUSPICIOUS = re.compile(rb"\\u0000|\d{19}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_value(value: Any, base: str = "#") -> list[Problem]:
    """List what keeps a value that a JSON parser made from being stored; empty when it is fine.

    One C pass decides; only when it sees something suspicious the slow walk names the places.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return copy_value(value, base)[1]
    if _SUSPICIOUS.search(text) is None:
        return []
    return copy_value(value, base)[1]


def copy_value(value: Any, base: str = "#") -> tuple[Any, list[Problem]]:
    """Copy any Python value into plain JSON types (tuples become lists) and list what is no JSON."""
    walk = _Walk()
    copy = walk.copy(value, base, (), 0)
    return copy, walk.problems


class _Walk:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.nodes = 0

    def refuse(self, detail: str, base: str, keys: tuple[Key, ...]) -> None:
        self.problems.append(Problem(detail, pointer(base, *keys)))

    def copy(self, value: Any, base: str, keys: tuple[Key, ...], depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            if self.nodes == NODES_MAX + 1:
                self.refuse(f"There are more than {NODES_MAX} values here; make the document smaller.", base, ())
            return None
        kind = type(value)
        if kind is str or isinstance(value, str):
            self.check_text(value, base, keys)
            return value
        if value is None or kind is bool:
            return value
        if kind is int:
            if not INT_MIN <= value <= INT_MAX:
                self.refuse("An integer beyond 64 bits cannot be stored exactly; write it as text.", base, keys)
            return value
        if kind is float:
            if not math.isfinite(value):
                self.refuse("Expected a number, found infinity or not-a-number, which JSON lacks.", base, keys)
            return value
        return self.copy_container(value, base, keys, depth)

    def copy_container(self, value: Any, base: str, keys: tuple[Key, ...], depth: int) -> Any:
        if depth >= DEPTH_MAX:
            self.refuse(f"The nesting is deeper than {DEPTH_MAX}; make it flatter.", base, keys)
            return None
        if isinstance(value, Mapping):
            members: dict[str, Any] = {}
            for key, item in value.items():
                name = self.check_key(key, base, keys)
                members[name] = self.copy(item, base, (*keys, name), depth + 1)
            return members
        if isinstance(value, list | tuple):
            return [self.copy(item, base, (*keys, number), depth + 1) for number, item in enumerate(value)]
        self.refuse(f"Expected a JSON value, found a Python {type(value).__name__}.", base, keys)
        return None

    def check_text(self, text: str, base: str, keys: tuple[Key, ...]) -> None:
        if "\x00" in text:
            self.refuse("The text holds a NUL character, which cannot be stored; remove it.", base, keys)
        if _SURROGATE.search(text):
            self.refuse("The text holds half a surrogate pair, which is no character; remove it.", base, keys)

    def check_key(self, key: Any, base: str, keys: tuple[Key, ...]) -> str:
        if not isinstance(key, str):
            self.refuse(f"Expected text as key, found {key!r:.40}; put it in quotes.", base, keys)
            return str(key)
        if "\x00" in key or _SURROGATE.search(key):
            self.refuse("A key holds a NUL character or half a surrogate pair; remove it.", base, keys)
            return ascii(key)
        return key
