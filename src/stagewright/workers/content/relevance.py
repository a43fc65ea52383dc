"""How well articles fit a topic, 0..1, with the reason in words. Pure functions.

Sources: S. Robertson, H. Zaragoza, M. Taylor, "Simple BM25 extension to multiple weighted fields", CIKM 2004 (term
frequencies of title, summary and text are weighted and summed before they saturate); S. Robertson, "On term selection
for query expansion", Journal of Documentation 46(4), 1990 (the words that the best articles share and the others
lack). Unlike BM25 the score is divided by what a perfect article would get, so that a threshold keeps its meaning
from corpus to corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from stagewright.workers.content.text import AMOUNTS, terms

FIELDS = ("title", "summary", "text")
_FIELD_WEIGHTS = {"title": 3.0, "summary": 1.5, "text": 1.0}
_LENGTH_SHARE = {"title": 0.3, "summary": 0.5, "text": 0.6}  # the b of BM25F: how much a long field is discounted
_SATURATION = 0.9  # the k1 of BM25
_WEIGHT_FLOOR = 0.5  # a word of the topic counts even if every article has it

_PREFIX_LETTERS = 6
_FOREIGN_SHARE = 0.8  # of a full score that an article in another language than the topic can have

_PREFIX_WEIGHT = 0.6  # "Batteriespeicher" says less about "battery" than the word itself

Hits = dict[str, dict[str, float]]
"""For each word of the topic that an article has, its weighted count by field."""

FEEDBACK_SCORE_MIN = 0.35
FEEDBACK_ARTICLES_MIN = 3
FEEDBACK_ARTICLES_MAX = 12
RELATED_TERMS = 8
_RELATED_SHARE = 0.35  # of what is missing to 1.0 that related words can add


@dataclass(frozen=True, slots=True)
class Document:
    """The words of one article by field."""

    fields: Mapping[str, Counter[str]]

    @classmethod
    def of(cls, *, title: str, summary: str, text: str) -> Document:
        """Count the meaningful words of each field."""
        parts = zip(FIELDS, (title, summary, text), strict=True)
        return cls({field: Counter(terms(part)) for field, part in parts})


@dataclass(frozen=True, slots=True)
class Relevance:
    """The score of one article, 0..1, the words of the topic it has, and the reason in words."""

    score: float
    matched: tuple[str, ...]
    reason: str


def rank(topic: str, documents: Sequence[Document], languages: Sequence[str]) -> list[Relevance]:
    """Score every document against the topic, in the order given. A topic without a meaningful word scores 0.

    `languages[i]` is the language of document i. The language whose articles have most words of the topic is taken
    for that of the topic. Of articles in another one only those words are asked that it shares ("Batteriespeicher"
    begins with "battery", but a grid is "Netz"), and what they score counts for less.
    """
    asked = list(dict.fromkeys(terms(topic)))
    if not documents or not asked:
        return [Relevance(0.0, (), "the topic has no word to look for") for _ in documents]
    corpus = _Corpus(documents)
    hits = [corpus.hits(i, asked) for i in range(len(documents))]
    weights = _weights_by_language(asked, hits, languages)
    direct = [_score(weights[language], own) for language, own in zip(languages, hits, strict=True)]
    related = corpus.related(direct, asked)
    found = []
    for index, score in enumerate(direct):
        near = corpus.hits(index, list(related), prefixes=False)
        total = score + _RELATED_SHARE * _score(related, near) * (1.0 - score)
        found.append(Relevance(round(total, 4), tuple(hits[index]), _reason(asked, hits[index], near)))
    return found


def _weights_by_language(
    asked: Sequence[str], hits: Sequence[Hits], languages: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return what each word of the topic is worth in each language; the worths of a full match sum to 1 or less."""
    shared: dict[str, set[str]] = {language: set() for language in languages}
    for language, own in zip(languages, hits, strict=True):
        shared[language].update(own)
    size = Counter(languages)
    home = max(shared, key=lambda language: (len(shared[language]), size[language], language))
    weights = _topic_weights(asked, hits)
    found = {}
    for language, known in shared.items():
        is_home = len(known) == len(shared[home])
        expected = {term: w for term, w in weights.items() if is_home or term in known}
        total = sum(expected.values()) / (1.0 if is_home else _FOREIGN_SHARE)
        found[language] = {term: w / total for term, w in expected.items()}
    return found


def _topic_weights(asked: Sequence[str], hits: Sequence[Hits]) -> dict[str, float]:
    """Return what each word of the topic is worth: rare words more, by inverse document frequency.

    A word that no article has gets the mean of the others. Left out, "quantum batteries" would find all
    batteries; at full weight, one odd word would sink everything.
    """
    total = len(hits)
    counts = Counter(term for own in hits for term in own)
    known = {term: _WEIGHT_FLOOR + log(1.0 + (total - n + 0.5) / (n + 0.5)) for term, n in counts.items()}
    mean = sum(known.values()) / len(known) if known else 1.0
    return {term: known.get(term, mean) for term in asked}


class _Corpus:
    """Documents with the statistics that the formulas need."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        self.vocabularies = [frozenset().union(*d.fields.values()) for d in documents]
        self.frequency = Counter(term for words in self.vocabularies for term in words)
        self._forms: dict[str, dict[str, float]] = {}
        self.mean_length = {
            field: max(1.0, sum(d.fields[field].total() for d in documents) / len(documents)) for field in FIELDS
        }

    def hits(self, index: int, asked: Sequence[str], *, prefixes: bool = True) -> Hits:
        """Return for each term that occurs its count by field; words that begin alike count for less."""
        found: Hits = {}
        vocabulary = self.vocabularies[index]
        for term in asked:
            known = self._forms_of(term) if prefixes else {term: 1.0}
            forms = {word: weight for word, weight in known.items() if word in vocabulary}
            if forms:
                found[term] = self._counts(index, forms)
        return found

    def _forms_of(self, term: str) -> dict[str, float]:
        """Return the words of the corpus that stand for a term; looked up once, as the vocabulary is large."""
        if term not in self._forms:
            stub = term[: max(_PREFIX_LETTERS, len(term) - 1)]
            alike = (word for word in self.frequency if len(term) >= _PREFIX_LETTERS and word.startswith(stub))
            self._forms[term] = {word: _PREFIX_WEIGHT for word in alike} | {term: 1.0}
        return self._forms[term]

    def _counts(self, index: int, forms: Mapping[str, float]) -> dict[str, float]:
        counts: dict[str, float] = {}
        for field, words in self.documents[index].fields.items():
            count = sum(words[form] * weight for form, weight in forms.items())
            if count:
                share = _LENGTH_SHARE[field]
                length = 1.0 - share + share * words.total() / self.mean_length[field]
                counts[field] = count * _FIELD_WEIGHTS[field] / max(length, 0.3)
        return counts

    def related(self, scores: Sequence[float], asked: Sequence[str]) -> dict[str, float]:
        """Return words that the best articles share and the others lack, by Robertson's selection value; sum 1."""
        best = sorted(range(len(scores)), key=lambda i: -scores[i])[:FEEDBACK_ARTICLES_MAX]
        best = [i for i in best if scores[i] >= FEEDBACK_SCORE_MIN]
        if len(best) < FEEDBACK_ARTICLES_MIN:
            return {}
        total, chosen = len(self.documents), len(best)
        counts = Counter(term for i in best for term in self.vocabularies[i])
        values: dict[str, float] = {}
        for term, r in counts.items():
            n = self.frequency[term]
            if r < 2 or term in asked or term in AMOUNTS or len(term) < 3:
                continue
            odds = (r + 0.5) * (total - n - chosen + r + 0.5) / ((n - r + 0.5) * (chosen - r + 0.5))
            if odds > 1.0:
                values[term] = r * log(odds)
        ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        total_value = sum(value for _, value in ranked[:RELATED_TERMS])
        return {term: value / total_value for term, value in ranked[:RELATED_TERMS]}


def _score(weights: Mapping[str, float], hits: Hits) -> float:
    gained = 0.0
    for term, counts in hits.items():
        frequency = sum(counts.values())
        gained += weights.get(term, 0.0) * frequency / (frequency + _SATURATION)
    return min(1.0, gained)


def _reason(asked: Sequence[str], hits: Hits, near: Hits) -> str:
    parts = [f"“{term}” in the {_joined(list(counts))}" for term, counts in hits.items()]
    missing = [f"“{term}”" for term in asked if term not in hits]
    if not parts:
        parts.append("no word of the topic occurs")
    elif missing:
        parts.append(f"without {_joined(missing)}")
    if near:
        parts.append("related: " + ", ".join(list(near)[:4]))
    return "; ".join(parts)


def _joined(items: Sequence[str]) -> str:
    if len(items) == 1:
        return items[0]
    return ", ".join(items[:-1]) + " and " + items[-1]
