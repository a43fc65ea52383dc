"""Run seeds by hand: `python -m tests.sim 7`, `python -m tests.sim 1-50`; ends with 1 if one of them fails."""

from __future__ import annotations

import sys
import time

from tests.sim.runs import Outcome, crash_runs, run_once


def main(arguments: list[str]) -> int:
    """Run each seed plain, then with a crash at every write; print a line for each."""
    first, _, last = (arguments[0] if arguments else "1").partition("-")
    failed = 0
    for seed in range(int(first), int(last or first) + 1):
        began = time.perf_counter()
        plain = run_once(seed)
        outcomes = [plain, *crash_runs(seed, plain.writes)]
        bad = [outcome for outcome in outcomes if outcome.violations]
        failed += bool(bad)
        print(_line(seed, outcomes, len(bad), time.perf_counter() - began))
        for outcome in bad[:3]:
            print(outcome.report())
    return 1 if failed else 0


def _line(seed: int, outcomes: list[Outcome], bad: int, seconds: float) -> str:
    plain = outcomes[0]
    return (
        f"seed {seed}: {len(outcomes)} runs, {bad} failed, {plain.writes} writes, {plain.executions} executions, "
        f"{plain.attempts} attempts, {sum(outcome.crashes for outcome in outcomes)} crashes, {seconds:.2f} s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
