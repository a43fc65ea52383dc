"""How a report groups its articles: by label where labels fit, else by the phrases that they share. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stagewright.workers.content.taxonomy import OTHER

GROUPS_MAX = 8
GROUP_ARTICLES_MIN = 2
REST = "Other articles"
ALL = "Articles, best fit first"


@dataclass(frozen=True, slots=True)
class Grouping:
    """The name of the group of each article, in their order; `by_label` if these are labels."""

    names: tuple[str, ...]
    by_label: bool


def grouping_of(labels: Sequence[str], phrases: Sequence[Sequence[str]]) -> Grouping:
    """Group articles by their first labels, given with the phrases of each, both in the order of the articles.

    Where most articles have no label, the taxonomy has no words for the topic, and the few labels that were found
    are as likely chance; then all are grouped by phrases, or not at all if these reach less than half of them.
    """
    if 2 * sum(label == OTHER for label in labels) <= len(labels):
        return Grouping(tuple(labels), by_label=True)
    found = _by_phrase(phrases)
    if 2 * len(found) < len(labels):
        return Grouping((ALL,) * len(labels), by_label=False)
    return Grouping(tuple(found.get(place, REST) for place in range(len(labels))), by_label=False)


def _by_phrase(phrases: Sequence[Sequence[str]]) -> dict[int, str]:
    """Return places with a phrase: greedily the one that most of those without a group have, by alphabet if equal."""
    found: dict[int, str] = {}
    for _ in range(GROUPS_MAX):
        counts = Counter(p for place, own in enumerate(phrases) if place not in found for p in set(own))
        best = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        if best[1] < GROUP_ARTICLES_MIN:
            break
        name = best[0][:1].upper() + best[0][1:]
        found |= {place: name for place, own in enumerate(phrases) if place not in found and best[0] in own}
    return found
