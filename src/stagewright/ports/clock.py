"""Time and chance, handed in everywhere, so that a seed can repeat everything."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Microseconds since 1970 UTC that never go back while the process lives."""

    def now_us(self) -> int: ...


class Chance(Protocol):
    """Random bits; not for secrets."""

    def bits(self, count: int) -> int: ...
