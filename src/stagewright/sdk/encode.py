"""JSON of what a handler returned, or where in it the first thing stands that is no JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

DEPTH_MAX = 254  # levels of nesting; the encoder's own bound
PATH_CHARS_MAX = 200
_SHOWN_CHARS_MAX = 40
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1

# Dates have many spellings, so the author chooses one instead of the encoder.
_NUL = b"\\u0000"  # how the encoder writes the one character that databases do not keep in text
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


class NotJson(ValueError):
    """A value is no JSON; `path` is where, as `$.items[3].when`, and `problem` what stands there."""

    def __init__(self, path: str, problem: str) -> None:
        if len(path) > PATH_CHARS_MAX:
            path = f"{path[: PATH_CHARS_MAX // 2]}…{path[-PATH_CHARS_MAX // 2 :]}"
        super().__init__(f"{path} {problem}")
        self.path, self.problem = path, problem


def encode_json(value: Any, root: str = "$") -> bytes:
    """Return the value as JSON; dataclasses and Pydantic models become objects. `NotJson` names what cannot."""
    try:
        encoded = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        found = _find(value, root)
        raise found or NotJson(root, f"cannot be written as JSON: {error}") from error
    if _NUL in encoded and (found := _find(orjson.loads(encoded), root)) is not None:
        raise found
    return encoded


def _plain(value: Any) -> Any:
    """Turn a Pydantic model into what it writes as JSON; known by its method, as Pydantic is slow to import."""
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        raise TypeError(type(value).__name__)
    return dump(value, mode="json")


def _find(value: Any, root: str) -> NotJson | None:
    """Return the first thing that is no JSON, depth first; with a stack of its own, as values may be deep."""
    above = [iter([(root, value)])]
    while above:
        entry = next(above[-1], None)
        if entry is None:
            above.pop()
            continue
        path, item = entry
        if len(above) > DEPTH_MAX:
            return NotJson(path, f"is nested deeper than {DEPTH_MAX} levels, or contains itself")
        problem = _find_in_keys(item, path) if isinstance(item, dict) else None
        inner = _inner(item, path)
        if inner is None:
            problem = _find_in_leaf(item, path)
        else:
            above.append(inner)
        if problem is not None:
            return problem
    return None


def _inner(value: Any, path: str) -> Iterator[tuple[str, Any]] | None:
    """Return what a container holds, by path; None for what is none."""
    if isinstance(value, dict):
        return ((_below(path, key), item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return ((f"{path}[{place}]", item) for place, item in enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return ((f"{path}.{field.name}", getattr(value, field.name, None)) for field in fields(value))
    return None


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if str(key).isidentifier() else f"{path}[{repr(key)[:_SHOWN_CHARS_MAX]}]"


def _find_in_keys(value: dict[Any, Any], path: str) -> NotJson | None:
    for key in value:
        if not isinstance(key, str):
            return NotJson(path, f"has a key that is no string but {_kind(key)}: {repr(key)[:_SHOWN_CHARS_MAX]}")
        found = _find_in_leaf(key, _below(path, key))
        if found is not None:
            return found
    return None


def _find_in_leaf(value: Any, path: str) -> NotJson | None:
    if isinstance(value, str) and "\0" in value:
        return NotJson(path, "is text with a NUL character, which cannot be stored: remove it")
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        return NotJson(path, "is an integer beyond 64 bits: return it as a string")
    try:
        orjson.dumps(value, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        if isinstance(value, str):
            return NotJson(path, "is text with a lone surrogate, which is no Unicode character")
        return NotJson(path, f"is {_kind(value)}")
    return None


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name} object"
