"""Wording that all refusals share: JSON pointers, did-you-mean, and what was found in a few characters."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice
from typing import Any

import orjson

SUGGESTION_CANDIDATES_MAX = 200
SUGGESTION_LENGTH_MAX = 100
FOUND_LENGTH_MAX = 60

Key = str | int

_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
    (type(None), "null"),
)


def pointer(base: str, *keys: Key) -> str:
    """Append keys to a JSON pointer in fragment form: `pointer("#", "stages", 0)` is `#/stages/0` (RFC 6901)."""
    escaped = (str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return "/".join((base, *escaped))


def pointer_keys(text: str) -> list[str]:
    """Split a pointer that `pointer` made into its unescaped keys."""
    return [key.replace("~1", "/").replace("~0", "~") for key in text.split("/")[1:]]


def closest(found: str, known: Collection[str]) -> str | None:
    """Return the known name that was probably meant, or None.

    At most `SUGGESTION_CANDIDATES_MAX` names of about the same length are compared, so that a document with very
    many names and very many mistakes stays cheap.
    """
    if len(found) > SUGGESTION_LENGTH_MAX:
        return None
    lower = found.lower()
    longer = [name for name in islice(known, SUGGESTION_CANDIDATES_MAX) if name.lower().startswith(lower)]
    if len(longer) == 1 and len(found) >= 3:
        return longer[0]
    alike = (name for name in known if abs(len(name) - len(found)) <= 4)
    candidates = {name.lower(): name for name in islice(alike, SUGGESTION_CANDIDATES_MAX)}
    near = get_close_matches(lower, candidates, n=1, cutoff=0.6)
    return candidates[near[0]] if near else None


def did_you_mean(found: str, known: Collection[str]) -> str:
    """Return ` (did you mean X?)` with a leading space, or nothing."""
    near = closest(found, known)
    return f" (did you mean {near}?)" if near is not None else ""


def type_of(value: Any) -> str:
    """Name the JSON type of a value in plain words."""
    for kind, words in _JSON_TYPES:
        if isinstance(value, kind):
            return words
    return f"a Python {type(value).__name__}"


def shown(value: Any) -> str:
    """Show a JSON value in at most `FOUND_LENGTH_MAX` characters."""
    if isinstance(value, str):
        value = value[: FOUND_LENGTH_MAX + 1]
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):
        text = type_of(value)
    return text if len(text) <= FOUND_LENGTH_MAX else text[: FOUND_LENGTH_MAX - 1] + "…"


def listed(names: Collection[Any], limit: int = 12) -> str:
    """Join names with commas, at most `limit` of them."""
    text = ", ".join(str(name) for name in islice(names, limit))
    return text + (f" and {len(names) - limit} more" if len(names) > limit else "")


def printable(text: str) -> str:
    """Replace what cannot be sent as UTF-8 or stored: NUL and halves of surrogate pairs."""
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()
