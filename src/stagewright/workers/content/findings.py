"""What a report says, before it is laid out: headline findings, sections, sources, and what was left out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from stagewright.workers.content import chart, textrank
from stagewright.workers.content.places import Unusable, locate
from stagewright.workers.content.taxonomy import OTHER
from stagewright.workers.content.text import clean, one_line, sentences

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
    """The articles whose first label this is, best first; `total` counts those not shown as well."""

    label: str
    colour: str
    entries: tuple[Entry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Source:
    """A feed with how much of it was read and how much of that was relevant."""

    title: str
    url: str | None
    place: str
    items: int
    relevant: int
    status: str
    detail: str


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
) -> Findings:
    """Work out a report from classified articles; those marked `relevant: false` are only counted and named."""
    chosen = [a for a in articles if a.get("relevant", True)]
    missed = [a for a in articles if not a.get("relevant", True)]
    entries = [_entry(article) for article in chosen]
    texts = _Texts(chosen, topic)
    series = chart.series_of([entry.labels[0] for entry in entries])
    points = [chart.Point(e.day, e.score or 0.0, e.labels[0], e.title) for e in entries if e.day]
    days = [entry.day for entry in entries if entry.day]
    duplicates = [d for d in dropped.get("duplicates") or () if isinstance(d, Mapping)]
    sources = _sources(feeds, articles, chosen)
    return Findings(
        title=title,
        topic=topic,
        depth=depth,
        headlines=_headlines(topic, entries, len(articles) + len(duplicates), sources),
        highlights=_highlights(entries, texts, topic),
        entries=tuple(entries),
        sections=_sections(entries, texts, series, depth),
        series=tuple(series),
        picture=chart.draw(points, series),
        phrases=tuple((str(k["phrase"])[:60], int(k["count"])) for k in keyphrases[:PHRASES_SHOWN]),
        sources=sources,
        duplicates=tuple(_repeats(duplicates[:DUPLICATES_SHOWN], articles)),
        duplicates_total=len(duplicates),
        irrelevant=len(missed),
        near_misses=tuple(_entry(a) for a in missed[:NEAR_MISSES_SHOWN]),
        first_day=min(days, default=None),
        last_day=max(days, default=None),
    )


def _text(value: object, limit: int = 300) -> str:
    return one_line(clean(value, limit=limit)) if isinstance(value, str) else ""


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
    labels = tuple(_text(label, 60) for label in article.get("labels") or () if isinstance(label, str))
    return Entry(
        title=_text(article.get("title")) or "Untitled",
        url=web_address(article.get("url")),
        source=_text(article.get("feed_title"), 120) or "unnamed source",
        day=_day(article.get("published")),
        score=float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None,
        labels=labels or (OTHER,),
        language=_text(article.get("language"), 12) or "und",
        reason=_text(article.get("reason")),
    )


def web_address(value: object) -> str | None:
    """Return an http(s) address, or None: other schemes, such as `javascript:`, must not become links."""
    if not isinstance(value, str) or len(value) > 2_000:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    is_plain = value.isprintable() and " " not in value
    return value if is_plain and parts.scheme in ("http", "https") and parts.hostname else None


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _headlines(topic: str, entries: Sequence[Entry], read: int, sources: Sequence[Source]) -> tuple[str, ...]:
    """Say in plain sentences how much was found, what about, when and where."""
    if not entries:
        return (f"None of the {read} articles read fits “{topic}”.",)
    days = sorted(entry.day for entry in entries if entry.day)
    span = f", from {_said(days[0])} to {_said(days[-1])}" if days and days[0] != days[-1] else ""
    lines = [f"{len(entries)} of {read} articles read fit “{topic}”{span}."]
    labels = Counter(entry.labels[0] for entry in entries).most_common(3)
    shares = [f"{label} ({count})" for label, count in labels]
    lines.append(f"What they are about, most first: {', '.join(shares)}.")
    months = Counter((day.year, day.month) for day in days)
    if len(months) > 2:
        (year, month), count = max(months.items(), key=lambda item: (item[1], item[0]))
        lines.append(f"The busiest month was {date(year, month, 1):%B %Y} with {count} articles.")
    best = max(sources, key=lambda s: (s.relevant, -s.items), default=None)
    if best and best.relevant and len(sources) > 1:
        lines.append(f"{best.title} had most to say: {best.relevant} of its {best.items} articles fit.")
    failed = sum(1 for source in sources if source.status == "failed")
    if failed:
        lines.append(f"{failed} of {len(sources)} sources could not be read; see the list of sources.")
    return tuple(lines)


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
    entries: Sequence[Entry], texts: _Texts, series: Sequence[chart.Series], depth: str
) -> tuple[Section, ...]:
    """Return the articles by their first label, the largest section first and those without a label last."""
    colours = {one.label: one.colour for one in series}
    last = series[-1].colour if series else "--c0"
    heaps: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        heaps.setdefault(entry.labels[0], []).append(index)
    ranked = sorted(heaps.items(), key=lambda item: (item[0] == OTHER, -len(item[1]), item[0]))
    count = _SUMMARY_SENTENCES[depth]
    found = []
    for label, own in ranked[:SECTIONS_MAX]:
        shown = own[: _SECTION_ARTICLES[depth]]
        told = tuple(replace(entries[i], summary=" ".join(texts.best(i, count))) for i in shown)
        found.append(Section(label, colours.get(label, last), told, len(own)))
    return tuple(found)


def _sources(
    feeds: Sequence[Mapping[str, Any]],
    articles: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
) -> tuple[Source, ...]:
    """Return the feeds, those with most relevant articles first; without a list, those that the articles name."""
    relevant = Counter(str(a.get("feed_url")) for a in chosen)
    if not feeds:
        read = Counter(str(a.get("feed_url")) for a in articles if a.get("feed_url"))
        titles = {str(a.get("feed_url")): a.get("feed_title") for a in articles}
        feeds = [{"url": u, "title": titles[u], "items": n, "status": "ok"} for u, n in read.items()]
    found = [_source(feed, relevant) for feed in feeds]
    return tuple(sorted(found, key=lambda source: (-source.relevant, source.title.casefold())))


def _source(feed: Mapping[str, Any], relevant: Counter[str]) -> Source:
    url = str(feed.get("url") or "")
    items = feed.get("items")
    return Source(
        title=_text(feed.get("title"), 120) or _place(url),
        url=web_address(url),
        place=_place(url),
        items=items if isinstance(items, int) else 0,
        relevant=relevant[url],
        status=_text(feed.get("status"), 30).replace("_", " ") or "ok",
        detail=_text(feed.get("detail")),
    )


def _place(url: str) -> str:
    """Return a short name; of a local file no more than its name, as a report may be passed on."""
    try:
        return locate(url).name[:120]
    except Unusable:
        return _text(url, 120)


def _repeats(duplicates: Sequence[Mapping[str, Any]], articles: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    titles = {a.get("id"): _text(a.get("title")) for a in articles}
    return [
        {
            "title": _text(d.get("title")) or _text(d.get("id")),
            "source": _text(d.get("feed_title"), 120),
            "of": titles.get(d.get("duplicate_of")) or _text(d.get("duplicate_of")),
            "similarity": float(d.get("similarity") or 0.0),
        }
        for d in duplicates
    ]
