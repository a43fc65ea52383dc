"""Reads the text of a feed (RSS 0.9 to 2.0, Atom, JSON Feed 1.x) into articles of one shape. Pure functions.

Feeds are hostile input: any bytes give a `Feed` or `NotAFeed`, text comes out without markup, sizes are bounded.
"""

from __future__ import annotations

import io
import json
import xml.sax
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser

from stagewright.workers.content.text import one_line, plain_text

ITEMS_MAX = 2_000  # read of one feed
TITLE_CHARS = 300
SUMMARY_CHARS = 2_000
CONTENT_CHARS = 20_000
NAME_CHARS = 200
_YEARS = (1990, 2100)  # a date outside is a mistake of the feed
_JSON_FEED = "jsonfeed.org/version/"


class NotAFeed(ValueError):
    """The bytes are no feed; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed says. `articles` are JSON objects in the order of the feed; `problems` are sentences, may be empty.

    An article has: id, url (http(s) or null), title, summary, content_text, author, published (RFC 3339 UTC or null),
    feed_title, feed_url, language (as declared, or null).
    """

    title: str
    kind: str  # rss | atom | json | unknown
    language: str | None
    articles: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]


def parse_feed(body: bytes, *, url: str, content_type: str = "") -> Feed:
    """Read a feed; `url` resolves relative links and names the feed. Raises `NotAFeed`."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise NotAFeed("expected a feed, found nothing: the body is empty")
    if start[:1] == b"{":
        return _json_feed(start, url)
    return _xml_feed(body, url, content_type)


def _json_feed(body: bytes, url: str) -> Feed:
    try:
        feed = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise NotAFeed(f"expected a JSON Feed, found JSON that cannot be read: {error}") from error
    items = feed.get("items")
    if not isinstance(items, list) or not (_JSON_FEED in str(feed.get("version")) or "title" in feed):
        raise NotAFeed("expected a JSON Feed, found JSON without its version and items")
    title = _line(feed.get("title"), TITLE_CHARS)
    language = _line(feed.get("language"), NAME_CHARS) or None
    problems = ["no version" for _ in range(1) if _JSON_FEED not in str(feed.get("version"))]
    entries = [item for item in items[:ITEMS_MAX] if isinstance(item, dict)]
    if len(entries) < min(len(items), ITEMS_MAX):
        problems.append("some items are no objects and were left out")
    articles = [
        _article(
            feed_url=url,
            feed_title=title,
            guid=_line(item.get("id"), SUMMARY_CHARS),
            link=_line(item.get("url") or item.get("external_url"), SUMMARY_CHARS),
            title=_text(item.get("title")),
            summary=_text(item.get("summary")),
            content=_text(item.get("content_html")) or _text(item.get("content_text")),
            author=_json_author(item) or _json_author(feed),
            published=_rfc3339(item.get("date_published") or item.get("date_modified")),
            language=_line(item.get("language"), NAME_CHARS) or language,
        )
        for item in entries
    ]
    return Feed(title, "json", language, _unique(articles), tuple(problems))


def _json_author(value: Mapping[str, Any]) -> str:
    authors = value.get("authors")
    first = authors[0] if isinstance(authors, list) and authors else value.get("author")
    return _line(first.get("name"), NAME_CHARS) if isinstance(first, Mapping) else ""


def _xml_feed(body: bytes, url: str, content_type: str) -> Feed:
    headers = {"content-location": url}
    if content_type:
        headers["content-type"] = content_type
    try:
        # Markup is removed here afterwards, so that the library's own and slower cleaning would be work for nothing.
        found = feedparser.parse(io.BytesIO(body), response_headers=headers, sanitize_html=False)
    except Exception as error:
        # The library is handed any bytes at all and does not say which errors it lets through.
        raise NotAFeed(f"expected a feed, found bytes that cannot be read: {type(error).__name__}") from error
    version = found.get("version") or ""
    if not version and not found.entries:
        raise NotAFeed(f"expected RSS, Atom or JSON Feed, found {_seen_instead(body)}")
    head = found.feed
    title = _line(head.get("title"), TITLE_CHARS)
    language = _line(head.get("language"), NAME_CHARS) or None
    articles = [_entry(entry, url, title, language) for entry in found.entries[:ITEMS_MAX]]
    kind = version[:4] if version.startswith("atom") else version[:3] if version.startswith("rss") else "unknown"
    return Feed(title, kind, language, _unique(articles), _problems(found))


def _seen_instead(body: bytes) -> str:
    start = body[:2_000].lower()
    if b"<html" in start or b"<!doctype html" in start:
        return "a web page"
    return "XML of another kind" if start.lstrip().startswith(b"<?xml") else "something else"


def _problems(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what had to be mended; a wrong content type or encoding label that worked is no problem."""
    error = found.get("bozo_exception")
    if isinstance(error, xml.sax.SAXParseException):
        place = f"line {error.getLineNumber()}, column {error.getColumnNumber()}"
        return (f"not well-formed XML at {place}: {error.getMessage()}; read as far as possible",)
    if isinstance(error, xml.sax.SAXException):
        return (f"XML error: {error.getMessage()}; read as far as possible",)
    return ()


def _entry(entry: Mapping[str, Any], url: str, feed_title: str, language: str | None) -> dict[str, Any]:
    contents = [c for c in entry.get("content") or [] if isinstance(c, Mapping)]
    content = max((_text(c.get("value")) for c in contents), key=len, default="")
    declared = next((c["language"] for c in contents if c.get("language")), None)
    return _article(
        feed_url=url,
        feed_title=feed_title,
        guid=_line(entry.get("id"), SUMMARY_CHARS),
        link=_line(entry.get("link"), SUMMARY_CHARS),
        title=_text(entry.get("title")),
        summary=_text(entry.get("summary")),
        content=content,
        author=_line(entry.get("author"), NAME_CHARS),
        published=_from_tuple(entry.get("published_parsed") or entry.get("updated_parsed")),
        language=_line(declared, NAME_CHARS) or language,
    )


def _article(
    *,
    feed_url: str,
    feed_title: str,
    guid: str,
    link: str,
    title: str,
    summary: str,
    content: str,
    author: str,
    published: str | None,
    language: str | None,
) -> dict[str, Any]:
    address = _address(link, feed_url)
    identity = guid or address or f"{title}\n{published}"
    digest = blake2b(f"{feed_url}\n{identity}".encode("utf-8", "replace"), digest_size=8).hexdigest()
    text = content or summary
    return {
        "id": f"art_{digest}",
        "url": address,
        "title": one_line(title)[:TITLE_CHARS] or one_line(text)[:80] or "Untitled",
        "summary": (summary or content)[:SUMMARY_CHARS],
        "content_text": text[:CONTENT_CHARS],
        "author": author or None,
        "published": published,
        "feed_title": feed_title,
        "feed_url": feed_url,
        "language": language,
    }


def _unique(articles: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Keep the first article of each id: some feeds repeat an item to show that it changed."""
    return tuple({article["id"]: article for article in reversed(articles)}.values())[::-1]


def _address(link: str, feed_url: str) -> str | None:
    """Return an absolute http(s) address or None; a link with another scheme could do harm in a report."""
    if not link:
        return None
    try:
        joined = urljoin(feed_url, link) if feed_url.startswith("http") else link
        parts = urlsplit(joined)
        return joined if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def _text(value: object) -> str:
    return plain_text(value, limit=CONTENT_CHARS) if isinstance(value, str) else ""


def _line(value: object, limit: int) -> str:
    return one_line(plain_text(str(value), limit=limit)) if isinstance(value, (str, int)) else ""


def _from_tuple(value: Any) -> str | None:
    try:
        return _stamp(datetime.fromtimestamp(timegm(value), UTC)) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _rfc3339(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return _stamp(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _stamp(moment: datetime) -> str | None:
    low, high = _YEARS
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if low <= moment.year <= high else None
