"""The results file: medians, ratios, what was not measured, and nothing of the machine but its kind."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from bench.report import Report, medians, ratio_of_rounds, shape_comparison, shape_report, times_better

MEASURED = {
    "stagewright": {
        "chains.stages_per_s": [20_000.0, 30_000.0, 25_000.0],
        "latency.stage_p50_ms": [0.5],
        "fanout.10000_s": [1.2],
        "fanout.100000_s": ["a document has at most 20,000 stages"],
        "crash.lost_or_doubled": [0.0],
    },
    "Restate": {"chains.stages_per_s": [5_000.0], "latency.stage_p50_ms": [1.5], "fanout.10000_s": ["not in 150 s"]},
}


def report(absent: dict[str, str] | None = None, *, is_quick: bool = False) -> str:
    return shape_report(
        Report(
            MEASURED,
            {"stagewright": "the product"},
            absent or {},
            3,
            date(2026, 1, 2),
            "ext4",
            0.12,
            "Profile of chains",
            0.4,
            is_quick,
            ["--rounds", "3"],
        )
    )


def test_medians_are_taken_of_numbers_and_reasons_are_kept() -> None:
    found = medians(MEASURED)
    assert found["stagewright"]["chains.stages_per_s"] == 25_000
    assert found["stagewright"]["fanout.100000_s"] == "a document has at most 20,000 stages"


def test_a_ratio_above_one_means_that_the_product_is_better() -> None:
    assert times_better("chains.stages_per_s", 25_000, 5_000) == "5.00"
    assert times_better("latency.stage_p50_ms", 0.5, 1.5) == "3.00"
    assert times_better("latency.stage_p50_ms", 0.5, "not in 150 s") == ""
    assert times_better("latency.stage_p50_ms", None, 1.0) == ""


def test_a_ratio_is_taken_within_each_round_as_the_machine_changes_between_them() -> None:
    # in each round the product does twice as much; the second one met a slow machine
    assert ratio_of_rounds("chains.stages_per_s", [100.0, 10.0, 80.0], [50.0, 5.0, 40.0]) == "2.00"
    # the medians alone would say something else
    assert ratio_of_rounds("chains.stages_per_s", [100.0, 10.0, 12.0], [50.0, 5.0, 40.0]) == "2.00"
    assert times_better("chains.stages_per_s", 12.0, 40.0) == "0.30"


def test_where_a_round_is_missing_the_medians_are_compared() -> None:
    assert ratio_of_rounds("latency.stage_p50_ms", [1.0, 2.0, 4.0], [8.0]) == "4.00"
    assert ratio_of_rounds("latency.stage_p50_ms", [1.0], ["not in 150 s"]) == ""
    assert ratio_of_rounds("latency.stage_p50_ms", [], []) == ""


def test_the_bars_are_judged() -> None:
    text = report()
    assert "| chains.stages_per_s | 25,000 | 20,000-30,000 | ≥ 20,000 | 1.25 | pass |" in text
    assert "| fanout.10000_s | 1.2 |  | ≤ 0.6 | 0.50 | **FAIL** |" in text
    assert "| fanout.100000_s | a document has at most 20,000 stages |  | ≤ 8 |  | not measured |" in text
    assert "| crash.lost_or_doubled | 0 |  | ≤ 0 |  | pass |" in text


def test_the_others_stand_beside_the_product_with_ratios() -> None:
    text = shape_comparison(MEASURED)
    assert "|  | stagewright | Restate | ratio |" in text
    assert "| chains, stages/s | 25,000 | 5,000 | 5.00 |" in text
    assert "| fan-out of 10,000, s | 1.2 | not in 150 s |  |" in text


def test_what_could_not_be_measured_is_said_loudly() -> None:
    assert "NOT MEASURED" not in report()
    text = report({"restate": "npm is not installed"}, is_quick=True)
    assert "## NOT MEASURED" in text and "- **restate**: npm is not installed" in text
    assert "TINY SIZES" in text


def test_the_file_says_when_how_and_with_what_but_not_where() -> None:
    text = report()
    assert "2026-01-02, medians of 3 rounds" in text
    assert "python -m bench.run --rounds 3" in text
    assert re.search(r"Python 3\.\d+\.\d+, SQLite 3\.", text) and "ext4" in text
    assert "0.4 other programs wanted a core" in text
    assert "Profile of chains" in text
    for folder in (Path.cwd(), Path.home()):
        assert str(folder) not in text
