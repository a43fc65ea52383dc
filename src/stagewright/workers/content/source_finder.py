"""Worker `rss-source-finder`: finds the feeds behind what a user points at.

Reach: reads files in threads and the network within `http.Limits`. A local feed counts once its start looks like one;
a remote feed that an OPML document lists is taken at its word, because the fetcher reads it anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from stagewright.sdk import Context, Result, Retry, Terminal, Worker
from stagewright.workers.content.folder import ENDINGS, FOLDER_FILES_MAX, folder_files
from stagewright.workers.content.http import LIMITS, Limits, Reader, Trouble
from stagewright.workers.content.inputs import count_input, refuse, text_input
from stagewright.workers.content.places import Place, Unusable, locate
from stagewright.workers.content.sniff import (
    FEED_KINDS,
    Kind,
    Named,
    kind_of,
    list_entries,
    opml_feeds,
    page_feeds,
    page_links,
    title_of,
)
from stagewright.workers.content.text import terms

SOURCES_MAX = 200
LIMIT_DEFAULT, LIMIT_MAX = 200, 1_000  # feeds found
FOLLOWED_MAX = 400  # documents opened in one attempt
DEPTH_MAX = 3  # a list may name a list that names a list
SKIPPED_MAX = 200  # named; the others are counted
FOLDER_OTHERS_MAX = 20  # files of other kinds named of one folder, so that they leave room for what was tried
PAGE_LINKS_MAX = 20  # plain links of one page that are opened to see whether they are feeds
BUDGET_S = 240.0
TOPIC_CHARS_MAX = 500
RETRY_AFTER_S_MAX = 300.0  # the longest wait asked for when no source answered for now
COMMON_PATHS = ("/feed", "/rss.xml", "/atom.xml", "/index.xml", "/feed.json")

worker = Worker(
    "rss-source-finder",
    version="1",
    description="Finds feeds from an OPML file, a folder, a list of addresses or the links of a web page",
)


@dataclass(slots=True)
class _Search:
    """One attempt: what is found so far."""

    reader: Reader
    limits: Limits
    limit: int
    feeds: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)
    skipped_total: int = 0
    opened: set[str] = field(default_factory=set)
    troubles: list[Trouble] = field(default_factory=list)

    def add(self, place: Place, *, title: str, kind: str, found_in: str) -> None:
        """Note a feed once; the first mention with a title wins."""
        known = self.feeds.get(place.url)
        if known is None:
            self.feeds[place.url] = {"url": place.url, "title": title or place.name, "kind": kind, "found_in": found_in}
        elif known["kind"] == "unknown":
            known["kind"] = kind

    def skip(self, source: str, reason: object, *, count: int = 1) -> None:
        """Note a source, or so many under one name, that gave nothing."""
        self.skipped_total += count
        if len(self.skipped) < SKIPPED_MAX:
            self.skipped.append({"source": source[:500], "reason": str(reason)[:500]})


@worker.action
async def find(inputs: dict[str, Any], ctx: Context) -> Result:
    """Find feeds.

    Inputs: `sources` (a path or address, or a list of them), `topic` (feeds named after it come first), `limit`.
    Output: `feeds` with url, title, kind (rss, atom, rdf, json, unknown) and found_in; `skipped` with source, reason
    (at most 200), `skipped_total`.
    Errors: Terminal `bad_input`, Terminal `no_source`, Retry `sources_unavailable` if only the network failed.
    """
    return await find_within(inputs, ctx, limits=LIMITS, budget_s=BUDGET_S)


async def find_within(inputs: Mapping[str, Any], ctx: Context, *, limits: Limits, budget_s: float) -> Result:
    """Do the same within given limits."""
    sources = _wanted(inputs)
    topic = text_input(inputs, "topic", limit=TOPIC_CHARS_MAX) if inputs.get("topic") is not None else ""
    limit = count_input(inputs, "limit", default=LIMIT_DEFAULT, low=1, high=LIMIT_MAX)
    async with Reader(limits) as reader:
        search = _Search(reader, limits, limit)
        try:
            async with asyncio.timeout(budget_s):
                for place, source in enumerate(sources):
                    if ctx.cancelled:
                        break
                    await _follow(search, source, None, "sources", 0)
                    ctx.progress((place + 1) / len(sources), f"{len(search.feeds)} feeds found")
        except TimeoutError:
            search.skip("sources", f"stopped after {budget_s:g} s; the rest was not looked at")
    if not search.feeds:
        raise _nothing_found(search)
    feeds = _ordered(list(search.feeds.values()), topic)
    for feed in feeds[limit:]:
        search.skip(feed["url"], f"beyond the limit of {limit} feeds")
    errors = [f"{skipped['source']}: {skipped['reason']}" for skipped in search.skipped]
    summary = {"items_processed": len(feeds[:limit]), "errors": errors}
    output = {"feeds": feeds[:limit], "skipped": search.skipped, "skipped_total": search.skipped_total}
    return Result(output, summary=summary)


def _wanted(inputs: Mapping[str, Any]) -> list[str]:
    value = inputs.get("sources")
    sources = [value] if isinstance(value, str) else value
    mend = "give a path or address of a feed, an OPML file, a folder, a list or a web page"
    if not isinstance(sources, list) or not sources:
        raise refuse("sources", "a path, an address or a list of them", value, mend)
    if len(sources) > SOURCES_MAX:
        raise refuse("sources", f"at most {SOURCES_MAX} entries", value, "put them into one OPML or text file")
    for place, source in enumerate(sources):
        if not isinstance(source, str) or not source.strip():
            raise refuse(f"sources[{place}]", "a path or an address", source, mend)
    return sources


def _nothing_found(search: _Search) -> Terminal | Retry:
    reasons = "; ".join(f"{s['source']}: {s['reason']}" for s in search.skipped[:3])
    message = f"sources: expected at least one feed, found none ({reasons})"
    is_transient = bool(search.troubles) and all(t.is_transient for t in search.troubles)
    if is_transient and len(search.troubles) == search.skipped_total:
        waits = [t.after_s for t in search.troubles if t.after_s is not None]
        after_s = min(min(waits), RETRY_AFTER_S_MAX) if waits else None
        return Retry(f"{message}; trying again may help", after_s=after_s, code="sources_unavailable")
    mend = "name a feed, an OPML file, a folder with feeds or a page that links one"
    return Terminal(f"{message}; {mend}", code="no_source")


def _ordered(feeds: list[dict[str, str]], topic: str) -> list[dict[str, str]]:
    """Put feeds whose title has a word of the topic first; otherwise keep their order."""
    asked = set(terms(topic))
    return sorted(feeds, key=lambda feed: not asked & set(terms(feed["title"])))


async def _follow(search: _Search, source: str, base: Place | None, found_in: str, depth: int, title: str = "") -> None:
    """Open what a source points at and note the feeds behind it; trouble is noted and never raised."""
    try:
        place = locate(source, base)
        if place.url in search.opened:
            return
        if len(search.opened) >= FOLLOWED_MAX or depth > DEPTH_MAX:
            raise Unusable(f"more than {FOLLOWED_MAX} documents or {DEPTH_MAX} lists within lists; not opened")
        search.opened.add(place.url)
        if place.path is not None and await asyncio.to_thread(place.path.is_dir):
            await _folder(search, place.path)
            return
        body, place = await _open(search, place)
        await _document(search, body, place, found_in, depth, title)
    except Unusable as error:
        search.skip(source, error)
    except Trouble as trouble:
        search.troubles.append(trouble)
        search.skip(source, trouble)


async def _open(search: _Search, place: Place) -> tuple[bytes, Place]:
    if place.path is not None:
        return await asyncio.to_thread(_file_body, place.path, search.limits.body_bytes), place
    reply = await search.reader.get(place.url)
    return reply.body, locate(reply.url)


def _file_body(path: Path, limit: int) -> bytes:
    if not path.exists():
        raise Unusable(f"no file or folder at {path}; give an absolute path")
    if not path.is_file():
        raise Unusable(f"{path} is neither a file nor a folder")
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise Unusable(f"not readable: {error.strerror or error}") from error


async def _document(search: _Search, body: bytes, place: Place, found_in: str, depth: int, title: str = "") -> None:
    kind: Kind = kind_of(body)
    if kind in FEED_KINDS:
        search.add(place, title=title or title_of(body), kind=kind, found_in=found_in)
    elif kind == "opml":
        named = await asyncio.to_thread(opml_feeds, body)
        await _all_named(search, named, place, depth, trusted=True)
    elif kind == "page":
        await _page(search, body, place, depth)
    elif kind == "list":
        await _all_named(search, list_entries(body), place, depth, trusted=False)
    else:
        raise Unusable("neither a feed, an OPML file, a web page nor a list of addresses")


async def _all_named(search: _Search, named: Sequence[Named], base: Place, depth: int, *, trusted: bool) -> None:
    """Note or follow what a document names; with `trusted`, remote entries count as feeds without being opened."""
    if not named:
        raise Unusable("it names no feed")
    for entry in named:
        place = _located(search, entry.address, base) if trusted else None
        if place is not None and place.path is None:
            kind = entry.kind if entry.kind in FEED_KINDS else "unknown"
            search.add(place, title=entry.title, kind=kind, found_in=base.url)
        elif place is not None or not trusted:
            await _follow(search, entry.address, base, base.url, depth + 1, entry.title)


def _located(search: _Search, address: str, base: Place) -> Place | None:
    try:
        return locate(address, base)
    except Unusable as error:
        search.skip(address, error)
        return None


async def _page(search: _Search, body: bytes, place: Place, depth: int) -> None:
    """Note the feeds that a page links; only where there are none, try the usual addresses of its host."""
    named, base = await asyncio.to_thread(page_feeds, body)
    links = await asyncio.to_thread(page_links, body)
    start = place
    if base and place.address is not None:
        place = locate(base, place)
    if named:
        await _all_named(search, named, place, depth, trusted=True)
    found = await _links(search, links, place, start, depth)
    if not named and not found:
        await _usual_addresses(search, place)


async def _links(search: _Search, links: Sequence[Named], base: Place, page: Place, depth: int) -> int:
    """Open the plain links that look like feeds and return how many lead to one."""
    places = {place.url: place for link in links if (place := _located(search, link.address, base)) is not None}
    places.pop(page.url, None)
    fresh = [place for url, place in places.items() if url not in search.opened and url not in search.feeds]
    found = len(places) - len(fresh)
    for place in fresh[:PAGE_LINKS_MAX]:
        found += await _link(search, place, page, depth)
    beyond = len(fresh) - PAGE_LINKS_MAX
    if beyond > 0:
        search.skip(page.url, f"{beyond} more links that look like feeds were not opened", count=beyond)
    return found


async def _link(search: _Search, place: Place, page: Place, depth: int) -> bool:
    """Open a link of a page; one that leads to anything but a feed or a list of them is noted and not followed."""
    if len(search.opened) >= FOLLOWED_MAX:
        search.skip(place.url, f"more than {FOLLOWED_MAX} documents; not opened")
        return False
    search.opened.add(place.url)
    try:
        body, reached = await _open(search, place)
        if kind_of(body) not in FEED_KINDS | {"opml"}:
            raise Unusable("linked by a page, but neither a feed nor an OPML file")
        await _document(search, body, reached, page.url, depth + 1)
    except (Unusable, Trouble) as error:
        if isinstance(error, Trouble):
            search.troubles.append(error)
        search.skip(place.url, error)
        return False
    return True


async def _usual_addresses(search: _Search, page: Place) -> None:
    if page.address is None:
        raise Unusable("the page links no feed")
    for path in COMMON_PATHS:
        try:
            reply = await search.reader.get(urljoin(page.address, path))
        except Trouble:
            continue  # most hosts have none of these, so a miss is no news
        kind = kind_of(reply.body)
        if kind in FEED_KINDS:
            search.add(locate(reply.url), title=title_of(reply.body), kind=kind, found_in=page.url)
            return
    raise Unusable(f"the page links no feed, and none is at {', '.join(COMMON_PATHS)}")


async def _folder(search: _Search, folder: Path) -> None:
    """Note the feeds of a folder and of the OPML files in it; other lists and pages there are not followed."""
    listing = await asyncio.to_thread(folder_files, folder)
    usable = 0
    for path, head in listing.opened:
        kind = kind_of(head)
        usable += kind in FEED_KINDS or kind == "opml"
        if kind in FEED_KINDS:
            search.add(Place(path=path), title=title_of(head), kind=kind, found_in=folder.as_uri())
        elif kind == "opml":
            await _follow(search, str(path), None, folder.as_uri(), 1)
        else:
            search.skip(str(path), "neither a feed nor an OPML file" if head else "the file is empty")
    endings = ", ".join(sorted(ENDINGS))
    for path in listing.others[:FOLDER_OTHERS_MAX]:
        search.skip(str(path), f"not opened: in a folder only files whose names end in {endings} are")
    beyond = len(listing.others) - FOLDER_OTHERS_MAX
    if beyond > 0:
        search.skip(str(folder), f"{beyond} more files were not opened, as they end in none of {endings}", count=beyond)
    if listing.is_cut:
        search.skip(str(folder), f"has more than {FOLDER_FILES_MAX} files; the rest was not looked at")
    if not usable:
        raise Unusable(f"no feed among the files of {folder} that end in {endings}")
