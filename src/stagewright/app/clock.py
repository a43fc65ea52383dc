"""The real clock and real chance: the only place, with `model.ids`, that makes time and randomness."""

from __future__ import annotations

import random
import time


class SystemClock:
    """Wall time at the start plus the monotonic clock since, so that it never goes back."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_us(self) -> int:
        """Return microseconds since 1970 UTC."""
        return (time.monotonic_ns() + self._offset_ns) // 1000


class SystemChance:
    """Random bits of a generator that the operating system seeds. Not for secrets."""

    def __init__(self) -> None:
        self._random = random.Random()

    def bits(self, count: int) -> int:
        """Return a number of `count` random bits."""
        return self._random.getrandbits(count)
