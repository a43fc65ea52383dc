"""Durations of documents: `500ms`, `1s`, `1h30m`, or a number of seconds; inside, integer microseconds."""

from __future__ import annotations

import math
import re

UNITS_US = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
DURATION_MAX_US = 3_660 * UNITS_US["d"]  # ten years and a bit; more is a mistake
DURATION_LENGTH_MAX = 64

_FORM = re.compile(
    r"(?:(?P<d>\d{1,9}(?:\.\d{1,9})?)d)?(?:(?P<h>\d{1,9}(?:\.\d{1,9})?)h)?(?:(?P<m>\d{1,9}(?:\.\d{1,9})?)m)?"
    r"(?:(?P<s>\d{1,9}(?:\.\d{1,9})?)s)?(?:(?P<ms>\d{1,9}(?:\.\d{1,9})?)ms)?",
    re.ASCII,
)


def parse_duration(value: object) -> int:
    """Return microseconds, from 0 to `DURATION_MAX_US`.

    ValueError, with the reason in words, when it is no duration, negative or too long.
    """
    total_us = _microseconds(value)
    if total_us > DURATION_MAX_US:
        raise ValueError("it is longer than 3660 days")
    return total_us


def _microseconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("it is neither text nor a number of seconds")
    if not isinstance(value, str):
        if not math.isfinite(value) or value < 0:
            raise ValueError("it is negative")
        return round(min(value, DURATION_MAX_US) * UNITS_US["s"])
    form = _FORM.fullmatch(value)
    if form is None or not 0 < len(value) <= DURATION_LENGTH_MAX:
        raise ValueError("its form is not numbers with the units d, h, m, s, ms, each once and in this order")
    return round(sum(float(amount) * UNITS_US[unit] for unit, amount in form.groupdict().items() if amount))


def show_duration(duration_us: int) -> str:
    """Write microseconds as a document would: `1h30m`, `500ms`; below a millisecond it is rounded to `0ms`."""
    text = ""
    for unit, unit_us in UNITS_US.items():
        amount, duration_us = divmod(duration_us, unit_us)
        text += f"{amount}{unit}" if amount else ""
    return text or "0ms"
