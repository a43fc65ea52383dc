"""What goes wrong in a run, and when: crashes at numbered writes, and troubles that a seed draws."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

CrashKind = Literal["before", "after", "zombie"]
"""Before the commit, after the commit but before its answer, or cut off while the write is still on its way."""

Trouble = Literal["none", "not_committed", "committed", "slow", "bad_rows"]


@dataclass(slots=True)
class FaultPlan:
    """All faults of one run. Writes are numbered from 1 over all incarnations."""

    crashes: dict[int, CrashKind] = field(default_factory=dict)
    trouble_rate: float = 0.0  # of flushes that fail with an unknown outcome
    deaf_rate: float = 0.0  # of answers to "was it committed?" that fail too
    slow_rate: float = 0.0
    worker_fault_rate: float = 0.0  # of attempts that end in some way other than with one result
    poison: bool = False  # some outputs are refused by the database
    outage_us: tuple[int, int] = (0, 0)  # from and to, of a run: no write succeeds and no question is answered
    heals_after_us: int = 20_000_000  # of a run; nothing goes wrong later

    @staticmethod
    def of_seed(seed: int) -> FaultPlan:
        """Draw the faults of a seed; every third one has a healthy disk."""
        chance = random.Random(f"faults/{seed}")
        plan = FaultPlan(worker_fault_rate=chance.choice([0.0, 0.1, 0.3, 0.5]))
        if seed % 3:
            plan.trouble_rate = chance.choice([0.02, 0.1, 0.25])
            plan.deaf_rate = chance.choice([0.0, 0.3])
            plan.slow_rate = chance.choice([0.0, 0.05])
        plan.poison = seed % 5 == 0
        if seed % 10 == 4:
            plan.outage_us = (1_500_000, chance.choice([4_000_000, 13_000_000]))  # the longer one ends the process
        return plan
