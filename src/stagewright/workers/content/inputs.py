"""Checks of a handler's inputs: each refusal names the field, what was expected, what was found and the mend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stagewright.sdk import Terminal

SHOWN_CHARS = 120  # how much of a refused value a message repeats


def refuse(field: str, expected: str, found: object, mend: str) -> Terminal:
    """Make the error for an input that does not fit; the caller raises it."""
    return Terminal(f"{field}: expected {expected}, found {shown(found)}; {mend}", code="bad_input")


def shown(value: object) -> str:
    """Describe a value of any size in at most about 120 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with the keys {', '.join(sorted(map(str, value)))[:SHOWN_CHARS] or 'none'}"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def text_input(inputs: Mapping[str, Any], field: str, *, limit: int) -> str:
    """Return a text of 1 to `limit` characters, without white space around it."""
    value = inputs.get(field)
    if not isinstance(value, str) or not value.strip():
        raise refuse(field, "a text", value, f"say what {field} is, in words")
    if len(value) > limit:
        raise refuse(field, f"at most {limit} characters", f"{len(value)} characters", "shorten it")
    return value.strip()


def number_input(
    inputs: Mapping[str, Any], field: str, *, default: float | None, low: float, high: float
) -> float | None:
    """Return a number from `low` to `high`, or the default where the field is missing or null."""
    value = inputs.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise refuse(field, f"a number from {low:g} to {high:g}", value, "change it or leave the field out")
    return float(value)


def count_input(inputs: Mapping[str, Any], field: str, *, default: int, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`, or the default where the field is missing or null."""
    value = inputs.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refuse(field, f"a whole number from {low} to {high}", value, "change it or leave the field out")
    return value


def article_list(value: object, field: str, *, limit: int) -> list[dict[str, Any]]:
    """Return articles given as a list of articles or as a list of objects that hold `articles`.

    An article is an object with at least a `title`, `summary` or `content_text`; the list may be empty.
    """
    if isinstance(value, Mapping) and "articles" in value:
        value = value["articles"]
    if not isinstance(value, list):
        raise refuse(field, "a list of articles", value, "hand over the articles of a feed-fetcher stage")
    found: list[dict[str, Any]] = []
    for place, item in enumerate(value):
        if isinstance(item, Mapping) and isinstance(item.get("articles"), list):
            nested = enumerate(item["articles"])
            found.extend(_article(entry, f"{field}[{place}].articles[{inner}]") for inner, entry in nested)
        else:
            found.append(_article(item, f"{field}[{place}]"))
    if len(found) > limit:
        raise refuse(field, f"at most {limit} articles", f"{len(found)} articles", "lower max_items_per_feed")
    return found


def _article(value: object, place: str) -> dict[str, Any]:
    texts = ("title", "summary", "content_text")
    if isinstance(value, Mapping) and any(isinstance(value.get(key), str) and value[key] for key in texts):
        return dict(value)
    mend = "each article needs at least one of title, summary and content_text"
    raise refuse(place, "an article", value, mend)
