"""Identifiers: a prefix and 26 letters of Crockford base32 that sort by time and carry the shard.

Layout of the 128 bits (after UUIDv7, RFC 9562 §5.7): 48 bits of milliseconds, 72 bits of chance, 8 bits of shard.
"""

from __future__ import annotations

from collections.abc import Callable

SHARDS = 256

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_CHANCE_BITS = 72
_STEP_BITS = 40  # ids of the same millisecond are up to so far apart, so that the next one cannot be guessed
_LENGTH = 26


class IdSource:
    """Makes ids that never repeat and rise within this source, from a clock and a source of chance handed in."""

    __slots__ = ("_bits", "_chance", "_ms", "_now_us", "_time_text")

    def __init__(self, now_us: Callable[[], int], bits: Callable[[int], int]) -> None:
        self._now_us = now_us
        self._bits = bits
        self._ms = -1
        self._chance = 0
        self._time_text = ""

    def new(self, prefix: str, shard: int = 0) -> str:
        """Return `prefix_…` for `shard` (0 to 255)."""
        ms = self._now_us() // 1000
        if ms > self._ms:
            self._set_time(ms)
        else:
            self._chance += 1 + self._bits(_STEP_BITS)
            if self._chance >> _CHANCE_BITS:
                self._set_time(self._ms + 1)
        number = self._chance << 8 | shard
        pairs = _PAIRS
        return (
            f"{prefix}_{self._time_text}{pairs[number >> 70]}{pairs[number >> 60 & 1023]}{pairs[number >> 50 & 1023]}"
            f"{pairs[number >> 40 & 1023]}{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}"
            f"{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
        )

    def _set_time(self, ms: int) -> None:
        self._ms, self._chance = ms, self._bits(_CHANCE_BITS)
        self._time_text = "".join([_PAIRS[ms >> shift & 1023] for shift in range(40, -1, -10)])


def shard_of(identifier: str) -> int:
    """Return the shard that an id was made for; the id must be well formed."""
    return (_VALUES[identifier[-2]] << 5 | _VALUES[identifier[-1]]) & 0xFF


def is_id(prefix: str, text: str) -> bool:
    """Say whether `text` has the form of an id with this prefix."""
    start = len(prefix) + 1
    return (
        len(text) == start + _LENGTH
        and text.startswith(prefix + "_")
        and all(letter in _VALUES for letter in text[start:])
    )
