"""Phrases that several articles of a corpus share. Pure functions.

Source: S. Rose et al., "Automatic keyword extraction from individual documents", in: Text Mining, Wiley 2010 (RAKE):
runs of words between stop words and punctuation, scored by degree over frequency of their words. Over a corpus the
score is multiplied by the number of articles that have the phrase, as one that a single article has describes nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stagewright.workers.content.language import small_words
from stagewright.workers.content.text import AMOUNTS, STOP_WORDS, stem, words

PHRASE_WORDS_MIN = 2
PHRASE_WORDS_MAX = 3
ARTICLES_MIN = 2  # that have the phrase
_BREAK = re.compile(r"[.,;:!?…()\[\]{}\"“”„«»|/\n–—]+")


@dataclass(frozen=True, slots=True)
class Keyphrase:
    """A phrase in its commonest spelling, and the places in the corpus of the articles that have it, ascending."""

    phrase: str
    articles: tuple[int, ...]


def keyphrases(texts: Sequence[str], languages: Sequence[str], *, limit: int) -> list[Keyphrase]:
    """Return at most `limit` phrases of two or three words that at least two texts share, best first."""
    spellings: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for index, (text, language) in enumerate(zip(texts, languages, strict=True)):
        for run in _runs(text, STOP_WORDS | small_words(language)):
            stems = tuple(map(stem, run))
            for word in stems:
                frequency[word] += 1
                degree[word] += len(stems)
            for size in range(PHRASE_WORDS_MIN, PHRASE_WORDS_MAX + 1):
                for start in range(len(run) - size + 1):
                    key = stems[start : start + size]
                    spellings[key][" ".join(run[start : start + size])] += 1
                    owners[key].add(index)
    scores = {
        key: len(have) * sum(degree[word] / frequency[word] for word in key)
        for key, have in owners.items()
        if len(have) >= ARTICLES_MIN
    }
    ranked = sorted(scores, key=lambda key: (-scores[key], key))
    return [
        Keyphrase(spellings[key].most_common(1)[0][0], tuple(sorted(owners[key])))
        for key in _without_parts(ranked, owners, limit)
    ]


def _runs(text: str, stop: frozenset[str]) -> list[list[str]]:
    """Return the runs of meaningful words between stop words and punctuation."""
    runs: list[list[str]] = []
    for fragment in _BREAK.split(text):
        run: list[str] = []
        for word in words(fragment):
            if word in stop or stem(word) in AMOUNTS or len(word) < 2 or not word[0].isalpha():
                runs.append(run)
                run = []
            else:
                run.append(word)
        runs.append(run)
    return [run for run in runs if run]


def _without_parts(
    ranked: Sequence[tuple[str, ...]], owners: dict[tuple[str, ...], set[int]], limit: int
) -> list[tuple[str, ...]]:
    """Drop a phrase that overlaps a better one and is found in mostly the same articles."""
    kept: list[tuple[str, ...]] = []
    for key in ranked:
        if len(kept) >= limit:
            break
        overlapping = (other for other in kept if set(key) & set(other))
        if all(len(owners[key] & owners[other]) < 0.6 * len(owners[key]) for other in overlapping):
            kept.append(key)
    return kept
