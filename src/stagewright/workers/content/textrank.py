"""Extractive summaries: the sentences of a text that say most of it. Pure functions.

Sources: R. Mihalcea, P. Tarau, "TextRank: bringing order into text", EMNLP 2004 (graph of sentences weighted by shared
words, ranked as web pages are); T. Haveliwala, "Topic-sensitive PageRank", WWW 2002 (jumps prefer sentences on the
topic); J. Carbonell, J. Goldstein, "The use of MMR", SIGIR 1998 (a chosen sentence makes those like it less wanted).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from stagewright.workers.content.text import terms

DAMPING = 0.85
ROUNDS_MAX = 40
TOLERANCE = 1e-4
SENTENCES_MAX = 200  # ranked at once; the graph has the square of it
_SENTENCE_CHARS = (30, 400)  # shorter says too little, longer is no sentence
_DIVERSITY = 0.5  # weight of not repeating against rank


def summarise(sentences: Sequence[str], *, count: int, topic: str = "") -> list[int]:
    """Return the places of at most `count` sentences in the order of the text."""
    return sorted(select(sentences, [1.0] * len(sentences), count=count, topic=topic))


def select(sentences: Sequence[str], weights: Sequence[float], *, count: int, topic: str = "") -> list[int]:
    """Return the places of at most `count` sentences, best first, no two of which say the same.

    `weights` (≥ 0) say how much each sentence is wanted before its place in the graph is known.
    """
    assert len(sentences) == len(weights), "one weight for each sentence"
    low, high = _SENTENCE_CHARS
    usable = [i for i, s in enumerate(sentences) if low <= len(s) <= high][:SENTENCES_MAX]
    usable = usable or [i for i, s in enumerate(sentences) if s][:count]
    if not usable:
        return []
    bags = {i: frozenset(terms(sentences[i])) for i in usable}
    asked = frozenset(terms(topic))
    wanted = [weights[i] * (1.0 + len(bags[i] & asked)) for i in usable]
    ranks = _rank([bags[i] for i in usable], wanted)
    return _diverse({i: rank * weights[i] for i, rank in zip(usable, ranks, strict=True)}, bags, count)


def _rank(bags: Sequence[frozenset[str]], wanted: Sequence[float]) -> list[float]:
    """Return the stationary share of each sentence; the shares sum to 1."""
    size = len(bags)
    total = sum(wanted)
    jump = [w / total for w in wanted] if total else [1.0 / size] * size
    links = [[_similarity(a, b) if i != j else 0.0 for j, b in enumerate(bags)] for i, a in enumerate(bags)]
    out = [sum(row) for row in links]
    ranks = list(jump)
    for _ in range(ROUNDS_MAX):
        lost = sum(rank for rank, weight in zip(ranks, out, strict=True) if not weight)
        flow = [rank / weight if weight else 0.0 for rank, weight in zip(ranks, out, strict=True)]
        fresh = [
            (1.0 - DAMPING + DAMPING * lost) * jump[i]
            + DAMPING * sum(weight * flow[j] for j, weight in enumerate(links[i]) if weight)
            for i in range(size)
        ]
        change = sum(abs(a - b) for a, b in zip(fresh, ranks, strict=True))
        ranks = fresh
        if change < TOLERANCE:
            break
    return ranks


def _similarity(a: frozenset[str], b: frozenset[str]) -> float:
    if len(a) < 2 or len(b) < 2:
        return 0.0
    return len(a & b) / (log(len(a)) + log(len(b)))


def _diverse(ranks: dict[int, float], bags: dict[int, frozenset[str]], count: int) -> list[int]:
    best = max(ranks.values(), default=0.0) or 1.0
    left, chosen = dict(ranks), list[int]()
    while left and len(chosen) < count:
        place = max(left, key=lambda i: (left[i] / best - _DIVERSITY * _closest(bags, i, chosen), -i))
        if _closest(bags, place, chosen) < 0.6:
            chosen.append(place)
        del left[place]
    return chosen


def _closest(bags: dict[int, frozenset[str]], place: int, chosen: Sequence[int]) -> float:
    own = bags[place]
    shares = (len(own & bags[c]) / max(1, min(len(own), len(bags[c]))) for c in chosen)
    return max(shares, default=0.0)
