"""What the bench measured, beside the bar that it should reach, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

Sense = Literal["at_least", "at_most"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure should reach on a machine of two cores, full durability."""

    value: float
    sense: Sense


BARS: dict[str, Bar] = {
    "chains.stages_per_s": Bar(20_000, "at_least"),
    "chains.beside_saturated_loop_ratio": Bar(0.5, "at_least"),
    "latency.stage_p50_ms": Bar(0.65, "at_most"),
    "fanout.1000_s": Bar(0.06, "at_most"),
    "fanout.10000_s": Bar(0.6, "at_most"),
    "fanout.100000_s": Bar(8.0, "at_most"),
    "submit.in_process_per_s": Bar(20_000, "at_least"),
    "submit.http_per_s": Bar(10_000, "at_least"),
    "submit.http_batch_per_s": Bar(20_000, "at_least"),
    "start.first_finished_s": Bar(1.0, "at_most"),
    "start.idle_rss_mb": Bar(110, "at_most"),
    "crash.running_again_s": Bar(1.0, "at_most"),
    "crash.lost_or_doubled": Bar(0, "at_most"),
    "api.p99_ms": Bar(50, "at_most"),
    "growth.throughput_ratio": Bar(0.9, "at_least"),
}
"""By `workload.name`; figures without a bar are there to explain the others."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, the median of `values`; `facts` say what else belongs to it (counts, sizes).

    Without values it was not measured, and `facts` have a `why`.
    """

    workload: str
    name: str
    values: tuple[float, ...]
    unit: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """The median of what was measured, None if nothing was."""
        return median(self.values) if self.values else None

    @property
    def bar(self) -> Bar | None:
        """What it should reach, None if it only explains."""
        return BARS.get(f"{self.workload}.{self.name}")

    @property
    def ratio(self) -> float | None:
        """How far it reaches: 1 or more meets the bar. None without a bar, or if the bar is zero."""
        bar = self.bar
        value = self.value
        if bar is None or not bar.value or not value:
            return None
        return value / bar.value if bar.sense == "at_least" else bar.value / value

    @property
    def passes(self) -> bool | None:
        """Whether it meets its bar; None without one, or if it was not measured."""
        bar, value = self.bar, self.value
        if bar is None or value is None:
            return None
        return value >= bar.value if bar.sense == "at_least" else value <= bar.value

    def as_json(self) -> dict[str, Any]:
        """Shape it for machines."""
        return {
            "workload": self.workload, "name": self.name, "value": self.value, "values": list(self.values),
            "unit": self.unit, "bar": None if self.bar is None else asdict(self.bar), "ratio": self.ratio,
            "passes": self.passes, "facts": self.facts,
        }  # fmt: skip


def merge(rounds: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Put the figures of several rounds of one workload together; facts are those of the last."""
    merged: dict[tuple[str, str], Figure] = {}
    for figures in rounds:
        for figure in figures:
            key = (figure.workload, figure.name)
            before = merged[key].values if key in merged else ()
            merged[key] = Figure(
                figure.workload, figure.name, before + figure.values, figure.unit,
                (merged[key].facts if key in merged else {}) | figure.facts,
            )  # fmt: skip
    return list(merged.values())


def shape_number(value: float) -> str:
    """Write a number with three digits that matter, and thousands apart."""
    if value == 0 or abs(value) >= 1_000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def table_rows(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """Shape figures as rows of text, columns as in `TABLE_HEAD`."""
    return [
        (
            figure.workload,
            figure.name,
            "not measured" if figure.value is None else f"{shape_number(figure.value)} {figure.unit}",
            f"{shape_number(min(figure.values))}-{shape_number(max(figure.values))}" if len(figure.values) > 1 else "",
            _shape_bar(figure.bar),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            _VERDICTS[figure.passes],
        )
        for figure in figures
    ]


def whys(figures: Iterable[Figure]) -> list[str]:
    """Say of each figure that was not measured why."""
    return [f"{one.workload} {one.name}: {one.facts['why']}" for one in figures if not one.values]


_VERDICTS = {None: "", True: "pass", False: "FAIL"}


def _shape_bar(bar: Bar | None) -> str:
    if bar is None:
        return ""
    return f"{'>=' if bar.sense == 'at_least' else '<='} {shape_number(bar.value)}"


TABLE_HEAD = ("workload", "figure", "measured", "min-max", "bar", "ratio", "")


def shape_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows as columns of text."""
    everything = [tuple(head), *rows]
    widths = [max(len(row[column]) for row in everything) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything
    )
