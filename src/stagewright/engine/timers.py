"""Deadlines of executions: one entry for each, in buckets, so that setting and dropping cost the same always."""

from __future__ import annotations

import heapq

TICK_US = 10_000
"""Deadlines are kept this exact; a timer never fires before its time."""

STALE_TICKS_MAX = 1_000
"""Ticks that nobody waits for any more are kept up to so many and one for each that somebody waits for."""


class Timers:
    """A calendar of execution ids. Not a clock: the engine asks what is due."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[str, None]] = {}
        self._ticks: list[int] = []
        self._where: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._where)

    def set(self, execution_id: str, due_at: int) -> None:
        """Set the deadline of an execution in place of an earlier one."""
        tick = -(-due_at // TICK_US)
        present = self._where.get(execution_id)
        if present == tick:
            return
        if present is not None:
            self._remove(execution_id, present)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heapq.heappush(self._ticks, tick)
        bucket[execution_id] = None
        self._where[execution_id] = tick

    def drop(self, execution_id: str) -> None:
        """Forget an execution; nothing if it has no deadline."""
        tick = self._where.pop(execution_id, None)
        if tick is not None:
            self._remove(execution_id, tick)

    def next_at(self) -> int | None:
        """Return when the next deadline comes."""
        while self._ticks and self._ticks[0] not in self._buckets:
            heapq.heappop(self._ticks)
        return self._ticks[0] * TICK_US if self._ticks else None

    def take_due(self, now: int, most: int) -> list[str]:
        """Take out at most `most` executions whose deadline has come."""
        due: list[str] = []
        while len(due) < most and (at := self.next_at()) is not None and at <= now:
            bucket = self._buckets[self._ticks[0]]
            while bucket and len(due) < most:
                execution_id, _ = bucket.popitem()
                del self._where[execution_id]
                due.append(execution_id)
            if not bucket:
                del self._buckets[heapq.heappop(self._ticks)]
        return due

    def _remove(self, execution_id: str, tick: int) -> None:
        bucket = self._buckets[tick]
        del bucket[execution_id]
        if not bucket:
            del self._buckets[tick]
            if len(self._ticks) > 2 * len(self._buckets) + STALE_TICKS_MAX:
                self._ticks = list(self._buckets)
                heapq.heapify(self._ticks)
