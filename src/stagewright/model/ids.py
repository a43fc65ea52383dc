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
_LENGTH = 26


class IdSource:
    """Makes ids that never repeat and rise within this source, from a clock and a source of chance handed in."""

    __slots__ = ("_bits", "_last", "_now_us")

    def __init__(self, now_us: Callable[[], int], bits: Callable[[int], int]) -> None:
        self._now_us = now_us
        self._bits = bits
        self._last = 0

    def new(self, prefix: str, shard: int = 0) -> str:
        """Return `prefix_…` for `shard` (0 to 255)."""
        stamp = (self._now_us() // 1000 << _CHANCE_BITS) | self._bits(_CHANCE_BITS)
        if stamp >> _CHANCE_BITS <= self._last >> _CHANCE_BITS:
            stamp = self._last + 1 + self._bits(40)
        self._last = stamp
        return f"{prefix}_{_encode(stamp << 8 | shard)}"


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


def _encode(number: int) -> str:
    pairs = _PAIRS
    return "".join([pairs[number >> shift & 1023] for shift in range(120, -1, -10)])
