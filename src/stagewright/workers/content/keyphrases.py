"""Phrases that several articles of a corpus share. Pure functions.

Source: S. Rose et al., "Automatic keyword extraction from individual documents", in: Text Mining, Wiley 2010 (RAKE):
runs of words between stop words and punctuation, scored by degree over frequency of their words. Over a corpus the
score is multiplied by the number of articles that have the phrase, as one that a single article has describes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stagewright.workers.content.language import small_words
from stagewright.workers.content.text import AMOUNTS, STOP_WORDS, stem, words

PHRASE_WORDS_MIN = 2
PHRASE_WORDS_MAX = 3
ARTICLES_MIN = 2  # that have the phrase
CHARS_READ = 3_000  # of each text; phrases that matter come early
Key = tuple[str, ...]  # the stems of a phrase
_BREAK = re.compile(r"[.,;:!?…()\[\]{}\"“”„«»|/\n–—]+")


@dataclass(frozen=True, slots=True)
class Keyphrase:
    """A phrase in its commonest spelling, and the places in the corpus of the articles that have it, ascending."""

    phrase: str
    articles: tuple[int, ...]


def keyphrases(texts: Sequence[str], languages: Sequence[str], *, limit: int) -> list[Keyphrase]:
    """Return at most `limit` phrases of two or three words that at least two texts share, best first."""
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    first: dict[Key, int] = {}
    owners: dict[Key, set[int]] = {}
    for index, text in enumerate(texts):
        for run in _runs(text, STOP_WORDS | small_words(languages[index])):
            stems = tuple(map(stem, run))
            frequency.update(stems)
            for word in stems:
                degree[word] += len(stems)
            for key, _ in _phrases(stems, run):
                # Most phrases occur in one text only; a set for each of them would fill the memory.
                if first.setdefault(key, index) != index:
                    owners.setdefault(key, {first[key]}).add(index)
    scores = {
        key: len(have) * sum(degree[word] / frequency[word] for word in key)
        for key, have in owners.items()
        if len(have) >= ARTICLES_MIN
    }
    ranked = sorted(scores, key=lambda key: (-scores[key], key))
    chosen = _without_parts(ranked, owners, limit)
    spellings = _spellings({key: owners[key] for key in chosen}, texts, languages)
    return [Keyphrase(spellings[key], tuple(sorted(owners[key]))) for key in chosen]


def _phrases(stems: Key, run: Sequence[str]) -> Iterator[tuple[Key, str]]:
    """Yield the phrases within a run, as stems and as they are spelled there."""
    for size in range(PHRASE_WORDS_MIN, PHRASE_WORDS_MAX + 1):
        for start in range(len(run) - size + 1):
            yield stems[start : start + size], " ".join(run[start : start + size])


def _spellings(owners: Mapping[Key, set[int]], texts: Sequence[str], languages: Sequence[str]) -> dict[Key, str]:
    """Return the commonest spelling of each phrase, the first by alphabet where two are as common."""
    counts: dict[Key, Counter[str]] = {key: Counter() for key in owners}
    for index in sorted(set().union(*owners.values())):
        for run in _runs(texts[index], STOP_WORDS | small_words(languages[index])):
            for key, spelling in _phrases(tuple(map(stem, run)), run):
                if key in counts:
                    counts[key][spelling] += 1
    return {key: min(own, key=lambda spelling: (-own[spelling], spelling)) for key, own in counts.items()}


def _runs(text: str, stop: frozenset[str]) -> list[list[str]]:
    """Return the runs of meaningful words between stop words and punctuation."""
    runs: list[list[str]] = []
    for fragment in _BREAK.split(text[:CHARS_READ]):
        run: list[str] = []
        for word in words(fragment):
            if word in stop or stem(word) in AMOUNTS or len(word) < 2 or not word[0].isalpha():
                runs.append(run)
                run = []
            else:
                run.append(word)
        runs.append(run)
    return [run for run in runs if run]


def _without_parts(ranked: Sequence[Key], owners: Mapping[Key, set[int]], limit: int) -> list[Key]:
    """Drop a phrase that overlaps a better one and is found in mostly the same articles."""
    kept: list[Key] = []
    for key in ranked:
        if len(kept) >= limit:
            break
        overlapping = (other for other in kept if set(key) & set(other))
        if all(len(owners[key] & owners[other]) < 0.6 * len(owners[key]) for other in overlapping):
            kept.append(key)
    return kept
