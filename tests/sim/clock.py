"""Simulated time and chance, handed to the engine in place of the real ones."""

from __future__ import annotations

import random

from tests.sim.loop import SimLoop


class SimClock:
    """`ports.clock.Clock` on the loop's virtual time. Each reading takes a microsecond, so that slices end."""

    def __init__(self, loop: SimLoop, tick_us: int = 0) -> None:
        self._loop = loop
        self._tick_us = tick_us

    def now_us(self) -> int:
        """Return virtual microseconds."""
        self._loop.now_us += self._tick_us
        return self._loop.now_us


class SimChance:
    """`ports.clock.Chance` from a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"chance/{seed}")

    def bits(self, count: int) -> int:
        """Return a number of `count` bits."""
        return self._random.getrandbits(count)
