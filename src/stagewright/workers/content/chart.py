"""The picture of a report: articles over time by label, and how well each fits. Pure; returns inline SVG.

The colours come from custom properties of the page (`--c0` to `--c8`), so that light, dark and print share one drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from math import ceil

from stagewright.workers.content.taxonomy import OTHER

SERIES_MAX = 8  # labels with a colour of their own; the others share the last one
REST = "All other labels"
_WIDTH, _LEFT, _RIGHT = 880, 44, 10
_BARS_TOP, _BARS_BOTTOM = 26, 226
_DOTS_TOP, _DOTS_BOTTOM = 286, 406
_HEIGHT = 438
_STEPS_DAYS = ((35, 1), (112, 7))  # up to so many days in all, one bar stands for so many; beyond: months
_MONTHS_MAX = 36  # beyond: years


@dataclass(frozen=True, slots=True)
class Point:
    """One dated article."""

    day: date
    score: float  # 0..1
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Series:
    """A label with its colour, the name of a custom property."""

    label: str
    colour: str
    count: int


def series_of(labels: Sequence[str]) -> list[Series]:
    """Return the labels by number, the commonest first; those beyond eight are one series at the end."""
    ranked = sorted(Counter(labels).items(), key=lambda item: (item[0] == OTHER, -item[1], item[0]))
    own = [Series(label, f"--c{i}", count) for i, (label, count) in enumerate(ranked[:SERIES_MAX])]
    rest = sum(count for _, count in ranked[SERIES_MAX:])
    return [*own, Series(REST, f"--c{SERIES_MAX}", rest)] if rest else own


def draw(points: Sequence[Point], series: Sequence[Series]) -> str:
    """Return the SVG, or an empty text where no article has a date; of a single series, colours tell nothing."""
    if not points:
        return ""
    starts, unit = _periods(min(p.day for p in points), max(p.day for p in points))
    colours = {s.label: s.colour for s in series}
    last = series[-1].colour if series else "--c0"
    colour = {p.label: colours.get(p.label, last) for p in points}
    coloured = ", coloured by label" if len(series) > 1 else ""
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="chart-title chart-text">',
        '<title id="chart-title">Articles over time</title>',
        f'<desc id="chart-text">{len(points)} dated articles by {unit}{coloured}; below, '
        "each article by date and relevance. The table of articles has the same figures.</desc>",
        *_bars(points, starts, unit, series, colour),
        *_dots(points, starts, colour),
        *_dates(starts, unit),
        "</svg>",
    ]
    return "\n".join(parts)


def _periods(first: date, last: date) -> tuple[list[date], str]:
    """Return the first day of each bar, plus the day after the last bar, and the unit in words."""
    days = (last - first).days + 1
    for up_to, step in _STEPS_DAYS:
        if days <= up_to:
            start = first if step == 1 else first - timedelta(days=first.weekday())
            count = ceil(((last - start).days + 1) / step)
            return [start + timedelta(days=step * i) for i in range(count + 1)], "day" if step == 1 else "week"
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months <= _MONTHS_MAX:
        places = range(first.month - 1, first.month + months)
        return [date(first.year + m // 12, m % 12 + 1, 1) for m in places], "month"
    return [date(year, 1, 1) for year in range(first.year, last.year + 2)], "year"


def _x(day: date, starts: Sequence[date]) -> float:
    share = (day - starts[0]).days / max(1, (starts[-1] - starts[0]).days)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _bars(
    points: Sequence[Point], starts: Sequence[date], unit: str, series: Sequence[Series], colour: dict[str, str]
) -> list[str]:
    heaps: list[Counter[str]] = [Counter() for _ in starts[:-1]]
    for point in points:
        place = max(i for i, start in enumerate(starts[:-1]) if start <= point.day)
        heaps[place][colour[point.label]] += 1
    top = max(heap.total() for heap in heaps)
    scale = (_BARS_BOTTOM - _BARS_TOP) / top
    drawn = [f'<text class="head" x="0" y="14">Articles per {unit}</text>']
    for value in sorted({0, top, *([top // 2] if top >= 4 else [])}):
        y = _BARS_BOTTOM - value * scale
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for place, heap in enumerate(heaps):
        left, right = _x(starts[place], starts), _x(starts[place + 1], starts)
        gap = min(6.0, (right - left) * 0.15)
        y = float(_BARS_BOTTOM)
        for one in series:
            height = heap[one.colour] * scale
            if height:
                y -= height
                what = escape(f"{one.label}: {heap[one.colour]} ({unit} of {starts[place].isoformat()})")
                drawn.append(
                    f'<rect x="{left + gap / 2:.1f}" y="{y + 0.5:.1f}" width="{max(1.0, right - left - gap):.1f}" '
                    f'height="{max(0.5, height - 1):.1f}" rx="1.5" style="fill:var({one.colour})">'
                    f"<title>{what}</title></rect>"
                )
    return drawn


def _dots(points: Sequence[Point], starts: Sequence[date], colour: dict[str, str]) -> list[str]:
    drawn = [f'<text class="head" x="0" y="{_DOTS_TOP - 16}">Relevance of each article</text>']
    for value in (0.0, 0.5, 1.0):
        y = _DOTS_BOTTOM - value * (_DOTS_BOTTOM - _DOTS_TOP)
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for point in sorted(points, key=lambda p: (p.day, p.title)):
        y = _DOTS_BOTTOM - min(1.0, max(0.0, point.score)) * (_DOTS_BOTTOM - _DOTS_TOP)
        what = escape(f"{point.title} ({point.day.isoformat()}, relevance {point.score:.2f})")
        drawn.append(
            f'<circle cx="{_x(point.day, starts):.1f}" cy="{y:.1f}" r="5" style="fill:var({colour[point.label]})">'
            f"<title>{what}</title></circle>"
        )
    return drawn


def _dates(starts: Sequence[date], unit: str) -> list[str]:
    """Return the dates between the two panels and below; as many as fit without touching."""
    shape = {"day": "%-d %b", "week": "%-d %b", "month": "%b %Y", "year": "%Y"}[unit]
    every = ceil((len(starts) - 1) / 11)
    drawn = []
    for place in range(0, len(starts) - 1, every):
        x = _x(starts[place], starts)
        text = _formatted(starts[place], shape)
        for y in (_BARS_BOTTOM + 18, _DOTS_BOTTOM + 22):
            drawn.append(f'<text class="tick" x="{x:.1f}" y="{y}">{text}</text>')
    return drawn


def _formatted(day: date, shape: str) -> str:
    # The flag that drops a leading zero is not known on every platform.
    return day.strftime(shape.replace("%-d", str(day.day)))
