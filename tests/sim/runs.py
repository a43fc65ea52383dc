"""One seed, run plain and with a crash at every write; what broke, and how to see it again."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stagewright.engine.core import Engine
from tests.sim.checkers import check
from tests.sim.faults import CrashKind, FaultPlan
from tests.sim.workload import workload_of
from tests.sim.world import World


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    seed: int
    crashes_at: dict[int, CrashKind]
    violations: list[str]
    lines: list[str]
    writes: int
    executions: int
    attempts: int
    crashes: int
    digest: str

    def report(self) -> str:
        """Say what broke and how to repeat it."""
        shown = "\n  ".join(each[:1500] for each in self.violations[:6])
        return f"seed {self.seed}, crashes at {self.crashes_at}; repeat with `make sim SEED={self.seed}`\n  {shown}"


def run_once(seed: int, crashes: dict[int, CrashKind] | None = None, engine: type[Engine] = Engine) -> Outcome:
    """Run a seed to its end with crashes at the numbered writes, and check everything."""
    plan = replace(FaultPlan.of_seed(seed), crashes=crashes or {})
    world = World(str(seed), workload_of(seed), plan, engine_class=engine)
    try:
        world.run()
        check(world)
    except Exception as error:
        world.history.violation(f"the run failed: {error!r}")
        if not isinstance(error, AssertionError):
            raise
    (executions,) = world.disk.sql("SELECT count(*) FROM executions")[0]
    return Outcome(
        seed, dict(plan.crashes), world.history.violations, world.history.lines, world.disk.writes, executions,
        len(world.history.attempts), world.incarnations - 1, world.digest(),
    )  # fmt: skip


def crash_runs(seed: int, writes: int, engine: type[Engine] = Engine) -> Iterator[Outcome]:
    """Run again with a crash before and after each write; some crash again soon after, or leave a late write."""
    chance = random.Random(f"crashes/{seed}")
    for number in range(1, writes + 1):
        for kind in ("before", "after"):
            crashes: dict[int, CrashKind] = {number: kind}  # type: ignore[dict-item]
            drawn = chance.random()
            if drawn < 0.2:
                crashes[number + chance.randint(1, 6)] = chance.choice(("before", "after"))  # type: ignore[assignment]
            elif drawn < 0.3:
                crashes[number] = "zombie"
            yield run_once(seed, crashes, engine)
    gc.collect()
