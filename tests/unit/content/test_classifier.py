"""The worker `content-classifier`: relevance, labels, languages and near-duplicates."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.sdk import Terminal
from stagewright.workers.content import demo_sources
from stagewright.workers.content.classifier import classify
from stagewright.workers.content.feed_fetcher import fetch
from stagewright.workers.content.similarity import near_duplicates
from tests.unit.content.support import FolderContext

WORDS = [
    f"{a}{b}{c}" for a in "bdfglmprst" for b in ("ar", "el", "ion", "ume") for c in ("ta", "ker", "sol", "vin", "dox")
]
DEMO = ["grid-ledger.xml", "energy-wire.json", "speicherblick.xml", "kilowatt-notes.atom", "coast-and-county.xml"]


def article(id: str, title: str, text: str = "", **more: Any) -> dict[str, Any]:
    return {"id": id, "title": title, "content_text": text, "published": "2026-05-01T00:00:00Z"} | more


def sort(ctx: FolderContext, topic: str, articles: Any, **more: Any) -> Any:
    output = classify({"topic": topic, "articles": articles, **more}, ctx).output
    json.dumps(output)
    return output


async def demo_articles(ctx: FolderContext) -> list[dict[str, Any]]:
    result = await fetch({"feeds": [str(demo_sources().parent / name) for name in DEMO]}, ctx)
    return list(result.output["articles"])


async def test_the_demo_keeps_what_is_on_the_topic_and_says_why(ctx: FolderContext) -> None:
    output = sort(ctx, "grid battery storage", await demo_articles(ctx))
    relevant = [a for a in output["articles"] if a["relevant"]]
    off_topic = {a["title"] for a in output["articles"] if not a["relevant"]}
    assert len(relevant) == 27
    assert output["dropped"]["irrelevant"] == len(off_topic) == 10
    assert {
        "Rail strike delays coal and grain trains",
        "Harbour bakery wins regional prize",
        "I switched text editors again, and here is my configuration",
        "Offshore wind tender draws nine bids",
        "Wasserstoffzüge fahren wieder nach Plan",
    } <= off_topic
    assert [a["score"] for a in output["articles"]] == sorted((a["score"] for a in output["articles"]), reverse=True)
    reasons = {a["title"]: a["reason"] for a in relevant}
    ministry = reasons["Ministry proposes cap and floor for long-duration storage"]
    assert ministry.startswith("“battery” in the text; “storage” in the title and text; without “grid”")


async def test_the_demo_keeps_the_original_of_each_repeat(ctx: FolderContext) -> None:
    articles = await demo_articles(ctx)
    feeds = {a["id"]: a["feed_title"] for a in articles}
    output = sort(ctx, "grid battery storage", articles)
    repeats = output["dropped"]["duplicates"]
    assert {feeds[r["id"]] for r in repeats} == {"Energy Wire"}
    assert {feeds[r["duplicate_of"]] for r in repeats} == {"The Grid Ledger"}
    assert [r["title"].split()[0] for r in repeats] == ["Northfold", "Survey:", "Brackwater"]
    assert all(0.9 <= r["similarity"] <= 1.0 for r in repeats)


async def test_the_demo_has_its_labels_and_its_german_articles(ctx: FolderContext) -> None:
    output = sort(ctx, "grid battery storage", await demo_articles(ctx))
    labels = {a["title"]: a["labels"] for a in output["articles"]}
    assert output["languages"] == {"en": 25, "de": 2}
    assert labels["Investigators name a coolant leak as root cause of the Halden battery fire"] == [
        "Safety & incidents"
    ]
    assert labels["Northfold buys developer Kessel Storage for 410 million"][0] == "Finance & deals"
    assert labels["Regulator clears the way for batteries to jump the connection queue"][0] == "Policy & regulation"
    assert labels["Advisory warns of unsigned firmware in battery management systems"] == ["Security & privacy"]
    assert {"lithium iron phosphate", "grid connection"} <= {k["phrase"] for k in output["keyphrases"]}


def test_a_word_in_the_title_weighs_more_than_one_in_the_text(ctx: FolderContext) -> None:
    output = sort(
        ctx,
        "heat pumps",
        [
            article("text", "Installers are short of staff", "They mount heat pumps all over the country, they say."),
            article("title", "Heat pumps are short of installers", "Staff is missing all over the country, they say."),
            article("none", "Bread is dearer", "Flour rose all over the country, they say."),
        ],
    )
    assert [a["id"] for a in output["articles"]] == ["title", "text", "none"]
    assert output["articles"][2]["score"] < 0.2 < output["articles"][1]["score"]


def test_an_article_with_all_words_beats_one_that_repeats_a_single_one(ctx: FolderContext) -> None:
    output = sort(
        ctx,
        "quantum batteries",
        [
            article(
                "one", "Battery news", "Battery upon battery upon battery, and a battery again for the battery fair."
            ),
            article("both", "From the laboratory", "A quantum effect makes a battery charge faster than its parts."),
        ],
    )
    assert [a["id"] for a in output["articles"]] == ["both", "one"]


def test_articles_nested_in_the_outputs_of_several_steps_are_joined(ctx: FolderContext) -> None:
    nested = [
        {"articles": [article("a", "Solar roofs")]},
        {"articles": []},
        {"articles": [article("b", "Solar parks")]},
    ]
    assert {a["id"] for a in sort(ctx, "solar", nested)["articles"]} == {"a", "b"}


def test_no_articles_give_an_empty_answer(ctx: FolderContext) -> None:
    output = sort(ctx, "solar", [])
    assert output["articles"] == []
    assert output["dropped"] == {"duplicates": [], "irrelevant": 0}


def test_one_address_is_one_article_whatever_is_hung_onto_it(ctx: FolderContext) -> None:
    output = sort(
        ctx,
        "solar",
        [
            article("a", "Solar one", "Short.", url="https://www.n.example/x/?utm_source=feed&id=3"),
            article("b", "Solar uno", "Rather longer than the other.", url="http://n.example/x?id=3#top"),
            article("c", "Solar three", "Different page.", url="http://n.example/x?id=4"),
        ],
    )
    assert {a["id"] for a in output["articles"]} == {"b", "c"}
    assert [(d["id"], d["duplicate_of"], d["similarity"]) for d in output["dropped"]["duplicates"]] == [("a", "b", 1.0)]


def test_an_excerpt_under_the_same_title_gives_way_to_the_full_text(ctx: FolderContext) -> None:
    full = " ".join(random.Random(7).choices(WORDS, k=200))
    excerpt = " ".join(full.split()[:30])
    articles = [article("excerpt", "Solar growth", excerpt), article("full", "Solar growth", full)]
    assert [a["id"] for a in sort(ctx, "solar", articles)["articles"]] == ["full"]


@given(st.data())
def test_a_text_with_a_few_words_changed_is_found_again(data: st.DataObject) -> None:
    original = data.draw(st.lists(st.sampled_from(WORDS), min_size=80, max_size=200, unique=True))
    changed = list(original)
    for place in data.draw(st.lists(st.integers(0, len(original) - 1), max_size=4)):
        changed[place] = "changed"
    found = near_duplicates_of(" ".join(original), " ".join(changed))
    assert found, "at most 12 of at least 78 shingles differ"


@given(st.integers(), st.integers(20, 200))
def test_texts_with_few_common_runs_of_words_are_kept_apart(seed: int, size: int) -> None:
    chance = random.Random(seed)
    assert not near_duplicates_of(" ".join(chance.choices(WORDS, k=size)), " ".join(chance.choices(WORDS, k=size)))


def near_duplicates_of(first: str, second: str) -> Any:
    return near_duplicates([first, second], [("", "a"), ("", "b")])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"title": st.text(min_size=1)},
            optional={"summary": st.text(), "url": st.text(), "language": st.text(), "published": st.text()},
        ),
        max_size=8,
    ),
    st.text(alphabet="abc é日", min_size=1).filter(lambda topic: any(len(w) > 1 for w in topic.split())),
)
def test_no_text_breaks_it_and_every_article_is_accounted_for(articles: list[dict[str, Any]], topic: str) -> None:
    class Silent:
        def progress(self, fraction: float, message: str = "") -> None:
            pass

    try:
        output = classify({"topic": topic, "articles": articles}, Silent()).output
    except Terminal as refusal:
        assert str(refusal).startswith("topic:")
        return
    json.dumps(output, ensure_ascii=False)
    assert len(output["articles"]) + len(output["dropped"]["duplicates"]) == len(articles)
    assert all(0.0 <= a["score"] <= 1.0 for a in output["articles"])


def test_a_thousand_articles_take_seconds(ctx: FolderContext) -> None:
    chance = random.Random(3)
    many = [article(str(n), f"Solar {n}", " ".join(chance.choices(WORDS, k=120))) for n in range(1_000)]
    before = time.monotonic()
    output = sort(ctx, "solar parks", many)
    assert time.monotonic() - before < 15.0
    assert len(output["articles"]) == 1_000


@pytest.mark.parametrize(
    ("inputs", "start"),
    [
        ({"articles": []}, "topic: expected a text, found nothing"),
        ({"topic": "  ", "articles": []}, "topic: expected a text"),
        ({"topic": "the of and", "articles": []}, "topic: expected at least one word with a meaning of its own"),
        ({"topic": "x" * 501, "articles": []}, "topic: expected at most 500 characters"),
        ({"topic": "solar"}, "articles: expected a list of articles, found nothing"),
        (
            {"topic": "solar", "articles": [{"title": "ok"}, {"id": 1}]},
            "articles[1]: expected an article, found an object",
        ),
        (
            {"topic": "solar", "articles": [{"articles": ["x"]}]},
            'articles[0].articles[0]: expected an article, found "x"',
        ),
        ({"topic": "solar", "articles": [], "min_score": 2}, "min_score: expected a number from 0 to 1, found 2"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(ctx: FolderContext, inputs: dict[str, Any], start: str) -> None:
    with pytest.raises(Terminal) as raised:
        classify(inputs, ctx)
    assert str(raised.value).startswith(start)
    assert raised.value.code == "bad_input"
