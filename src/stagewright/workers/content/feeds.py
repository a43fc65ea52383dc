"""Reads the text of a feed (RSS 0.9 to 2.0, Atom, JSON Feed 1.x) into articles of one shape. Pure functions.

Feeds are hostile input: any bytes give a `Feed` or `NotAFeed`, text comes out without markup, sizes are bounded.
"""

from __future__ import annotations

import io
import json
import re
import xml.sax
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser

from stagewright.workers.content.text import beginning, one_line, plain_text

ITEMS_MAX = 2_000  # read of one feed
TITLE_CHARS = 300
SUMMARY_CHARS = 2_000
CONTENT_CHARS = 20_000
NAME_CHARS = 200
TITLE_OF_TEXT_CHARS = 80  # of the text, where an article has no title
_CUT_TAIL_BYTES = 2 * CONTENT_CHARS
_CUT = re.compile(rb"<(title|description|summary)(?:\s[^<>]*)?>(?:\s*<!\[CDATA\[((?:(?!\]\]>).)*)|([^<]*))$", re.DOTALL)
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
    base = _base(url, _line(feed.get("home_page_url"), SUMMARY_CHARS))
    entries = [item for item in items[:ITEMS_MAX] if isinstance(item, dict)]
    if len(entries) < min(len(items), ITEMS_MAX):
        problems.append("some items are no objects and were left out")
    articles = [
        _article(
            feed_url=url,
            base=base,
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
    # Without the address of the feed the library leaves relative links as they are, but for a declared `xml:base`.
    headers = {"content-type": content_type} if content_type else {}
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
    kind = version[:4] if version.startswith("atom") else version[:3] if version.startswith("rss") else "unknown"
    link = _line(head.get("link"), SUMMARY_CHARS)
    # RSS says not what a relative link is relative to; what feeds mean is the site. Atom means its own address.
    base = _base(url, link) if kind == "atom" else _base(_address(link, url) or "", url)
    problems = _problems(found)
    if problems and found.entries:
        _mend_last(found.entries[-1], body)
    articles = [_entry(entry, url, base, title, language) for entry in found.entries[:ITEMS_MAX]]
    return Feed(title, kind, language, _unique(articles), problems)


def _base(*candidates: str) -> str:
    """Return the first http(s) address, or an empty text: a link relative to a local file leads nowhere."""
    return next((c for c in candidates if c.startswith(("http://", "https://"))), "")


def _mend_last(entry: dict[str, Any], body: bytes) -> None:
    """Give the last entry of a feed that ends within an element the text before the end, which the library drops."""
    match = _CUT.search(body[-_CUT_TAIL_BYTES:])
    if match is None or any(entry.get(field) for field in ("title", "summary", "content")):
        return
    text = one_line(plain_text((match[2] or match[3] or b"").decode("utf-8", "replace"), limit=CONTENT_CHARS))
    if text:
        entry["title" if match[1] == b"title" else "summary"] = f"{text}…"


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


def _entry(entry: Mapping[str, Any], url: str, base: str, feed_title: str, language: str | None) -> dict[str, Any]:
    contents = [c for c in entry.get("content") or [] if isinstance(c, Mapping)]
    content = max((_text(c.get("value")) for c in contents), key=len, default="")
    declared = next((c["language"] for c in contents if c.get("language")), None)
    return _article(
        feed_url=url,
        base=base,
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
    base: str,
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
    address = _address(link, base)
    identity = guid or address or f"{title}\n{published}"
    digest = blake2b(f"{feed_url}\n{identity}".encode("utf-8", "replace"), digest_size=8).hexdigest()
    text = content or summary
    return {
        "id": f"art_{digest}",
        "url": address,
        "title": one_line(title)[:TITLE_CHARS] or beginning(text, TITLE_OF_TEXT_CHARS) or "Untitled",
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


def _address(link: str, base: str) -> str | None:
    """Return an absolute http(s) address or None; a link with another scheme could do harm in a report."""
    if not link:
        return None
    try:
        joined = urljoin(base, link) if base.startswith("http") else link
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
