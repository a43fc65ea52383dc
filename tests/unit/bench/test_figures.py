"""Figures, their bars and the table that people read."""

from __future__ import annotations

from stagewright.cli.bench_figures import Figure, merge, shape_number, shape_table, table_rows, whys


def test_a_figure_that_should_be_large_passes_at_its_bar_and_fails_below() -> None:
    at_bar = Figure("chains", "stages_per_s", (20_000.0,), "stages/s")
    below = Figure("chains", "stages_per_s", (10_000.0,), "stages/s")
    assert (at_bar.ratio, at_bar.passes) == (1.0, True)
    assert (below.ratio, below.passes) == (0.5, False)


def test_a_figure_that_should_be_small_has_a_ratio_above_one_when_it_is_smaller() -> None:
    fast = Figure("fanout", "1000_s", (0.03,), "s")
    slow = Figure("fanout", "1000_s", (0.12,), "s")
    assert (fast.ratio, fast.passes) == (2.0, True)
    assert (slow.ratio, slow.passes) == (0.5, False)


def test_no_fault_passes_a_bar_of_zero_and_one_fails_it() -> None:
    assert Figure("crash", "lost_or_doubled", (0.0,), "faults").passes is True
    assert Figure("crash", "lost_or_doubled", (1.0,), "faults").passes is False
    assert Figure("crash", "lost_or_doubled", (1.0,), "faults").ratio is None


def test_what_was_not_measured_neither_passes_nor_fails_and_says_why() -> None:
    figure = Figure("submit", "http_per_s", (), "/s", {"why": "there is no wrk"})
    assert (figure.value, figure.ratio, figure.passes) == (None, None, None)
    assert table_rows([figure])[0][2] == "not measured"
    assert whys([figure]) == ["submit http_per_s: there is no wrk"]


def test_rounds_are_merged_to_their_median() -> None:
    rounds = [[Figure("latency", "stage_p50_ms", (value,), "ms")] for value in (0.5, 0.1, 0.3)]
    [merged] = merge(rounds)
    assert merged.values == (0.5, 0.1, 0.3)
    assert merged.value == 0.3


def test_the_table_has_bar_ratio_and_verdict_in_line() -> None:
    rows = table_rows([Figure("chains", "stages_per_s", (30_000.0, 10_000.0, 25_000.0), "stages/s")])
    assert rows == [
        ("chains", "stages_per_s", "25,000 stages/s", "10,000-30,000", ">= 20,000", "1.25", "pass"),
    ]
    assert shape_table(("a", "b"), [("long", "x")]) == "a     b\nlong  x"


def test_numbers_keep_three_digits_that_matter() -> None:
    assert [shape_number(one) for one in (0.012345, 1.0, 98.76, 123.4, 4567.8, 0)] == [
        "0.0123", "1", "98.8", "123", "4,568", "0",
    ]  # fmt: skip
