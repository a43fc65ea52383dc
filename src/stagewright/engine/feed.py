"""Who watches: committed events are handed to subscribers of one execution or of all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from stagewright.model.execution import FINAL_STATUSES

Events = list[dict[str, Any]]
Watcher = Callable[[str, Events], None]

FINAL_EVENTS = frozenset(f"execution.{status}" for status in FINAL_STATUSES)
TAKEN_AT_ONCE = 500


class Feed:
    """Calls watchers on the loop, in the order of commits. A watcher must be quick and must not raise."""

    def __init__(self) -> None:
        self._of_one: dict[str, list[Watcher]] = {}
        self._of_all: list[Watcher] = []

    def watch(self, execution_id: str | None, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher(execution_id, events)` for one execution, or for all with None; returns how to stop."""
        watchers = self._of_all if execution_id is None else self._of_one.setdefault(execution_id, [])
        watchers.append(watcher)

        def stop() -> None:
            if watcher in watchers:
                watchers.remove(watcher)
            if execution_id is not None and not watchers and self._of_one.get(execution_id) is watchers:
                del self._of_one[execution_id]

        return stop

    def publish(self, execution_id: str, events: Events) -> None:
        """Hand over committed events."""
        for watcher in tuple(self._of_all):
            watcher(execution_id, events)
        watchers = self._of_one.get(execution_id)
        if watchers:
            for watcher in tuple(watchers):
                watcher(execution_id, events)


class Heard:
    """What the watcher of one execution has heard and not taken yet. Bounded: who falls behind reads the database."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._events: deque[dict[str, Any]] = deque()
        self._has_missed = False
        self._arrived = asyncio.Event()

    def take(self, _: str, events: Events) -> None:
        """Hear committed events; this is the watcher that `Feed` calls."""
        if len(self._events) + len(events) > self._events_max:
            self._events.clear()
            self._has_missed = True
        else:
            self._events.extend(events)
        self._arrived.set()

    async def after(self, seq: int) -> Events | None:
        """Wait for the events that follow number `seq` without a gap; None if the database must be asked first."""
        while True:
            has_ended = self._drop(seq)
            has_gap = bool(self._events) and self._events[0]["seq"] != seq + 1
            if self._has_missed or has_gap or has_ended:
                self._has_missed = False
                return None
            if self._events:
                return [self._events.popleft() for _ in range(min(len(self._events), TAKEN_AT_ONCE))]
            self._arrived.clear()
            await self._arrived.wait()

    def _drop(self, seq: int) -> bool:
        """Drop what is known already; true if an end was among it, after which nothing more may come."""
        has_ended = False
        while self._events and self._events[0]["seq"] <= seq:
            has_ended |= self._events.popleft()["type"] in FINAL_EVENTS
        return has_ended
