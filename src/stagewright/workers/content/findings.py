"""What a report says, before it is laid out: headline findings, sections, sources, and what was left out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from stagewright.workers.content import chart, textrank
from stagewright.workers.content.feeds import TITLE_OF_TEXT_CHARS
from stagewright.workers.content.grouping import REST, grouping_of
from stagewright.workers.content.source_list import Source, short, skipped_of, sources_of, web_address
from stagewright.workers.content.taxonomy import OTHER
from stagewright.workers.content.text import beginning, clean, counted, sentences

HIGHLIGHTS = 5
SECTIONS_MAX = 30
DUPLICATES_SHOWN = 50
NEAR_MISSES_SHOWN = 10
PHRASES_SHOWN = 14
_SUMMARY_SENTENCES = {"quick": 2, "comprehensive": 4}
_SECTION_ARTICLES = {"quick": 5, "comprehensive": 40}
_CHARS_READ = 20_000  # of one article
_SENTENCES_READ = 60
_SCORE_UNKNOWN = 0.5  # of an article that nobody scored
_HIGHLIGHT_ARTICLES = 30  # the best ones, which offer two sentences each


@dataclass(frozen=True, slots=True)
class Entry:
    """One article as the report shows it; texts are plain, `url` is http(s) or None."""

    title: str
    url: str | None
    source: str
    day: date | None
    score: float | None
    labels: tuple[str, ...]
    language: str
    reason: str
    summary: str = ""  # only of those shown in a section


@dataclass(frozen=True, slots=True)
class Section:
    """The articles that share a first label or a phrase, best first; `total` counts those not shown as well."""

    label: str
    colour: str
    entries: tuple[Entry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the templates show."""

    title: str
    topic: str
    depth: str
    headlines: tuple[str, ...]
    highlights: tuple[tuple[str, Entry], ...]
    entries: tuple[Entry, ...]
    sections: tuple[Section, ...]
    series: tuple[chart.Series, ...]
    picture: str
    phrases: tuple[tuple[str, int], ...]
    sources: tuple[Source, ...]
    skipped: tuple[Source, ...]  # tried, and gave no feed
    skipped_total: int  # with those that are not shown
    labels: Mapping[str, int]  # first labels with the number of articles
    by_label: bool  # labels fit the topic, so that sections and colours are by label
    duplicates: tuple[Mapping[str, Any], ...]
    duplicates_total: int
    irrelevant: int
    near_misses: tuple[Entry, ...]
    first_day: date | None
    last_day: date | None


def findings_of(
    *,
    title: str,
    topic: str,
    depth: str,
    articles: Sequence[Mapping[str, Any]],
    feeds: Sequence[Mapping[str, Any]],
    dropped: Mapping[str, Any],
    keyphrases: Sequence[Mapping[str, Any]],
    skipped: Sequence[Mapping[str, Any]] = (),
    skipped_total: int = 0,
) -> Findings:
    """Work out a report from classified articles; those marked `relevant: false` are only counted and named."""
    chosen = [a for a in articles if a.get("relevant", True)]
    missed = [a for a in articles if not a.get("relevant", True)]
    entries = [_entry(article) for article in chosen]
    texts = _Texts(chosen, topic)
    grouping = grouping_of([entry.labels[0] for entry in entries], [_phrases_of(article) for article in chosen])
    colours = grouping.names if grouping.by_label else ("Articles",) * len(entries)
    series = chart.series_of(colours)
    dated = [(e.day, e, colour) for e, colour in zip(entries, colours, strict=True) if e.day]
    points = [chart.Point(day, e.score or 0.0, colour, e.title) for day, e, colour in dated]
    days = [entry.day for entry in entries if entry.day]
    duplicates = [d for d in dropped.get("duplicates") or () if isinstance(d, Mapping)]
    phrases = [(str(k["phrase"])[:60], int(k["count"])) for k in keyphrases]
    told = Findings(
        title=title,
        topic=topic,
        depth=depth,
        headlines=(),
        highlights=_highlights(entries, texts, topic),
        entries=tuple(entries),
        sections=_sections(entries, texts, grouping.names, series, depth),
        series=tuple(series),
        picture=chart.draw(points, series),
        phrases=tuple(sorted(phrases[:PHRASES_SHOWN], key=lambda phrase: -phrase[1])),
        sources=sources_of(feeds, articles, chosen),
        skipped=skipped_of(skipped),
        skipped_total=max(skipped_total, len(skipped)),
        labels=dict(Counter(entry.labels[0] for entry in entries).most_common()),
        by_label=grouping.by_label,
        duplicates=tuple(_repeats(duplicates[:DUPLICATES_SHOWN], articles)),
        duplicates_total=len(duplicates),
        irrelevant=len(missed),
        near_misses=tuple(_entry(a) for a in missed[:NEAR_MISSES_SHOWN]),
        first_day=min(days, default=None),
        last_day=max(days, default=None),
    )
    return replace(told, headlines=_headlines(told, len(articles) + len(duplicates)))


def _phrases_of(article: Mapping[str, Any]) -> list[str]:
    return [found for phrase in article.get("keyphrases") or () if (found := short(phrase, 60))]


class _Texts:
    """The sentences of the articles. Taken out only for those that are shown, as ranking them costs most."""

    def __init__(self, articles: Sequence[Mapping[str, Any]], topic: str) -> None:
        self._articles = articles
        self._topic = topic

    def best(self, index: int, count: int) -> list[str]:
        """Return at most `count` sentences that say most of an article, in its order."""
        fields = (self._articles[index].get("content_text"), self._articles[index].get("summary"))
        longest = max((text for text in fields if isinstance(text, str)), key=len, default="")
        found = sentences(clean(longest, limit=_CHARS_READ), limit=_SENTENCES_READ)
        return [found[i] for i in textrank.summarise(found, count=count, topic=self._topic)]


def _entry(article: Mapping[str, Any]) -> Entry:
    score = article.get("score")
    labels = tuple(short(label, 60) for label in article.get("labels") or () if isinstance(label, str))
    return Entry(
        title=short(article.get("title")) or _untitled(article),
        url=web_address(article.get("url")),
        source=short(article.get("feed_title"), 120) or "unnamed source",
        day=_day(article.get("published")),
        score=float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None,
        labels=labels or (OTHER,),
        language=short(article.get("language"), 12) or "und",
        reason=short(article.get("reason")),
    )


def _untitled(article: Mapping[str, Any]) -> str:
    texts = (short(article.get(field)) for field in ("summary", "content_text"))
    return beginning(next((text for text in texts if text), "Untitled"), TITLE_OF_TEXT_CHARS)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _headlines(findings: Findings, read: int) -> tuple[str, ...]:
    """Say in plain sentences how much was found, what about, when and where."""
    entries, sources = findings.entries, findings.sources
    if not entries:
        none = "The one article read does not fit" if read == 1 else f"None of the {read} articles read fits"
        return (f"{none} “{findings.topic}”.", *_gave_nothing(findings))
    days = sorted(entry.day for entry in entries if entry.day)
    span = f", from {_said(days[0])} to {_said(days[-1])}" if days and days[0] != days[-1] else ""
    fit = "fits" if len(entries) == 1 else "fit"
    lines = [f"{len(entries)} of {counted(read, 'article')} read {fit} “{findings.topic}”{span}.", _subject(findings)]
    lines += _busiest([date(day.year, day.month, 1) for day in days])
    best = max(sources, key=lambda s: (s.relevant, -s.items), default=None)
    if best and best.relevant and len(sources) > 1:
        fit = "fits" if best.relevant == 1 else "fit"
        share = f"{best.relevant} of its {best.items} articles {fit}" if best.items > 1 else "its only article fits"
        lines.append(f"{best.title} had most to say: {share}.")
    return (*lines, *_gave_nothing(findings))


def _busiest(months: Sequence[date]) -> list[str]:
    """Name the month of most articles, or the two that have as many; more alike than that tell nothing."""
    counts = Counter(months)
    most = max(counts.values(), default=0)
    top = [f"{month:%B %Y}" for month in sorted(counts) if counts[month] == most]
    if len(counts) <= 2 or len(top) > 2:
        return []
    if len(top) == 1:
        return [f"The busiest month was {top[0]} with {counted(most, 'article')}."]
    return [f"The busiest months were {' and '.join(top)} with {counted(most, 'article')} each."]


def _subject(findings: Findings) -> str:
    """Say what the articles are about: their labels, else the phrases that they share, else the best of them."""
    if findings.by_label:
        labels = Counter(entry.labels[0] for entry in findings.entries).most_common(3)
        return f"What they are about, most first: {', '.join(f'{label} ({count})' for label, count in labels)}."
    if findings.phrases:
        (phrase, count), *others = findings.phrases[:3]
        shares = [f"“{phrase}” ({counted(count, 'article')})", *(f"“{p}” ({n})" for p, n in others)]
        return f"What they share most: {', '.join(shares)}."
    best = findings.entries[0]
    return f"The best fit is “{best.title}” ({best.source}{f', {_said(best.day)}' if best.day else ''})."


def _gave_nothing(findings: Findings) -> list[str]:
    failed = sum(1 for source in findings.sources if source.status == "failed")
    lines = []
    if failed:
        total = counted(len(findings.sources), "source")
        lines.append(f"{failed} of {total} could not be read; see the list of sources.")
    if findings.skipped_total:
        were = "was" if findings.skipped_total == 1 else "were"
        total = counted(findings.skipped_total, "source")
        lines.append(f"{total} {were} skipped; see the list of sources.")
    return lines


def _said(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _highlights(entries: Sequence[Entry], texts: _Texts, topic: str) -> tuple[tuple[str, Entry], ...]:
    """Choose up to five sentences that say most about the topic, no two of one article or of one meaning."""
    offered: list[str] = []
    owners: list[int] = []
    weights: list[float] = []
    for index in range(min(len(entries), _HIGHLIGHT_ARTICLES)):
        for sentence in texts.best(index, 2):
            offered.append(sentence)
            owners.append(index)
            score = entries[index].score
            weights.append(_SCORE_UNKNOWN if score is None else score)
    found: dict[int, str] = {}
    for place in textrank.select(offered, weights, count=4 * HIGHLIGHTS, topic=topic):
        found.setdefault(owners[place], offered[place])
    return tuple((sentence, entries[index]) for index, sentence in list(found.items())[:HIGHLIGHTS])


def _sections(
    entries: Sequence[Entry], texts: _Texts, names: Sequence[str], series: Sequence[chart.Series], depth: str
) -> tuple[Section, ...]:
    """Return the articles by their group, the largest section first and those without a group last."""
    colours = {one.label: one.colour for one in series}
    last = series[-1].colour if series else "--c0"
    heaps: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        heaps.setdefault(name, []).append(index)
    ranked = sorted(heaps.items(), key=lambda item: (item[0] in (OTHER, REST), -len(item[1]), item[0]))
    count = _SUMMARY_SENTENCES[depth]
    found = []
    for label, own in ranked[:SECTIONS_MAX]:
        shown = own[: _SECTION_ARTICLES[depth]]
        told = tuple(replace(entries[i], summary=" ".join(texts.best(i, count))) for i in shown)
        found.append(Section(label, colours.get(label, last), told, len(own)))
    return tuple(found)


def _repeats(duplicates: Sequence[Mapping[str, Any]], articles: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    titles = {a.get("id"): short(a.get("title")) for a in articles}
    return [
        {
            "title": short(d.get("title")) or short(d.get("id")),
            "source": short(d.get("feed_title"), 120),
            "of": titles.get(d.get("duplicate_of")) or short(d.get("duplicate_of")),
            "similarity": float(d.get("similarity") or 0.0),
        }
        for d in duplicates
    ]
