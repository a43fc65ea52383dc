"""Reading feeds of all kinds, and bytes that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.workers.content.feeds import NotAFeed, parse_feed
from tests.unit.content.support import rss

FRAGMENTS = [
    b"<rss version='2.0'>",
    b"<channel>",
    b"<item>",
    b"</item>",
    b"<title>",
    b"</title>",
    b"<![CDATA[",
    b"]]>",
    b"&",
    b"<feed ",
    b"xmlns='http://www.w3.org/2005/Atom'>",
    b"<entry>",
    b"<pubDate>",
    b"\xff\xfe",
    b"\x00",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"&#xD800;",
    b'{"version": "https://jsonfeed.org/version/1.1"',
    b', "items": [',
    b"{}",
    b"]}",
    b"\xed\xa0\x80",
    b"<link href='http://[bad'/>",
    b"99999-99-99T99:99:99Z",
]


@given(st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join)))
def test_any_bytes_give_a_feed_or_a_refusal_and_the_feed_is_storable(body: bytes) -> None:
    try:
        feed = parse_feed(body, url="https://feed.example/")
    except NotAFeed as refusal:
        assert str(refusal).startswith("expected")
        return
    json.dumps(feed.articles, ensure_ascii=False).encode()
    assert all(article["title"] and "<script" not in article["content_text"] for article in feed.articles)


def test_an_entity_bomb_stays_small() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE r [<!ENTITY e0 "ha">{levels}]><rss version="2.0"><channel><title>&e9;</title></channel></rss>'
    try:
        feed = parse_feed(body.encode(), url="https://feed.example/")
    except NotAFeed:
        return
    assert len(feed.title) <= 300


def test_a_link_with_a_scheme_that_could_do_harm_is_dropped() -> None:
    body = rss("N", ("T", "text")).replace(b"https://news.example/0", b"javascript:alert(1)")
    assert parse_feed(body, url="https://feed.example/").articles[0]["url"] is None


def test_a_relative_link_is_taken_from_the_address_of_the_feed() -> None:
    body = json.dumps({"version": "https://jsonfeed.org/version/1", "title": "J", "items": [{"id": 1, "url": "/a"}]})
    (article,) = parse_feed(body.encode(), url="https://feed.example/x/feed.json").articles
    assert article["url"] == "https://feed.example/a"
    assert article["title"] == "Untitled"


def test_an_item_that_is_repeated_counts_once_and_ids_stay_the_same() -> None:
    body = rss("N", ("T", "text"), ("T", "text")).replace(b"N-1", b"N-0")
    first = parse_feed(body, url="https://feed.example/").articles
    assert len(first) == 1
    assert first == parse_feed(body, url="https://feed.example/").articles
    assert first[0]["id"] != parse_feed(body, url="https://other.example/").articles[0]["id"]


@pytest.mark.parametrize("date", ["0000-00-00", "1066-10-14T00:00:00Z", "9999-12-31T23:59:59-12:00", "soon", 7, None])
def test_a_date_that_makes_no_sense_is_none(date: object) -> None:
    items = [{"id": "1", "title": "T", "date_published": date}]
    body = json.dumps({"version": "https://jsonfeed.org/version/1", "title": "J", "items": items})
    assert parse_feed(body.encode(), url="https://feed.example/").articles[0]["published"] is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "found nothing"),
        (b"<!doctype html><html></html>", "found a web page"),
        (b"<?xml version='1.0'?><svg/>", "found XML of another kind"),
        (b'{"a": 1}', "without its version and items"),
        (b'{"a": ', "JSON that cannot be read"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": ' + b"[" * 100_000, "JSON that cannot be read"),
    ],
)
def test_what_is_no_feed_is_named(body: bytes, found: str) -> None:
    with pytest.raises(NotAFeed, match="expected") as raised:
        parse_feed(body, url="https://feed.example/")
    assert found in str(raised.value)


RELATIVE = """<?xml version="1.0"?><rss version="2.0"><channel><title>Crumb</title>{head}
<item><title>Rye</title><link>/2026/11/x</link></item><item><title>Oat</title><link>y</link></item></channel></rss>"""


@pytest.mark.parametrize(
    ("head", "url", "links"),
    [
        (
            "<link>https://crumb.example/blog/</link>",
            "file:///feeds/crumb.xml",
            ["https://crumb.example/2026/11/x", "https://crumb.example/blog/y"],
        ),
        (
            "<link>https://crumb.example/blog/</link>",
            "https://feeds.example/crumb",
            ["https://crumb.example/2026/11/x", "https://crumb.example/blog/y"],
        ),
        ("<link>/blog/</link>", "https://feeds.example/a", ["https://feeds.example/2026/11/x"]),
        ("", "https://feeds.example/a/b", ["https://feeds.example/2026/11/x", "https://feeds.example/a/y"]),
        ("", "file:///feeds/crumb.xml", [None, None]),
        ("<link>javascript:alert(1)</link>", "file:///feeds/crumb.xml", [None, None]),
    ],
)
def test_relative_links_of_rss_are_taken_from_the_link_of_the_channel_or_else_the_address_of_the_feed(
    head: str, url: str, links: list[str | None]
) -> None:
    found = [a["url"] for a in parse_feed(RELATIVE.format(head=head).encode(), url=url).articles]
    assert found[: len(links)] == links


def test_relative_links_of_atom_are_taken_from_its_base_or_else_the_address_of_the_feed() -> None:
    entry = "<entry{}><title>T</title><link href='u'/><id>i{}</id></entry>"
    body = "<feed xmlns='http://www.w3.org/2005/Atom'><title>A</title><link href='https://h.example/'/>{}{}</feed>"
    body = body.format(entry.format("", 1), entry.format(" xml:base='https://b.example/k/'", 2))
    found = [a["url"] for a in parse_feed(body.encode(), url="https://feed.example/x/a.atom").articles]
    assert found == ["https://feed.example/x/u", "https://b.example/k/u"]
    assert parse_feed(body.encode(), url="file:///a.atom").articles[0]["url"] == "https://h.example/u"


CUT = (
    "<rss version='2.0'><channel><title>C</title><item><title>Whole</title><link>https://c.example/</link></item><item>"
)


@pytest.mark.parametrize(
    ("end", "title"),
    [
        ("<link>https://c.example/2</link><title>Keeping a starter ali", "Keeping a starter ali…"),
        ("<guid>2</guid><title><![CDATA[Keeping a <i>starter</i> ali", "Keeping a starter ali…"),
        ("<guid>2</guid><description>Rye flour feeds the yeas", "Rye flour feeds the yeas…"),
        ("<description>Rye feeds it.</description><title>Keeping a starter ali", "Rye feeds it."),
        (
            f"<description>{'Flour and water and time ' * 9}.</description><title>Keep",
            "Flour and water and time Flour and water and time Flour and water and time…",
        ),
        ("<guid>2</guid><title>", "Untitled"),
    ],
)
def test_an_article_whose_title_was_cut_off_is_called_by_the_beginning_of_its_text(end: str, title: str) -> None:
    articles = parse_feed((CUT + end).encode(), url="https://c.example/feed").articles
    assert [a["title"] for a in articles] == ["Whole", title]
