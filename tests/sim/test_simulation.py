"""Fifty seeds, each run with a crash at every write. `SIM_SEED` names one seed or a range (`make sim`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sim.runs import crash_runs, run_once

SEEDS = 50
CHOSEN = os.environ.get("SIM_SEED", f"1-{SEEDS}")
FIRST, _, LAST = CHOSEN.partition("-")


@pytest.mark.parametrize("seed", range(int(FIRST), int(LAST or FIRST) + 1))
def test_every_promise_holds_with_a_crash_at_every_write(seed: int) -> None:
    plain = run_once(seed)

    assert not plain.violations, plain.report()
    assert plain.executions > 0
    crashes = 0
    for outcome in crash_runs(seed, plain.writes):
        assert not outcome.violations, outcome.report()
        crashes += outcome.crashes
    assert crashes >= 2 * plain.writes, "the crashes did not happen"


@pytest.mark.parametrize("seed", [2, 12, 35])
def test_the_same_seed_gives_the_same_history_and_the_same_database(seed: int) -> None:
    first, second = (run_once(seed, {7: "after", 15: "zombie"}) for _ in range(2))

    assert first.lines == second.lines
    assert first.digest == second.digest


def test_a_seed_means_the_same_in_every_process() -> None:
    code = "from tests.sim.runs import run_once; print([run_once(seed, {9: 'before'}).digest for seed in range(1, 9)])"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": hashing}, capture_output=True, check=True
        ).stdout
        for hashing in ("1", "2")
    }

    assert len(answers) == 1
