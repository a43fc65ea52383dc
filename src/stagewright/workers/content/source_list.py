"""The sources of a report: what was read of each, and those that gave nothing with the reason. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stagewright.workers.content.places import Unusable, locate
from stagewright.workers.content.text import clean, one_line

SKIPPED_SHOWN = 100
_FOLDERS = re.compile(r"(?<![\w:/.~-])~?/(?:[^\s/;,]+/)+")


@dataclass(frozen=True, slots=True)
class Source:
    """A feed with how much of it was read and how much of that was relevant."""

    title: str
    url: str | None
    place: str
    items: int
    relevant: int
    status: str
    detail: str


def web_address(value: object) -> str | None:
    """Return an http(s) address, or None: other schemes, such as `javascript:`, must not become links."""
    if not isinstance(value, str) or len(value) > 2_000:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    is_plain = value.isprintable() and " " not in value
    return value if is_plain and parts.scheme in ("http", "https") and parts.hostname else None


def sources_of(
    feeds: Sequence[Mapping[str, Any]],
    articles: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
) -> tuple[Source, ...]:
    """Return the feeds, those with most relevant articles first; without a list, those that the articles name."""
    relevant = Counter(str(a.get("feed_url")) for a in chosen)
    if not feeds:
        read = Counter(str(a.get("feed_url")) for a in articles if a.get("feed_url"))
        titles = {str(a.get("feed_url")): a.get("feed_title") for a in articles}
        feeds = [{"url": u, "title": titles[u], "items": n, "status": "ok"} for u, n in read.items()]
    found = [_source(feed, relevant) for feed in feeds]
    return tuple(sorted(found, key=lambda source: (-source.relevant, source.title.casefold())))


def _source(feed: Mapping[str, Any], relevant: Counter[str]) -> Source:
    url = str(feed.get("url") or "")
    items = feed.get("items")
    return Source(
        title=short(feed.get("title"), 120) or source_name(url),
        url=web_address(url),
        place=source_name(url),
        items=items if isinstance(items, int) else 0,
        relevant=relevant[url],
        status=short(feed.get("status"), 30).replace("_", " ") or "ok",
        detail=short(feed.get("detail")),
    )


def short(value: object, limit: int = 300) -> str:
    """Return a text on one line, or an empty one where it is none."""
    return one_line(clean(value, limit=limit)) if isinstance(value, str) else ""


def source_name(url: str) -> str:
    """Return a short name; of a local file no more than its name, as a report may be passed on."""
    try:
        return locate(url).name[:120]
    except Unusable:
        return short(url, 120)


def skipped_of(skipped: Sequence[Mapping[str, Any]]) -> tuple[Source, ...]:
    """Return what was tried and gave no feed, in the order of the finder; at most 100."""
    return tuple(_skipped(str(item.get("source") or ""), item.get("reason")) for item in skipped[:SKIPPED_SHOWN])


def _skipped(source: str, reason: object) -> Source:
    detail = _FOLDERS.sub("", short(reason, 500))
    return Source(short(source_name(source), 120), web_address(source), "", 0, 0, "skipped", detail)
