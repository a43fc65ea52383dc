"""Near-duplicates in a corpus by sketches of word shingles. Pure functions.

Sources: A. Broder, "On the resemblance and containment of documents", 1997 (shingles, resemblance); P. Li, A. Owen,
C.-H. Zhang, "One permutation hashing", NIPS 2012, and A. Shrivastava, P. Li, "Densifying one permutation hashing",
ICML 2014 (one hash for each shingle instead of one for each bin, which makes pure Python fast enough).
A sketch only proposes pairs; whether a pair is one is decided on the shingles themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stagewright.workers.content.text import words

SHINGLE_WORDS = 3
RESEMBLANCE_MIN = 0.5  # Jaccard similarity from which two texts are one
CONTAINMENT_MIN = 0.8  # share of the shorter text found in the longer, if they carry the same title
CONTAINED_SHINGLES_MIN = 12  # below this, containment says too little
CHARS_READ = 10_000  # of each text
BUCKET_MAX = 40  # members of one bucket that are compared; a bucket beyond this is boilerplate

_BINS = 64
_BAND_ROWS = 2  # 32 bands of 2: a pair at resemblance 0.5 is proposed with probability 0.9999
_EMPTY = -1


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that say the same; `first` < `second` are their places in the corpus, `similarity` 0..1."""

    first: int
    second: int
    similarity: float


def shingles(text: str) -> frozenset[int]:
    """Return 64-bit hashes of all runs of three words; a shorter text is one shingle, an empty text none."""
    found = words(text[:CHARS_READ])
    if not found:
        return frozenset()
    count = max(1, len(found) - SHINGLE_WORDS + 1)
    return frozenset(_hash(" ".join(found[i : i + SHINGLE_WORDS])) for i in range(count))


def resemblance(a: frozenset[int], b: frozenset[int]) -> float:
    """Return the Jaccard similarity of two sets, 0.0 where both are empty."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


def containment(a: frozenset[int], b: frozenset[int]) -> float:
    """Return the share of the smaller set that the larger one has too; 0.0 where the smaller one is tiny."""
    smaller = min(len(a), len(b))
    return len(a & b) / smaller if smaller >= CONTAINED_SHINGLES_MIN else 0.0


def near_duplicates(texts: Sequence[str], keys: Sequence[Iterable[str]]) -> list[Pair]:
    """Return the pairs of texts that say the same, most similar first.

    `keys[i]` are words that identify text i, such as its address and its title: texts that share one are compared
    by containment as well, because one feed often carries only the opening of what another prints in full.
    """
    sets = [shingles(text) for text in texts]
    pairs: dict[tuple[int, int], float] = {}
    for first, second in _proposed([_sketch(s) for s in sets]):
        similarity = resemblance(sets[first], sets[second])
        if similarity >= RESEMBLANCE_MIN:
            pairs[first, second] = similarity
    for first, second in _sharing(keys):
        similarity = max(resemblance(sets[first], sets[second]), containment(sets[first], sets[second]))
        if similarity >= CONTAINMENT_MIN:
            pairs[first, second] = max(similarity, pairs.get((first, second), 0.0))
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [Pair(first, second, similarity) for (first, second), similarity in ranked]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _sketch(members: frozenset[int]) -> tuple[int, ...]:
    """Return the least hash in each of 64 bins; an empty bin borrows from the next full one, marked by distance."""
    if not members:
        return ()
    bins = [_EMPTY] * _BINS
    for member in members:
        place, value = member % _BINS, member // _BINS
        if bins[place] == _EMPTY or value < bins[place]:
            bins[place] = value
    filled = []
    for place in range(_BINS):
        distance = next(d for d in range(_BINS) if bins[(place + d) % _BINS] != _EMPTY)
        filled.append(bins[(place + distance) % _BINS] * _BINS + distance)
    return tuple(filled)


def _proposed(sketches: Sequence[tuple[int, ...]]) -> set[tuple[int, int]]:
    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, sketch in enumerate(sketches):
        for band in range(0, len(sketch), _BAND_ROWS):
            buckets[(band, *sketch[band : band + _BAND_ROWS])].append(index)
    return _pairs(buckets.values())


def _sharing(keys: Sequence[Iterable[str]]) -> set[tuple[int, int]]:
    buckets: dict[str, list[int]] = defaultdict(list)
    for index, own in enumerate(keys):
        for key in {key for key in own if key}:
            buckets[key].append(index)
    return _pairs(buckets.values())


def _pairs(buckets: Iterable[list[int]]) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for members in buckets:
        members = members[:BUCKET_MAX]
        found.update((a, b) for i, a in enumerate(members) for b in members[i + 1 :])
    return found
