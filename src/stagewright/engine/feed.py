"""Who watches: committed events are handed to subscribers of one execution or of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Events = list[dict[str, Any]]
Watcher = Callable[[str, Events], None]


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
