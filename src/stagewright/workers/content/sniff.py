"""What a document is, told by its first bytes, and what feeds it names. Pure functions."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from stagewright.workers.content.text import one_line, plain_text

Kind = Literal["rss", "atom", "rdf", "json", "opml", "page", "list", "unknown"]

FEED_KINDS: frozenset[Kind] = frozenset({"rss", "atom", "rdf", "json"})
HEAD_BYTES = 4_096  # enough to tell what a document is
NAMED_MAX = 2_000  # entries read of one list
_FEED_TYPES = {
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/feed+json": "json",
    "application/rdf+xml": "rdf",
}
_ROOTS: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (re.compile(rb"<(?:\w+:)?rss[\s>]"), "rss"),
    (re.compile(rb"<(?:\w+:)?feed[\s>]"), "atom"),
    (re.compile(rb"<rdf:rdf[\s>]"), "rdf"),
    (re.compile(rb"<opml[\s>]"), "opml"),
    (re.compile(rb"<html[\s>]|<!doctype html"), "page"),
)
_TITLE = re.compile(r"<(?:\w+:)?title[^>]*>(.*?)</(?:\w+:)?title>", re.DOTALL | re.IGNORECASE)
_JSON_TITLE = re.compile(r'"title"\s*:\s*"((?:[^"\\]|\\.){0,300})"')
_FEED_NAME = re.compile(r"rss2?|atom|feeds?|.+\.(?:xml|rss|atom|rdf|json|opml|feed)")
_LIST_LINE = re.compile(r"(?:https?|file|feed)://\S+|[^\s<>{}]+\.\w{2,5}|[./~][^\s<>{}]*")


@dataclass(frozen=True, slots=True)
class Named:
    """A feed that a document names, as written there; `kind` is `unknown` where the document does not say."""

    address: str
    title: str
    kind: str


def kind_of(body: bytes) -> Kind:
    """Return what a document is; its first 4 KiB are enough."""
    head = body[:HEAD_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if head[:1] == b"{":
        is_feed = b"jsonfeed.org/version/" in head.replace(b"\\/", b"/") or b'"items"' in head
        return "json" if is_feed else "unknown"
    found = [(match.start(), kind) for root, kind in _ROOTS if (match := root.search(head))]
    if found:
        return min(found)[1]
    if head[:1] == b"<":
        return "page" if re.match(rb"<(?:head|body|title|meta|link|div|p)\b", head) else "unknown"
    return "list" if _is_list(head) else "unknown"


def title_of(body: bytes) -> str:
    """Return the title at the start of a feed, or an empty text; cheap, and good enough for a listing."""
    head = body[: 4 * HEAD_BYTES].decode("utf-8", "replace")
    pattern = _JSON_TITLE if head.lstrip("\ufeff \t\r\n").startswith("{") else _TITLE
    match = pattern.search(head)
    return one_line(plain_text(match.group(1).replace("<![CDATA[", "").replace("]]>", ""), limit=300)) if match else ""


def opml_feeds(body: bytes) -> list[Named]:
    """Return the feeds of an OPML document in their order; one that is not well-formed is read as tag soup."""
    named: list[Named] = []
    for attributes in _outlines(body):
        address = attributes.get("xmlurl", "").strip()
        if address:
            title = one_line(attributes.get("title") or attributes.get("text") or "")[:300]
            named.append(Named(address, title, attributes.get("type", "") or "unknown"))
    return named[:NAMED_MAX]


def _outlines(body: bytes) -> list[dict[str, str]]:
    try:
        # An OPML document needs no entities of its own; expanding them is how small files become huge.
        if b"<!ENTITY" in body:
            raise ET.ParseError("declares entities")
        tree = ET.fromstring(body)
        return [{k.lower(): v for k, v in node.attrib.items()} for node in tree.iter("outline")]
    except (ET.ParseError, ValueError, LookupError):
        soup = LexborHTMLParser(body.replace(b"/>", b"></outline>").decode("utf-8", "replace"))
        return [{k: v or "" for k, v in node.attributes.items()} for node in soup.css("outline")]


def page_feeds(body: bytes) -> tuple[list[Named], str | None]:
    """Return the feeds that a web page links in its head, and its `<base href>` if it has one."""
    page = LexborHTMLParser(body.decode("utf-8", "replace"))
    base = page.css_first("base[href]")
    named = []
    for link in page.css("link[href]"):
        attributes = link.attributes
        relations = (attributes.get("rel") or "").lower().split()
        kind = _FEED_TYPES.get((attributes.get("type") or "").split(";")[0].strip().lower())
        if kind and "alternate" in relations and attributes.get("href"):
            named.append(Named(attributes["href"] or "", one_line(attributes.get("title") or "")[:300], kind))
    return named[:NAMED_MAX], base.attributes.get("href") if base else None


def page_links(body: bytes) -> list[Named]:
    """Return the plain links of a web page whose address looks like one of a feed, as a listing of a folder has."""
    page = LexborHTMLParser(body.decode("utf-8", "replace"))
    hrefs = ((link.attributes.get("href") or "").strip() for link in page.css("a[href]"))
    return [Named(href, "", "unknown") for href in dict.fromkeys(hrefs) if _is_feed_like(href)][:NAMED_MAX]


def _is_feed_like(href: str) -> bool:
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    name = parts.path.rstrip("/").rsplit("/", 1)[-1].lower()
    return parts.scheme in ("", "http", "https", "feed") and _FEED_NAME.fullmatch(name) is not None


def list_entries(body: bytes) -> list[Named]:
    """Return the lines of a text file that are not empty and no comment (`#`)."""
    lines = (line.strip() for line in body.decode("utf-8-sig", "replace").splitlines())
    return [Named(line, "", "unknown") for line in lines if line and not line.startswith("#")][:NAMED_MAX]


def _is_list(head: bytes) -> bool:
    """Tell whether the first lines look like addresses or paths, one on each line."""
    if b"\0" in head or not head:
        return False
    text = head.decode("utf-8", "replace")
    whole = text.splitlines()[:-1] or [text]  # the last line may be cut
    entries = [line.strip() for line in whole if line.strip() and not line.lstrip().startswith("#")][:20]
    return bool(entries) and all(_LIST_LINE.fullmatch(entry) for entry in entries)
