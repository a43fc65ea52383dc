"""The worker `feed-fetcher` against files and a real web server."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stagewright.sdk import Result, Retry, Terminal
from stagewright.workers.content import cache, demo_sources
from stagewright.workers.content.feed_fetcher import fetch, fetch_within
from stagewright.workers.content.http import Limits
from tests.unit.content.support import QUICK, Answer, FolderContext, Site, rss

FEED = rss("News", ("First", "One thing happened."), ("Second", "Another thing happened."))


async def read(ctx: FolderContext, *urls: str, limits: Limits = QUICK, budget_s: float = 20.0, **more: Any) -> Any:
    result = await fetch_within({"feeds": [{"url": u} for u in urls], **more}, ctx, limits=limits, budget_s=budget_s)
    assert isinstance(result, Result)
    return result.output


async def test_the_demo_feeds_give_forty_articles_and_only_the_broken_one_is_marked(ctx: FolderContext) -> None:
    folder = demo_sources().parent
    files = ["grid-ledger.xml", "energy-wire.json", "speicherblick.xml", "kilowatt-notes.atom", "coast-and-county.xml"]
    result = await fetch({"feeds": [str(folder / name) for name in files]}, ctx)
    feeds = result.output["feeds"]
    assert [feed["items"] for feed in feeds] == [10, 11, 3, 9, 7]
    assert [feed["status"] for feed in feeds] == ["ok", "ok", "ok", "ok", "recovered"]
    assert "line 5" in feeds[4]["detail"]
    assert len({article["id"] for article in result.output["articles"]}) == 40
    assert result.summary["items_processed"] == 40
    assert sorted(fraction for fraction, _ in ctx.reports) == [0.2, 0.4, 0.6, 0.8, 1.0]


async def test_an_article_has_its_fields_in_one_shape(ctx: FolderContext, tmp_path: Path) -> None:
    file = tmp_path / "one.atom"
    file.write_text(
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><title>Le Journal</title><entry>'
        '<title>Un &lt;b&gt;titre&lt;/b&gt;</title><link href="https://j.example/1"/><id>tag:1</id>'
        "<published>2026-03-01T10:00:00+02:00</published><author><name>Anne</name></author>"
        '<summary>Court</summary><content type="html">&lt;p&gt;Long&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</content>'
        "</entry></feed>"
    )
    output = await read(ctx, str(file))
    (article,) = output["articles"]
    assert article.pop("id").startswith("art_")
    assert article == {
        "url": "https://j.example/1",
        "title": "Un titre",
        "summary": "Court",
        "content_text": "Long",
        "author": "Anne",
        "published": "2026-03-01T08:00:00Z",
        "feed_title": "Le Journal",
        "feed_url": file.as_uri(),
        "language": "fr",
    }


async def test_an_unchanged_feed_is_not_sent_again(ctx: FolderContext, site: Site) -> None:
    def answer(headers: Mapping[str, str]) -> Answer:
        if headers.get("if-none-match") == '"v1"' and headers.get("if-modified-since"):
            return Answer(status=304)
        return Answer(FEED, headers={"ETag": '"v1"', "Last-Modified": "Mon, 01 Jun 2026 08:00:00 GMT"})

    site.answers["/feed"] = answer
    first = await read(ctx, site.url("/feed"))
    second = await read(ctx, site.url("/feed"))
    assert [first["feeds"][0]["status"], second["feeds"][0]["status"]] == ["ok", "not_modified"]
    assert second["articles"] == first["articles"]
    assert len(site.requests) == 2


async def test_a_damaged_cache_counts_as_none(ctx: FolderContext, site: Site) -> None:
    site.answers["/feed"] = Answer(FEED, headers={"ETag": '"v1"'})
    await read(ctx, site.url("/feed"))
    (entry,) = (ctx.cache_dir / "feeds").iterdir()
    entry.write_bytes(entry.read_bytes()[:50])
    output = await read(ctx, site.url("/feed"))
    assert output["feeds"][0]["status"] == "ok"
    assert "if-none-match" not in site.requests[-1].headers


async def test_the_cache_forgets_what_was_unused_longest(
    ctx: FolderContext, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ENTRIES_MAX", 2)
    for name in ("a", "b", "c"):
        site.answers[f"/{name}"] = Answer(FEED, headers={"ETag": '"v"'})
    await read(ctx, *(site.url(f"/{name}") for name in ("a", "b", "c")))
    assert len(list((ctx.cache_dir / "feeds").iterdir())) == 2


async def test_one_host_gets_one_request_at_a_time_with_a_gap(ctx: FolderContext, site: Site) -> None:
    for n in range(4):
        site.answers[f"/{n}"] = Answer(FEED)
    await read(ctx, *(site.url(f"/{n}") for n in range(4)), limits=replace(QUICK, gap_s=0.05))
    seen = sorted(site.requests, key=lambda request: request.started)
    gaps = [after.started - before.ended for before, after in pairwise(seen)]
    assert len(gaps) == 3
    assert min(gaps) >= 0.04


async def test_two_attempts_share_the_politeness_of_a_host(ctx: FolderContext, site: Site) -> None:
    site.answers["/a"] = site.answers["/b"] = Answer(FEED)
    limits = replace(QUICK, gap_s=0.05)
    await asyncio.gather(
        read(ctx, site.url("/a"), limits=limits),
        read(ctx, site.url("/b"), limits=limits),
    )
    first, second = sorted(site.requests, key=lambda request: request.started)
    assert second.started - first.ended >= 0.04


async def test_a_short_retry_after_is_waited_for(ctx: FolderContext, site: Site) -> None:
    answers = [Answer(status=429, headers={"Retry-After": "1"}), Answer(FEED)]
    site.answers["/feed"] = lambda headers: answers.pop(0)
    output = await read(ctx, site.url("/feed"))
    assert output["feeds"][0]["status"] == "ok"
    assert site.requests[1].started - site.requests[0].ended >= 0.95


async def test_a_long_retry_after_is_handed_on_instead_of_waited_for(ctx: FolderContext, site: Site) -> None:
    site.answers["/feed"] = Answer(status=503, headers={"Retry-After": "120"})
    with pytest.raises(Retry) as raised:
        await read(ctx, site.url("/feed"))
    assert raised.value.after_s == 120.0
    assert raised.value.code == "feeds_unavailable"
    assert len(site.requests) == 1


async def test_a_feed_beyond_the_size_limit_is_cut_and_its_start_is_used(ctx: FolderContext, site: Site) -> None:
    site.answers["/big"] = Answer(rss("Big", *((f"Item {n}", "x" * 900) for n in range(25)), *[("Last", "y" * 90_000)]))
    output = await read(ctx, site.url("/big"))
    (feed,) = output["feeds"]
    assert feed["status"] == "recovered"
    assert feed["detail"].startswith("longer than 65,536 bytes; cut off there")
    assert feed["items"] >= 25


async def test_a_file_beyond_the_size_limit_is_cut_too(ctx: FolderContext, tmp_path: Path) -> None:
    file = tmp_path / "big.xml"
    file.write_bytes(rss("Big", *((f"Item {n}", "x" * 9_000) for n in range(12))))
    output = await read(ctx, str(file))
    assert output["feeds"][0]["status"] == "recovered"
    assert 5 <= output["feeds"][0]["items"] <= 8


async def test_a_compressed_bomb_is_unpacked_no_further_than_the_limit(ctx: FolderContext, site: Site) -> None:
    packed = gzip.compress(rss("Bomb", ("Boom", " " * 50_000_000)), 9)
    assert len(packed) < 100_000
    site.answers["/bomb"] = Answer(packed, headers={"Content-Encoding": "gzip"})
    site.answers["/plain"] = Answer(gzip.compress(FEED), headers={"Content-Encoding": "gzip"})
    output = await read(ctx, site.url("/bomb"), site.url("/plain"))
    assert [feed["status"] for feed in output["feeds"]] == ["recovered", "ok"]
    assert sum(len(article["content_text"]) for article in output["articles"]) < QUICK.body_bytes


async def test_redirects_are_followed_up_to_a_bound(ctx: FolderContext, site: Site) -> None:
    site.answers["/old"] = Answer(status=301, headers={"Location": "/new"})
    site.answers["/new"] = Answer(FEED)
    site.answers["/loop"] = Answer(status=302, headers={"Location": "/loop"})
    site.answers["/away"] = Answer(status=302, headers={"Location": "file:///etc/hostname"})
    output = await read(ctx, site.url("/old"), site.url("/loop"), site.url("/away"))
    assert [feed["status"] for feed in output["feeds"]] == ["ok", "failed", "failed"]
    assert "more than 5 redirects" in output["feeds"][1]["detail"]
    assert "no http(s) address" in output["feeds"][2]["detail"]
    assert site.paths().count("/loop") == 6


async def test_a_server_that_never_finishes_costs_its_own_feed_only(
    ctx: FolderContext, site: Site, tmp_path: Path
) -> None:
    site.answers["/slow"] = Answer(FEED[:200], hold=True)
    file = tmp_path / "good.xml"
    file.write_bytes(FEED)
    output = await read(ctx, site.url("/slow"), str(file), limits=replace(QUICK, read_s=0.2, total_s=0.3))
    assert [feed["status"] for feed in output["feeds"]] == ["failed", "ok"]
    assert "no complete answer within 0.3 s" in output["feeds"][0]["detail"]


async def test_a_host_that_does_not_answer_is_left_alone_after_two_failures(ctx: FolderContext, site: Site) -> None:
    for n in range(5):
        site.answers[f"/{n}"] = Answer(FEED[:50], hold=True)
    with pytest.raises(Retry):
        await read(ctx, *(site.url(f"/{n}") for n in range(5)), limits=replace(QUICK, total_s=0.2))
    assert len(site.requests) == 2


async def test_the_budget_of_all_feeds_ends_the_wait(ctx: FolderContext, site: Site, tmp_path: Path) -> None:
    site.answers["/slow"] = Answer(FEED[:50], hold=True)
    file = tmp_path / "good.xml"
    file.write_bytes(FEED)
    before = time.monotonic()
    output = await read(ctx, site.url("/slow"), str(file), budget_s=0.4)
    assert time.monotonic() - before < 2.0
    assert [feed["status"] for feed in output["feeds"]] == ["failed", "ok"]
    assert "not read within the 0.4 s" in output["feeds"][0]["detail"]


async def test_feeds_that_fail_for_good_end_the_stage_and_name_the_field(ctx: FolderContext, site: Site) -> None:
    site.answers["/page"] = Answer(b"<!doctype html><html><body>Hello</body></html>")
    with pytest.raises(Terminal) as raised:
        await read(ctx, site.url("/page"), site.url("/gone"), "/nowhere/at/all.xml", "gopher://old.example/feed")
    assert raised.value.code == "no_feed_readable"
    assert str(raised.value).startswith("feeds: expected at least one readable feed of 4, found none")
    assert "a web page" in str(raised.value)


async def test_connection_failures_alone_are_tried_again_later(ctx: FolderContext, site: Site) -> None:
    url = site.url("/feed")
    site.close()
    with pytest.raises(Retry) as raised:
        await read(ctx, url)
    assert "connection failed" in str(raised.value)


async def test_only_the_newest_and_the_young_articles_are_kept(ctx: FolderContext, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    items = [
        {"id": str(days), "title": f"{days} days old", "date_published": (now - timedelta(days=days)).isoformat()}
        for days in (9, 1, 40, 3)
    ]
    file = tmp_path / "feed.json"
    file.write_text(json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": items}))
    young = await read(ctx, str(file), max_age_days=30)
    assert [a["title"] for a in young["articles"]] == ["1 days old", "3 days old", "9 days old"]
    newest = await read(ctx, str(file), max_items_per_feed=2)
    assert [a["title"] for a in newest["articles"]] == ["1 days old", "3 days old"]


@pytest.mark.parametrize(
    ("inputs", "start"),
    [
        ({}, "feeds: expected a list of feeds that is not empty, found nothing"),
        ({"feeds": []}, "feeds: expected a list of feeds that is not empty, found a list of 0"),
        ({"feeds": [{"title": "x"}]}, "feeds[0]: expected an address or an object with url"),
        ({"url": 5}, "feeds[0]: expected an address or an object with url, found 5"),
        ({"url": "x", "max_items_per_feed": 0}, "max_items_per_feed: expected a whole number from 1 to 1000, found 0"),
        ({"url": "x", "max_age_days": "old"}, 'max_age_days: expected a number from 0 to 36500, found "old"'),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_by_name(
    ctx: FolderContext, inputs: dict[str, Any], start: str
) -> None:
    with pytest.raises(Terminal) as raised:
        await fetch(inputs, ctx)
    assert str(raised.value).startswith(start)
    assert raised.value.code == "bad_input"
