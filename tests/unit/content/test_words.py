"""Clean text, sentences, stems, languages, phrases and summaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.workers.content.keyphrases import keyphrases
from stagewright.workers.content.language import detect
from stagewright.workers.content.text import clean, plain_text, sentences, stem, terms
from stagewright.workers.content.textrank import select, summarise


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain & simple", "plain & simple"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<p>One <b>bold</b>er</p><p>two</p>", "One bolder\ntwo"),
        ("a<br>b<ul><li>c<li>d</ul>", "a\nb\nc\nd"),
        ("x<script>alert(1)</script><style>p{}</style>y", "xy"),
        ("R&amp;D &lt;b&gt;", "R&D <b>"),
        ("<img src=x onerror=alert(1)>seen", "seen"),
        ("<!-- hidden -->seen", "seen"),
        ("bat\u00adtery\u202e \x00end", "battery end"),
    ],
)
def test_markup_is_reduced_to_what_a_reader_sees(markup: str, text: str) -> None:
    assert plain_text(markup, limit=1_000) == text


@given(st.text(), st.integers(1, 50))
def test_clean_text_is_bounded_storable_and_stays_as_it_is(text: str, limit: int) -> None:
    once = clean(text, limit=limit)
    assert len(once) <= limit
    once.encode()
    assert clean(once, limit=limit) == once


def test_sentences_end_at_stops_but_not_at_abbreviations() -> None:
    text = "Dr. Ito sold 3.5 GW, i.e. a lot. Prices fell! “Why?” She left\nA heading\nThe end"
    assert sentences(text, limit=10) == [
        "Dr. Ito sold 3.5 GW, i.e. a lot.",
        "Prices fell!",
        "“Why?”",
        "She left",
        "A heading",
        "The end",
    ]
    assert len(sentences("One is here. " * 50, limit=7)) == 7


def test_plurals_and_possessives_are_one_word() -> None:
    assert [stem(w) for w in ("batteries", "prices", "grids", "gas", "loss", "status")] == [
        "battery",
        "price",
        "grid",
        "gas",
        "loss",
        "status",
    ]
    assert terms("The grid's 3 lithium-ion batteries") == ["grid", "lithium", "ion", "battery"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The price of storage fell for the third year, and it is not clear what will follow."),
        ("de", "Der Speicher ist nicht nur groß, sondern auch für das Netz von Nutzen."),
        ("fr", "Le stockage est une des clés du réseau, et les prix sont plus bas que prévu."),
        ("es", "El precio de las baterías no es lo que más preocupa a los operadores de la red."),
        ("it", "Il prezzo delle batterie non è più il problema che era, ma la rete è lenta."),
        ("pt", "O preço das baterias não é o que mais preocupa os operadores da rede, são as licenças."),
        ("nl", "De prijs van opslag is niet het enige dat het net voor de bouw van batterijen nodig heeft."),
        ("sv", "Priset på lagring är inte det som oroar mest, men det är svårt att få nätet att räcka till."),
        ("pl", "Cena magazynów nie jest tym, co najbardziej martwi operatorów, ale przyłączenie do sieci już tak."),
        ("cs", "Cena není to, co provozovatele nejvíce trápí, ale připojení k síti je stále pomalé a drahé."),
        ("ru", "Цена хранения падает, и это не то, что беспокоит операторов сети."),
        ("el", "Η τιμή της αποθήκευσης πέφτει"),
        ("ja", "電力の価格は今年も下がりました"),
        ("zh", "电池价格今年继续下降"),
        ("und", "GW 300 Brackwater"),
    ],
)
def test_the_language_of_a_sentence_is_told(language: str, text: str) -> None:
    assert detect(text) == language


def test_a_declared_language_decides_only_where_the_text_does_not() -> None:
    assert detect("Brackwater 300", "en-GB") == "en"
    assert detect("Der Preis ist nicht so hoch, wie es die Behörde für das Netz sagt.", "en") == "de"
    assert detect("", "nonsense") == "und"


def test_phrases_of_several_texts_are_found_once_and_amounts_are_none() -> None:
    texts = [
        "The heat pump market grew by two million units.",
        "A Heat Pump costs less.",
        "Heat pumps, two million of them.",
    ]
    found = keyphrases(texts, ["en"] * 3, limit=5)
    assert [(p.phrase, p.articles) for p in found] == [("heat pump", (0, 1, 2))]


def test_a_summary_takes_the_sentences_that_share_most_and_keeps_their_order() -> None:
    text = [
        "Wholesale prices fell in spring as solar power flooded the grid.",
        "Lunch was served at noon on the terrace behind the hall.",
        "Batteries earn money from the spread of wholesale prices on the grid.",
        "Solar power at noon and batteries in the evening narrow that spread.",
    ]
    assert summarise(text, count=3) == [0, 2, 3]
    assert summarise(text, count=1, topic="wholesale prices") == [2]
    assert summarise([], count=3) == []


def test_a_sentence_is_never_chosen_twice_in_other_clothes() -> None:
    twice = "The storage site feeds the grid with power from many batteries"
    text = [f"{twice}.", f"{twice} today.", "A regulator opened the queue for new connections in spring."]
    assert len(select(text, [1.0, 1.0, 1.0], count=3)) == 2


@given(st.lists(st.text(max_size=80), max_size=12), st.integers(1, 4))
def test_any_sentences_can_be_ranked(text: list[str], count: int) -> None:
    found = select(text, [0.0] * len(text), count=count)
    assert len(found) == len(set(found)) <= count
