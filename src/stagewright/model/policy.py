"""How often and how long: retry and timeout policies of a stage, and priorities. All durations in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

SECOND_US = 1_000_000

Jitter = Literal["full", "none"]

PRIORITIES = ("low", "normal", "high", "critical")

HEAD_START_US = {
    "low": -60 * SECOND_US,
    "normal": 0,
    "high": 60 * SECOND_US,
    "critical": 600 * SECOND_US,
}
"""What a priority is worth: a step counts as ready for so much longer. Ageing follows, as everybody ages alike."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (the variant "full jitter").
    """

    max_attempts: int = 3
    initial_us: int = SECOND_US
    factor: float = 2.0
    max_us: int = 60 * SECOND_US
    jitter: Jitter = "full"

    def delay_us(self, failed_attempts: int, seed: str) -> int:
        """Wait before the next attempt after `failed_attempts` ≥ 1 failures; the same for the same seed.

        The seed names the attempt, so that equal steps spread and a replayed decision is the same decision.
        """
        assert failed_attempts >= 1, failed_attempts
        ceiling_us = self.initial_us
        for _ in range(failed_attempts - 1):
            ceiling_us = int(ceiling_us * self.factor)
            if ceiling_us >= self.max_us:
                break
        ceiling_us = min(ceiling_us, self.max_us)
        if self.jitter == "none":
            return ceiling_us
        digest = blake2b(seed.encode(), digest_size=8).digest()
        return ceiling_us * int.from_bytes(digest, "big") >> 64
