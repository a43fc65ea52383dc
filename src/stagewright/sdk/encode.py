"""JSON of what a handler returned, or where in it the first thing stands that is no JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import orjson

DEPTH_MAX = 254  # levels of nesting; the encoder's own bound
PATH_CHARS_MAX = 200
_SHOWN_CHARS_MAX = 40
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1

# Dates have many spellings, so the author chooses one instead of the encoder.
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
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        found = _find(value, root, 0)
        raise found or NotJson(root, f"cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    """Turn a Pydantic model into what it writes as JSON; known by its method, as Pydantic is slow to import."""
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        raise TypeError(type(value).__name__)
    return dump(value, mode="json")


def _find(value: Any, path: str, depth: int) -> NotJson | None:
    """Return the first thing that is no JSON, depth first."""
    if depth > DEPTH_MAX:
        return NotJson(path, f"is nested deeper than {DEPTH_MAX} levels, or contains itself")
    if isinstance(value, dict):
        return _find_in_dict(value, path, depth)
    if isinstance(value, list | tuple):
        return _first(_find(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        named = ((f"{path}.{field.name}", getattr(value, field.name, None)) for field in fields(value))
        return _first(_find(item, where, depth + 1) for where, item in named)
    return _find_in_leaf(value, path)


def _first(found: Any) -> NotJson | None:
    return next((problem for problem in found if problem is not None), None)


def _find_in_dict(value: dict[Any, Any], path: str, depth: int) -> NotJson | None:
    for key, item in value.items():
        if not isinstance(key, str):
            return NotJson(path, f"has a key that is no string but {_kind(key)}: {repr(key)[:_SHOWN_CHARS_MAX]}")
        where = f"{path}.{key}" if key.isidentifier() else f"{path}[{repr(key)[:_SHOWN_CHARS_MAX]}]"
        found = _find_in_leaf(key, where) or _find(item, where, depth + 1)
        if found is not None:
            return found
    return None


def _find_in_leaf(value: Any, path: str) -> NotJson | None:
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
