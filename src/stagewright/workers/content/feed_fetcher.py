"""Worker `feed-fetcher`: reads feeds into articles. One bad feed never costs the others.

Reach: reads files and the network within `http.Limits`; computation and file work go to threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stagewright.sdk import Context, Result, Retry, Terminal, Worker
from stagewright.workers.content.cache import FeedCache, Kept, validators_of
from stagewright.workers.content.feeds import Feed, NotAFeed, parse_feed
from stagewright.workers.content.http import LIMITS, Limits, Reader, Reply, Trouble
from stagewright.workers.content.inputs import count_input, number_input, refuse
from stagewright.workers.content.places import Place, Unusable, locate

FEEDS_MAX = 1_000
ITEMS_DEFAULT, ITEMS_MAX = 50, 1_000  # of one feed
AGE_DAYS_MAX = 36_500
ARTICLES_MAX = 5_000  # of one attempt
TEXT_CHARS_MAX = 8_000_000  # of all articles together; long texts are shortened alike until they fit
TEXT_CHARS_MIN = 500  # of one article, however many there are
AT_A_TIME = 16  # feeds in flight, over all hosts
BUDGET_S = 240.0  # for all feeds; what is not read by then counts as failed
RETRY_AFTER_S_MAX = 300.0  # the longest wait asked for when every feed failed for now
DETAIL_CHARS = 300

worker = Worker(
    "feed-fetcher",
    version="1",
    description="Reads RSS, Atom and JSON feeds from files and http(s) into articles",
)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one feed."""

    url: str
    status: str  # ok | not_modified | recovered | failed
    feed: Feed | None = None
    detail: str = ""
    is_transient: bool = False
    after_s: float | None = None


@dataclass(slots=True)
class _Round:
    """One attempt at all feeds."""

    ctx: Context
    reader: Reader
    limits: Limits
    cache: FeedCache
    total: int
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    finished: int = 0


@worker.action
async def fetch(inputs: dict[str, Any], ctx: Context) -> Result:
    """Read feeds.

    Inputs: `feeds` (strings or objects with `url`) or `url`; `max_items_per_feed` (default 50), `max_age_days`.
    Output: `articles` as `feeds.Feed` describes them, newest first within a feed; `feeds` with url, title, items,
    status (ok, not_modified, recovered, failed) and detail.
    Errors: Terminal `bad_input`, Terminal `no_feed_readable`, Retry `feeds_unavailable` if every failure may pass.
    """
    return await fetch_within(inputs, ctx, limits=LIMITS, budget_s=BUDGET_S)


async def fetch_within(inputs: Mapping[str, Any], ctx: Context, *, limits: Limits, budget_s: float) -> Result:
    """Do the same within given limits."""
    urls = _wanted(inputs)
    items_max = count_input(inputs, "max_items_per_feed", default=ITEMS_DEFAULT, low=1, high=ITEMS_MAX)
    age_days = number_input(inputs, "max_age_days", default=None, low=0, high=AGE_DAYS_MAX)
    oldest = _stamp(datetime.now(UTC) - timedelta(days=age_days)) if age_days is not None else None
    outcomes = await _read_all(urls, ctx, limits, budget_s)
    if all(outcome.status == "failed" for outcome in outcomes):
        raise _all_failed(outcomes)
    return _result(outcomes, items_max, oldest)


def _wanted(inputs: Mapping[str, Any]) -> list[str]:
    """Return the addresses asked for, without repeats."""
    feeds = inputs.get("feeds")
    if feeds is None and inputs.get("url") is not None:
        feeds = [inputs["url"]]
    if not isinstance(feeds, list) or not feeds:
        raise refuse("feeds", "a list of feeds that is not empty", feeds, "give feeds or url")
    if len(feeds) > FEEDS_MAX:
        raise refuse("feeds", f"at most {FEEDS_MAX} feeds", feeds, "lower the limit of rss-source-finder")
    urls: dict[str, None] = {}
    for place, entry in enumerate(feeds):
        url = entry.get("url") if isinstance(entry, Mapping) else entry
        if not isinstance(url, str) or not url.strip():
            raise refuse(f"feeds[{place}]", "an address or an object with url", entry, "give its address")
        urls[url.strip()] = None
    return list(urls)


async def _read_all(urls: Sequence[str], ctx: Context, limits: Limits, budget_s: float) -> list[_Outcome]:
    """Return one outcome for each address, in their order; none takes longer than the budget."""
    cache = FeedCache(ctx.cache_dir)
    async with Reader(limits) as reader:
        state = _Round(ctx, reader, limits, cache, len(urls))
        reads = [asyncio.create_task(_read(url, state), name=f"read {url[:60]}") for url in urls]
        try:
            await asyncio.wait(reads, timeout=budget_s)
        finally:
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
    await asyncio.to_thread(cache.prune)
    late = f"not read within the {budget_s:g} s that all feeds have together"
    return [
        _Outcome(url, "failed", detail=late, is_transient=True) if read.cancelled() else read.result()
        for url, read in zip(urls, reads, strict=True)
    ]


async def _read(url: str, state: _Round) -> _Outcome:
    async with state.slots:
        if state.ctx.cancelled:
            return _Outcome(url, "failed", detail="cancelled", is_transient=True)
        try:
            place = locate(url)
            if place.path is not None:
                outcome = await asyncio.to_thread(_from_file, place, state.limits)
            else:
                outcome = await _from_network(place.url, state)
        except (Unusable, NotAFeed) as error:
            outcome = _Outcome(url, "failed", detail=str(error))
        except Trouble as trouble:
            outcome = _Outcome(
                url, "failed", detail=str(trouble), is_transient=trouble.is_transient, after_s=trouble.after_s
            )
    state.finished += 1
    name = outcome.feed.title if outcome.feed else url
    state.ctx.progress(state.finished / state.total, f"{name}: {outcome.status}"[:DETAIL_CHARS])
    return outcome


def _from_file(place: Place, limits: Limits) -> _Outcome:
    path: Path = place.local
    try:
        if not path.is_file():
            raise Trouble(f"no file at {path}", is_transient=False)
        with path.open("rb") as file:
            body = file.read(limits.body_bytes + 1)
    except OSError as error:
        raise Trouble(f"not readable: {error.strerror or error}", is_transient=False) from error
    return _parsed(place.url, body[: limits.body_bytes], is_cut=len(body) > limits.body_bytes, limits=limits)


async def _from_network(url: str, state: _Round) -> _Outcome:
    kept = await asyncio.to_thread(state.cache.load, url)
    reply = await state.reader.get(url, kept.validators if kept else None)
    if reply.status == 304:
        if kept is None:
            raise Trouble("the server answered 304 to a request without conditions", is_transient=False)
        return _Outcome(url, "not_modified", kept.feed, detail="; ".join(kept.feed.problems))
    return await asyncio.to_thread(_parse_and_keep, url, reply, state)


def _parse_and_keep(url: str, reply: Reply, state: _Round) -> _Outcome:
    content_type = reply.headers.get("content-type", "")
    outcome = _parsed(url, reply.body, is_cut=reply.is_cut, limits=state.limits, content_type=content_type)
    validators = validators_of(reply.headers)
    if outcome.feed is not None and validators and not reply.is_cut:
        state.cache.keep(url, Kept(outcome.feed, validators))
    return outcome


def _parsed(url: str, body: bytes, *, is_cut: bool, limits: Limits, content_type: str = "") -> _Outcome:
    feed = parse_feed(body, url=url, content_type=content_type)
    problems = list(feed.problems)
    if is_cut:
        problems.insert(0, f"longer than {limits.body_bytes:,} bytes; cut off there")
    return _Outcome(url, "recovered" if problems else "ok", feed, detail="; ".join(problems))


def _all_failed(outcomes: Sequence[_Outcome]) -> Retry | Terminal:
    first = outcomes[0]
    message = (
        f"feeds: expected at least one readable feed of {len(outcomes)}, found none; "
        f"the first, {first.url}: {first.detail[:DETAIL_CHARS]}"
    )
    if not all(outcome.is_transient for outcome in outcomes):
        return Terminal(f"{message}; correct the addresses", code="no_feed_readable")
    waits = [outcome.after_s for outcome in outcomes if outcome.after_s is not None]
    after_s = min(min(waits), RETRY_AFTER_S_MAX) if waits else None
    return Retry(f"{message}; trying again may help", after_s=after_s, code="feeds_unavailable")


def _result(outcomes: Sequence[_Outcome], items_max: int, oldest: str | None) -> Result:
    articles: list[dict[str, Any]] = []
    feeds: list[dict[str, Any]] = []
    errors: list[str] = []
    for outcome in outcomes:
        chosen = _chosen(outcome.feed, items_max, oldest)[: ARTICLES_MAX - len(articles)]
        articles.extend(chosen)
        feeds.append(
            {
                "url": outcome.url,
                "title": (outcome.feed.title if outcome.feed else "") or _name(outcome.url),
                "items": len(chosen),
                "status": outcome.status,
                "detail": outcome.detail[:DETAIL_CHARS],
            }
        )
        if outcome.status == "failed":
            errors.append(f"{outcome.url}: {outcome.detail[:DETAIL_CHARS]}")
    readable = len(feeds) - len(errors)
    summary = {
        "items_processed": len(articles),
        "quality_score": round(readable / len(feeds), 3),
        "errors": errors,
    }
    return Result({"articles": _fitted(articles), "feeds": feeds}, summary=summary)


def _chosen(feed: Feed | None, items_max: int, oldest: str | None) -> list[dict[str, Any]]:
    """Return the newest articles that are young enough; one without a date counts as young, after the dated."""
    if feed is None:
        return []
    young = [a for a in feed.articles if oldest is None or a["published"] is None or a["published"] >= oldest]
    young.sort(key=lambda article: article["published"] or "", reverse=True)
    named = {"feed_title": feed.title or _name(feed.articles[0]["feed_url"])} if feed.articles else {}
    return [article | named for article in young[:items_max]]


def _fitted(articles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    share = max(TEXT_CHARS_MIN, TEXT_CHARS_MAX // max(1, len(articles)))
    return [article | {"content_text": article["content_text"][:share]} for article in articles]


def _name(url: str) -> str:
    try:
        return locate(url).name
    except Unusable:
        return url[:DETAIL_CHARS]


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
