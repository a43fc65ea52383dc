"""Writes `bench/RESULTS.md`: medians of all rounds, ratios, machine, versions, commands, profile."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import apsw

from stagewright.cli.bench_figures import BARS, shape_number

PRODUCT = "stagewright"
COMPARED = (
    ("chains.stages_per_s", "chains, stages/s"),
    ("latency.stage_p50_ms", "one chain at a time, ms a stage, p50"),
    ("fanout.1000_s", "fan-out of 1,000, s"),
    ("fanout.10000_s", "fan-out of 10,000, s"),
    ("submit.in_process_per_s", "submissions in-process /s"),
    ("submit.http_per_s", "submissions over HTTP /s"),
    ("start.first_finished_s", "start to first finished pipeline, s"),
    ("start.idle_rss_mb", "memory 10 s after the start, MB"),
)
MORE_IS_BETTER = re.compile(r"_per_s$|_ratio$")
PACKAGES = ("apsw", "orjson", "uvloop", "uvicorn", "fastapi")

Measured = Mapping[str, Mapping[str, Sequence[float | str]]]
"""Values of all rounds by column and figure; a text says why there is no number."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a bench found. `absent` says by subject why it was not measured; `about` what the columns are."""

    measured: Measured
    about: Mapping[str, str]
    absent: Mapping[str, str]
    rounds: int
    day: date
    file_system: str
    sync_ms: float
    profile: str
    load: float  # programs that wanted a core in the minute before; above 0 others were measured too
    is_quick: bool = False
    arguments: Sequence[str] = field(default_factory=tuple)


def medians(measured: Measured) -> dict[str, dict[str, float | str]]:
    """Return the median by column and figure, or the reason that was given last."""
    return {
        column: {
            name: median(numbers)
            if (numbers := [one for one in values if isinstance(one, float | int)])
            else values[-1]
            for name, values in figures.items()
            if values
        }
        for column, figures in measured.items()
    }


def _median(values: Sequence[float | str]) -> float | str | None:
    numbers = [one for one in values if isinstance(one, float | int)]
    return median(numbers) if numbers else (values[-1] if values else None)


def times_better(name: str, product: float | str | None, other: float | str | None) -> str:
    """Say how many times better the product is than another; empty where one of them has no number."""
    if not isinstance(product, float | int) or not isinstance(other, float | int) or not product or not other:
        return ""
    return f"{product / other if MORE_IS_BETTER.search(name) else other / product:.2f}"


def ratio_of_rounds(name: str, product: Sequence[float | str], other: Sequence[float | str]) -> str:
    """Say how many times better the product is: the median over the rounds, as both met the same mood in each.

    Where a round is missing on one side, which belongs to which is unknown, and the medians are compared.
    """
    pairs = [
        (one, two)
        for one, two in zip(product, other, strict=False)
        if isinstance(one, float | int) and isinstance(two, float | int) and one and two
    ]
    if len(product) != len(other) or len(pairs) < len(product):
        return times_better(name, *(_median(values) for values in (product, other)))
    more = MORE_IS_BETTER.search(name)
    return f"{median(one / two if more else two / one for one, two in pairs):.2f}" if pairs else ""


def shape_report(report: Report) -> str:
    """Write the report as Markdown."""
    found = medians(report.measured)
    parts = [
        "# Measured",
        "Written by `make bench`; do not edit.",
        "TINY SIZES: NOTHING HERE SAYS ANYTHING ABOUT SPEED." if report.is_quick else "",
        f"{report.day.isoformat()}, medians of {report.rounds} rounds; in each round all were measured one after "
        "another. Absolute figures move with the machine; the comparison is the ratio, the median of the ratios of the "
        "rounds. 1.00 and more: the product is as good or better.",
        _machine(report),
        "## The product and its bars",
        _against_bars(found.get(PRODUCT, {}), report.measured.get(PRODUCT, {})),
        "## The product beside the others",
        _beside(report.measured),
        _list(report.about),
        "## NOT MEASURED" if report.absent else "",
        _list(report.absent),
        "## Where the time of chains goes",
        f"```\n{report.profile.strip()}\n```",
        "## To measure again",
        _commands(report.arguments),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(items: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in items.items())


def _commands(arguments: Sequence[str]) -> str:
    whole = " ".join(["python -m bench.run", *arguments])
    return (
        f"```\n{whole}\nstagewright bench --workload chains --profile\nstagewright bench --workload growth\n```\n\n"
        "`BENCH_HOME` names the scratch folder for peers and databases; it must lie on a real disk."
    )


def shape_comparison(measured: Measured) -> str:
    """Write only the comparison, for the terminal."""
    return _beside(measured)


def _against_bars(found: Mapping[str, float | str], values: Mapping[str, Sequence[float | str]]) -> str:
    rows = []
    for name, value in found.items():
        bar = BARS.get(name)
        numbers = [one for one in values[name] if isinstance(one, float | int)]
        spread = f"{shape_number(min(numbers))}-{shape_number(max(numbers))}" if len(numbers) > 1 else ""
        if bar is None:
            wanted, ratio, verdict = "", "", ""
        else:
            at_least = bar.sense == "at_least"
            wanted = f"{'≥' if at_least else '≤'} {shape_number(bar.value)}"
            ratio = (times_better("_per_s" if at_least else "", value, bar.value)) if bar.value else ""
            verdict = _verdict(value, bar.value, at_least)
        rows.append((name, _shape(value), spread, wanted, ratio, verdict))
    return _table(("figure", "median", "min-max", "bar", "ratio", ""), rows)


def _verdict(value: float | str, bar: float, at_least: bool) -> str:
    if isinstance(value, str):
        return "not measured"
    return "pass" if (value >= bar if at_least else value <= bar) else "**FAIL**"


def _beside(measured: Measured) -> str:
    others = [column for column in measured if column != PRODUCT]
    head = ["", PRODUCT, *(part for column in others for part in (column, "ratio"))]
    rows = []
    for name, title in COMPARED:
        own = measured.get(PRODUCT, {}).get(name, ())
        cells = [title, _shape(_median(own))]
        for column in others:
            values = measured[column].get(name, ())
            cells += [_shape(_median(values)), ratio_of_rounds(name, own, values)]
        rows.append(cells)
    return _table(head, rows)


def _machine(report: Report) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory_gb():.0f} GB; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {packages}. Databases on "
        f"{report.file_system}, where writing 4 KiB with a sync takes {report.sync_ms:.2f} ms; synchronous = FULL. "
        f"Before the bench began, {report.load:.1f} other programs wanted a core."
    )


def processor() -> str:
    """Return the name of the processor as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def memory_gb() -> float:
    """Return the size of the memory in GB of 2^30 bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _shape(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else shape_number(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
