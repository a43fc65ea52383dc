"""The worker `report-builder`: what the report says, and that hostile text stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.sdk import Terminal
from stagewright.workers.content.report_builder import build, markdown_text
from stagewright.workers.content.source_list import web_address
from tests.unit.content.support import FolderContext

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'


def article(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"a{number}",
        "title": f"Solar park {number} opened",
        "url": f"https://n.example/{number}",
        "content_text": f"Solar park number {number} was opened in the county of Marl. Visitors came from far away.",
        "published": f"2026-0{number % 6 + 1}-15T08:00:00Z",
        "feed_title": "News",
        "feed_url": "https://n.example/feed",
        "score": 0.9 - number / 20,
        "relevant": True,
        "labels": ["Projects & deployment"],
        "language": "en",
        "reason": "“solar” in the title",
    } | more


class Page(HTMLParser):
    """Collects the tags, attributes and texts of a page as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


async def report(ctx: FolderContext, articles: list[dict[str, Any]], **more: Any) -> tuple[Any, str, str]:
    result = await build({"topic": "solar parks", "articles": articles, **more}, ctx)
    return result.output, (ctx.folder / "report.html").read_text(), (ctx.folder / "report.md").read_text()


async def test_a_report_names_what_was_found_and_where(ctx: FolderContext) -> None:
    feeds = [
        {"url": "https://n.example/feed", "title": "News", "items": 9, "status": "ok", "detail": ""},
        {"url": "https://gone.example/feed", "title": "Gone", "items": 0, "status": "failed", "detail": "answered 404"},
    ]
    dropped = {
        "duplicates": [{"id": "x", "duplicate_of": "a1", "similarity": 0.87, "title": "Again", "feed_title": "Copy"}],
        "irrelevant": 1,
    }
    articles = [article(n) for n in range(8)] + [article(8, title="Bread prices", relevant=False, score=0.05)]
    output, page, text = await report(ctx, articles, feeds=feeds, dropped=dropped)
    assert output["title"] == "Market research: solar parks"
    assert output["articles"] == 8
    assert output["labels"] == {"Projects & deployment": 8}
    assert 1 <= len(output["highlights"]) <= 5
    assert output["findings"][0] == "8 of 10 articles read fit “solar parks”, from 15 January 2026 to 15 June 2026."
    assert "1 of 2 sources could not be read; see the list of sources." in output["findings"]
    assert [a["name"] for a in output["artifacts"]] == ["report.html", "report.md"]
    assert [a["media_type"].split(";")[0] for a in output["artifacts"]] == ["text/html", "text/markdown"]
    for shown in (page, text):
        assert "Solar park 3 opened" in shown
        assert "answered 404" in shown
        assert "Bread prices" in shown
        assert "87 % alike" in shown
    assert "[Solar park 0 opened](https://n.example/0)" in text


async def test_the_page_needs_nothing_from_outside_and_draws_every_dated_article(ctx: FolderContext) -> None:
    articles = [article(n) for n in range(5)] + [article(5, published=None)]
    _, page, _ = await report(ctx, articles)
    seen = Page(page)
    assert "script" not in seen.tags
    assert not {"img", "iframe", "object", "embed", "source"} & set(seen.tags)
    assert [value for name, value in seen.attributes if name == "src"] == []
    assert seen.tags.count("circle") == 5
    assert seen.tags.count("rect") == 5
    assert "url(" not in page and "@import" not in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


async def test_hostile_text_stays_text_wherever_it_comes_from(ctx: FolderContext) -> None:
    bad = article(
        1,
        title=HOSTILE,
        summary=HOSTILE,
        content_text=f"Solar parks are here. {HOSTILE} and more of the same text follows here.",
        url='https://n.example/"onmouseover="alert(3)',
        feed_title=HOSTILE,
        labels=[HOSTILE],
        language=HOSTILE,
        reason=HOSTILE,
    )
    _, page, text = await report(
        ctx,
        [bad, article(2, url="javascript:alert(4)"), article(3, relevant=False, title=HOSTILE)],
        title=HOSTILE,
        feeds=[{"url": "javascript:alert(5)", "title": HOSTILE, "items": 1, "status": HOSTILE, "detail": HOSTILE}],
        dropped={"duplicates": [{"id": HOSTILE, "duplicate_of": HOSTILE, "title": HOSTILE}]},
        keyphrases=[{"phrase": HOSTILE, "count": 3}],
    )
    seen = Page(page)
    assert not {"script", "img"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [v for name, v in seen.attributes if name == "href" and not v.startswith("https://n.example/")]
    assert "49" not in re.findall(r"onerror=alert\(2\)&gt;(\d+)", page)
    assert "<script" not in text and "<img" not in text
    assert "](javascript" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. not a list", "1\\. not a list"),
        ("- not a list", "\\- not a list"),
        ("*bold* [x](y) `c`", "\\*bold\\* \\[x\\](y) \\`c\\`"),
        ("a | b\n# c", "a \\| b \\# c"),
        ("R&D &lt;b&gt;", "R&D &amp;lt;b&amp;gt;"),
        ("0.65", "0.65"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


@given(st.text())
def test_no_text_brings_a_tag_or_a_line_into_markdown(text: str) -> None:
    shown = markdown_text(text)
    assert "<" not in shown and ">" not in shown.replace("&gt;", "")
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://", "x", None, 3]
)
def test_only_web_addresses_become_links(url: object) -> None:
    assert web_address(url) is None


async def test_articles_that_nobody_classified_still_make_a_report(ctx: FolderContext) -> None:
    output, page, _ = await report(ctx, [{"title": "Only a title"}])
    assert output["articles"] == 1
    assert output["labels"] == {"Other": 1}
    assert "undated" in page


async def test_a_report_about_nothing_says_so(ctx: FolderContext) -> None:
    output, page, text = await report(ctx, [article(1, relevant=False)])
    assert output["articles"] == 0
    assert output["findings"] == ["The one article read does not fit “solar parks”."]
    assert "The one article read" in page and "The one article read" in text
    assert "1 article off topic" in page and "1 article does not fit the topic" in text
    output, _, _ = await report(ctx, [article(1, relevant=False), article(2, relevant=False)])
    assert output["findings"] == ["None of the 2 articles read fits “solar parks”."]


async def test_one_is_said_in_the_singular(ctx: FolderContext) -> None:
    feeds = [
        {"url": "https://n.example/feed", "title": "News", "items": 1, "status": "ok"},
        {"url": "https://m.example/feed", "title": "More", "items": 1, "status": "ok"},
    ]
    dropped = {"duplicates": [{"id": "x", "duplicate_of": "a1", "title": "Again"}]}
    output, page, text = await report(ctx, [article(1)], feeds=feeds, dropped=dropped)
    assert output["findings"][0] == "1 of 2 articles read fits “solar parks”."
    assert "News had most to say: its only article fits." in output["findings"]
    assert "1 repeat of another article" in page and "1 article repeats another one" in text
    assert " · 1 article · 2 sources*" in text
    output, _, _ = await report(ctx, [article(1)], feeds=feeds[:1])
    assert output["findings"][0] == "1 of 1 article read fits “solar parks”."


async def test_every_source_that_was_tried_is_listed_with_the_reason(ctx: FolderContext) -> None:
    # given a feed that was read, one that failed, and what the finder skipped
    feeds = [
        {"url": "https://n.example/feed", "title": "News", "items": 8, "status": "ok", "detail": ""},
        {"url": "https://gone.example/feed", "title": "Gone", "items": 0, "status": "failed", "detail": "no answer"},
    ]
    skipped = [
        {"source": "https://lost.example/rss", "reason": "the server answered 404"},
        {"source": "/srv/ann/feeds/empty.xml", "reason": "no file or folder at /srv/ann/feeds/empty.xml; mend it"},
        {"source": HOSTILE, "reason": HOSTILE},
    ]
    # when the report is written
    more = {"feeds": feeds, "skipped": skipped, "skipped_total": 40}
    output, page, text = await report(ctx, [article(n) for n in range(8)], **more)
    # then both forms of it have all of them
    for shown in (page, text):
        assert "lost.example/rss" in shown and "the server answered 404" in shown
        assert "empty.xml" in shown and "no file or folder at empty.xml; mend it" in shown
        assert "/srv/ann" not in shown
        assert "and 37 more" in shown
        assert "<script" not in shown.split("</style>")[-1]
    assert "40 sources were skipped; see the list of sources." in output["findings"]
    # and few are read in full: the rest is counted
    many = [{"source": f"https://x.example/{n}", "reason": "empty"} for n in range(150)]
    _, page, text = await report(ctx, [article(1)], feeds=feeds, skipped=many)
    assert "x.example/99" in page and "x.example/100" not in page
    assert "and 50 more" in page and "and 50 more" in text


def loaf(number: int, *phrases: str, **more: Any) -> dict[str, Any]:
    text = f"Loaf number {number} was baked at home with much patience and eaten within the hour by all."
    own = {"title": f"Loaf {number}", "content_text": text, "labels": ["Other"], "keyphrases": list(phrases)}
    return article(number, **own) | more


async def test_articles_that_no_label_fits_are_grouped_by_the_phrases_that_they_share(ctx: FolderContext) -> None:
    # given a topic that the taxonomy has no words for
    articles = [loaf(0, "rye flour"), loaf(1, "rye flour", "hot oven"), loaf(2, "hot oven"), loaf(3, "rye flour")]
    articles += [loaf(4, "hot oven"), loaf(5, labels=["Technology & research"]), loaf(6, "cold night")]
    phrases = [{"phrase": "hot oven", "count": 3}, {"phrase": "cold night", "count": 2}]
    phrases += [{"phrase": "rye flour", "count": 3}]
    # when the report is written
    output, page, text = await report(ctx, articles, keyphrases=phrases)
    # then its sections are phrases, and nothing is said about labels
    sections = ["Hot oven (3)", "Rye flour (2)", "Other articles (2)"]
    assert re.findall(r"^## (.* \(\d\))$", text, re.M) == sections
    assert output["findings"][1] == "What they share most: “hot oven” (3 articles), “rye flour” (3), “cold night” (2)."
    assert not any("about" in line for line in output["findings"])
    assert "Labels" not in text and "Technology &amp; research" not in page
    assert 'class="legend"' not in page and "coloured by label" not in page
    assert set(re.findall(r"fill:var\((--c\d)\)", page)) == {"--c0"}
    assert output["labels"] == {"Other": 6, "Technology & research": 1}


async def test_articles_that_share_nothing_are_one_section_best_first(ctx: FolderContext) -> None:
    output, _, text = await report(ctx, [loaf(n) for n in range(3)])
    assert re.findall(r"^## (.* \(\d\))$", text, re.M) == ["Articles, best fit first (3)"]
    assert output["findings"][1] == "The best fit is “Loaf 0” (News, 15 January 2026)."
    assert "Other" not in text


async def test_labels_that_fit_most_articles_stay(ctx: FolderContext) -> None:
    articles = [loaf(n) for n in range(3)] + [article(n) for n in range(3, 7)]
    output, page, _ = await report(ctx, articles)
    assert output["findings"][1] == "What they are about, most first: Projects & deployment (4), Other (3)."
    assert 'class="legend"' in page


async def test_the_busiest_months_are_named_unless_many_are_alike(ctx: FolderContext) -> None:
    days = ["2026-01-05", "2026-02-05", "2026-03-05"]
    output, _, _ = await report(ctx, [article(n, published=day) for n, day in enumerate(days)])
    assert not any("busiest" in line for line in output["findings"])
    output, _, _ = await report(ctx, [article(n, published=day) for n, day in enumerate([*days, "2026-02-09"])])
    assert "The busiest month was February 2026 with 2 articles." in output["findings"]
    days += ["2026-02-09", "2026-01-09"]
    output, _, _ = await report(ctx, [article(n, published=day) for n, day in enumerate(days)])
    assert "The busiest months were January 2026 and February 2026 with 2 articles each." in output["findings"]


async def test_recurring_phrases_are_sorted_by_number(ctx: FolderContext) -> None:
    phrases = [{"phrase": "b", "count": 2}, {"phrase": "c", "count": 5}, {"phrase": "a", "count": 2}]
    _, page, text = await report(ctx, [article(1)], keyphrases=phrases)
    assert "**Recurring:** c (5), b (2), a (2)" in text
    assert re.findall(r"<li>(.) <small>", page) == ["c", "b", "a"]


async def test_an_article_without_a_title_is_called_by_the_beginning_of_its_text(ctx: FolderContext) -> None:
    _, _, text = await report(ctx, [article(1, title="")])
    assert "### [Solar park number 1 was opened in the county of Marl. Visitors came from far…](" in text


async def test_a_comprehensive_report_repeats_more_and_says_why(ctx: FolderContext) -> None:
    articles = [article(n) for n in range(7)]
    _, quick, _ = await report(ctx, articles, depth="quick")
    _, comprehensive, _ = await report(ctx, articles, depth="comprehensive")
    assert quick.count("<article>") == 5
    assert comprehensive.count("<article>") == 7
    assert "Why: “solar” in the title" in comprehensive
    assert "Why: “solar” in the title" not in quick


async def test_years_of_articles_are_drawn_by_year(ctx: FolderContext) -> None:
    articles = [article(n, published=f"{2010 + n}-03-01T00:00:00Z") for n in range(9)]
    _, page, _ = await report(ctx, articles)
    assert "Articles per year" in page
    assert page.count("<rect") == 9


@pytest.mark.parametrize(
    ("inputs", "start"),
    [
        ({"articles": []}, "topic: expected a text, found nothing"),
        ({"topic": "x", "articles": "all"}, 'articles: expected a list of articles, found "all"'),
        ({"topic": "x", "articles": [], "depth": "deep"}, 'depth: expected quick or comprehensive, found "deep"'),
        ({"topic": "x", "articles": [], "feeds": ["u"]}, "feeds: expected a list of objects, found a list of 1"),
        ({"topic": "x", "articles": [], "dropped": 3}, "dropped: expected an object with duplicates, found 3"),
        ({"topic": "x", "articles": [], "title": ""}, 'title: expected a text, found ""'),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_by_name(
    ctx: FolderContext, inputs: dict[str, Any], start: str
) -> None:
    with pytest.raises(Terminal) as raised:
        await build(inputs, ctx)
    assert str(raised.value).startswith(start)
