"""The worker `rss-source-finder` on files, folders, lists and web pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stagewright.sdk import Retry, Terminal
from stagewright.workers.content import demo_sources
from stagewright.workers.content.source_finder import find, find_within
from tests.unit.content.support import QUICK, Answer, FolderContext, Site, rss

FEED = rss("News of the coast", ("A", "b"))
ATOM = b'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title></feed>'
JSON = b'{"version": "https://jsonfeed.org/version/1.1", "title": "Wire", "items": []}'


async def search(ctx: FolderContext, sources: Any, **more: Any) -> Any:
    result = await find_within({"sources": sources, **more}, ctx, limits=QUICK, budget_s=20.0)
    return result.output


async def test_the_demo_lists_five_feeds_by_relative_paths(ctx: FolderContext) -> None:
    result = await find({"topic": "grid battery storage", "sources": str(demo_sources())}, ctx)
    feeds = result.output["feeds"]
    assert [(feed["url"].rsplit("/", 1)[1], feed["kind"]) for feed in feeds] == [
        ("grid-ledger.xml", "rss"),
        ("energy-wire.json", "json"),
        ("speicherblick.xml", "rss"),
        ("kilowatt-notes.atom", "atom"),
        ("coast-and-county.xml", "rss"),
    ]
    assert result.output["skipped"] == []
    assert result.summary["items_processed"] == 5


async def test_a_folder_gives_its_feeds_once_and_nothing_else(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes.atom").write_bytes(ATOM)
    (tmp_path / "wire.json").write_bytes(JSON)
    (tmp_path / "other.json").write_text('{"name": "no feed"}')
    (tmp_path / "drawing.xml").write_text("<svg/>")
    (tmp_path / "feed.txt").write_bytes(FEED)
    (tmp_path / "list.opml").write_text('<opml version="2.0"><body><outline xmlUrl="wire.json"/></body></opml>')
    os.mkfifo(tmp_path / "pipe.xml")
    output = await search(ctx, str(tmp_path))
    assert [(feed["title"], feed["kind"]) for feed in output["feeds"]] == [("Wire", "json"), ("Notes", "atom")]


async def test_a_folder_that_links_to_itself_ends(ctx: FolderContext, tmp_path: Path) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "news.xml").write_bytes(FEED)
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert len((await search(ctx, str(folder)))["feeds"]) == 1


async def test_an_opml_file_that_is_not_well_formed_is_read_nevertheless(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "list.opml").write_text(
        '<opml version="2.0"><body><outline text="A & B" xmlUrl="https://a.example/feed?x=1&y=2"/>'
        '<outline text="C" xmlUrl="https://c.example/rss" type="rss"><outline xmlUrl="ftp://d.example/"/>'
    )
    output = await search(ctx, str(tmp_path / "list.opml"))
    assert [feed["url"] for feed in output["feeds"]] == ["https://a.example/feed?x=1&y=2", "https://c.example/rss"]
    assert [skipped["source"] for skipped in output["skipped"]] == ["ftp://d.example/"]


async def test_a_text_file_names_sources_line_by_line(ctx: FolderContext, site: Site, tmp_path: Path) -> None:
    site.answers["/rss"] = Answer(FEED)
    (tmp_path / "notes.atom").write_bytes(ATOM)
    (tmp_path / "list.txt").write_text(f"# my sources\n\n{site.url('/rss')}\nnotes.atom\nmissing.xml\n")
    output = await search(ctx, str(tmp_path / "list.txt"))
    assert [feed["title"] for feed in output["feeds"]] == ["News of the coast", "Notes"]
    assert output["skipped"][0]["source"] == "missing.xml"
    assert "no file or folder" in output["skipped"][0]["reason"]


async def test_a_page_leads_to_the_feeds_that_it_links(ctx: FolderContext, site: Site) -> None:
    site.answers["/"] = Answer(
        b"<!doctype html><html><head><link rel='stylesheet' href='/style.css'>"
        b"<link rel='alternate' type='application/rss+xml' title='Posts' href='/posts.xml'>"
        b"<link rel='alternate' type='application/feed+json' href='comments.json'>"
        b"<link rel='alternate' hreflang='de' href='/de/'></head></html>"
    )
    output = await search(ctx, site.url(""))
    assert [(feed["url"], feed["title"], feed["kind"]) for feed in output["feeds"]] == [
        (site.url("/posts.xml"), "Posts", "rss"),
        (site.url("/comments.json"), "127.0.0.1/comments.json", "json"),
    ]
    assert site.paths() == ["/"]


async def test_a_page_without_links_is_asked_at_the_usual_addresses(ctx: FolderContext, site: Site) -> None:
    site.answers["/blog/"] = Answer(b"<html><body>Hello</body></html>")
    site.answers["/feed"] = Answer(b"<html>not here</html>")
    site.answers["/atom.xml"] = Answer(ATOM)
    output = await search(ctx, site.url("/blog/"))
    assert [(feed["url"], feed["title"], feed["kind"]) for feed in output["feeds"]] == [
        (site.url("/atom.xml"), "Notes", "atom")
    ]
    assert site.paths() == ["/blog/", "/feed", "/rss.xml", "/atom.xml"]


async def test_a_list_from_the_network_cannot_name_local_files(ctx: FolderContext, site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_bytes(FEED)
    outlines = "".join(f'<outline xmlUrl="{u}"/>' for u in (secret.as_uri(), str(secret), "https://ok.example/feed"))
    site.answers["/list.opml"] = Answer(f'<opml version="2.0"><body>{outlines}</body></opml>'.encode())
    output = await search(ctx, site.url("/list.opml"))
    assert {feed["url"] for feed in output["feeds"]} == {site.url(str(secret)), "https://ok.example/feed"}
    assert "only http(s)" in output["skipped"][0]["reason"]


async def test_lists_that_name_each_other_end(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "news.xml").write_bytes(FEED)
    (tmp_path / "a.txt").write_text("./b.txt\n./news.xml\n")
    (tmp_path / "b.txt").write_text("./a.txt\n./b.txt\n")
    output = await search(ctx, str(tmp_path / "a.txt"))
    assert [feed["title"] for feed in output["feeds"]] == ["News of the coast"]


async def test_feeds_named_after_the_topic_come_first_and_the_limit_is_said(ctx: FolderContext, tmp_path: Path) -> None:
    for name in ("Alpha", "Battery weekly", "Gamma"):
        (tmp_path / f"{name}.xml").write_bytes(rss(name, ("A", "b")))
    output = await search(ctx, str(tmp_path), topic="batteries", limit=2)
    assert [feed["title"] for feed in output["feeds"]] == ["Battery weekly", "Alpha"]
    assert output["skipped"][0]["reason"] == "beyond the limit of 2 feeds"


async def test_several_sources_are_joined_without_repeats(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "news.xml").write_bytes(FEED)
    output = await search(ctx, [str(tmp_path), str(tmp_path / "news.xml"), (tmp_path / "news.xml").as_uri()])
    assert len(output["feeds"]) == 1


async def test_nothing_usable_is_refused_with_the_reasons(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    with pytest.raises(Terminal) as raised:
        await search(ctx, ["/no/such/file.opml", str(tmp_path / "noise.bin")])
    assert raised.value.code == "no_source"
    assert str(raised.value).startswith("sources: expected at least one feed, found none (/no/such/file.opml: no file")


async def test_a_network_that_fails_is_tried_again_later(ctx: FolderContext, site: Site) -> None:
    site.answers["/"] = Answer(status=503, headers={"Retry-After": "30"})
    with pytest.raises(Retry) as raised:
        await search(ctx, site.url("/"))
    assert raised.value.after_s == 30.0


@pytest.mark.parametrize(
    ("inputs", "start"),
    [
        ({}, "sources: expected a path, an address or a list of them, found nothing"),
        ({"sources": {"a": 1}}, "sources: expected a path, an address or a list of them, found an object"),
        ({"sources": ["ok", ""]}, 'sources[1]: expected a path or an address, found ""'),
        ({"sources": ["x"] * 201}, "sources: expected at most 200 entries, found a list of 201"),
        ({"sources": "x", "topic": 3}, "topic: expected a text, found 3"),
        ({"sources": "x", "limit": 0}, "limit: expected a whole number from 1 to 1000, found 0"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_by_name(
    ctx: FolderContext, inputs: dict[str, Any], start: str
) -> None:
    with pytest.raises(Terminal) as raised:
        await find(inputs, ctx)
    assert str(raised.value).startswith(start)


async def test_files_of_a_folder_that_are_no_feeds_are_named_with_the_reason(
    ctx: FolderContext, tmp_path: Path
) -> None:
    # given a feed among files that are none
    (tmp_path / "news.xml").write_bytes(FEED)
    (tmp_path / "empty.xml").touch()
    (tmp_path / "noise.rss").write_bytes(bytes(range(256)))
    (tmp_path / "notes.txt").write_text("buy flour")
    (tmp_path / ".hidden").touch()
    # when the folder is looked at
    output = await search(ctx, str(tmp_path))
    # then each of the others is said to have given nothing, and why
    assert [feed["title"] for feed in output["feeds"]] == ["News of the coast"]
    reasons = {Path(s["source"]).name: s["reason"] for s in output["skipped"]}
    assert reasons == {
        "empty.xml": "the file is empty",
        "noise.rss": "neither a feed nor an OPML file",
        "notes.txt": "not opened: in a folder only files whose names end in "
        ".atom, .feed, .json, .opml, .rdf, .rss, .xml are",
    }
    assert output["skipped_total"] == 3


async def test_many_files_of_other_kinds_do_not_crowd_out_what_else_was_skipped(
    ctx: FolderContext, tmp_path: Path
) -> None:
    (tmp_path / "news.xml").write_bytes(FEED)
    for number in range(250):
        (tmp_path / f"{number:03d}.png").touch()
    output = await search(ctx, [str(tmp_path), str(tmp_path / "missing.xml")])
    assert len(output["skipped"]) == 22
    assert output["skipped"][20]["reason"].startswith("230 more files were not opened")
    assert output["skipped"][21]["source"].endswith("missing.xml")
    assert output["skipped_total"] == 251


async def test_what_is_skipped_beyond_the_bound_is_counted(ctx: FolderContext, tmp_path: Path) -> None:
    (tmp_path / "news.xml").write_bytes(FEED)
    lines = "".join(f"./gone-{number}.xml\n" for number in range(230))
    (tmp_path / "list.txt").write_text(f"./news.xml\n{lines}")
    output = await search(ctx, str(tmp_path / "list.txt"))
    assert (len(output["skipped"]), output["skipped_total"]) == (200, 230)


async def test_plain_links_of_a_page_that_look_like_feeds_are_opened(ctx: FolderContext, site: Site) -> None:
    # given a listing of a folder, as web servers make them
    site.answers["/feeds/"] = Answer(
        b"<html><head><title>Index of /feeds/</title></head><body><a href='../'>../</a>"
        b"<a href='crumb.xml'>crumb.xml</a><a href='crumb.xml#top'>again</a><a href='map.xml'>map.xml</a>"
        b"<a href='gone.rss'>gone</a><a href='/blog/rss/'>RSS</a><a href='photo.png'>photo</a>"
        b"<a href='mailto:a@b.example'>mail</a><a href='javascript:x.xml'>x</a></body></html>"
    )
    site.answers["/feeds/crumb.xml"] = Answer(FEED)
    site.answers["/feeds/map.xml"] = Answer(b"<urlset/>")
    site.answers["/blog/rss/"] = Answer(ATOM)
    # when the page is a source
    output = await search(ctx, site.url("/feeds/"))
    # then its feeds are found, each link is opened once, and the others are named
    assert [(feed["url"], feed["title"], feed["kind"]) for feed in output["feeds"]] == [
        (site.url("/feeds/crumb.xml"), "News of the coast", "rss"),
        (site.url("/blog/rss/"), "Notes", "atom"),
    ]
    assert site.paths() == ["/feeds/", "/feeds/crumb.xml", "/feeds/map.xml", "/feeds/gone.rss", "/blog/rss/"]
    assert [(s["source"], s["reason"]) for s in output["skipped"]] == [
        (site.url("/feeds/map.xml"), "linked by a page, but neither a feed nor an OPML file"),
        (site.url("/feeds/gone.rss"), "the server answered 404"),
    ]


async def test_plain_links_come_after_the_alternate_links_and_are_bounded(ctx: FolderContext, site: Site) -> None:
    links = "".join(f"<a href='/{number}.xml'>{number}</a>" for number in range(40))
    site.answers["/"] = Answer(
        b"<html><head><link rel='alternate' type='application/rss+xml' title='Posts' href='/posts.xml'></head><body>"
        b"<a href='/posts.xml'>RSS</a>" + links.encode() + b"</body></html>"
    )
    site.answers["/0.xml"] = Answer(FEED)
    output = await search(ctx, site.url("/"))
    assert [feed["title"] for feed in output["feeds"]] == ["Posts", "News of the coast"]
    assert site.paths() == ["/", *(f"/{number}.xml" for number in range(20))]
    assert output["skipped"][-1]["reason"] == "20 more links that look like feeds were not opened"
