"""Who may run where the number of slots is bounded, and who is next. A pool is a worker, or several that share."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from stagewright.model.policy import HEAD_START_US

Holder = tuple[str, str]  # execution id, step


class Slots:
    """Slots by pool. The longest ready goes first, with the head start of its priority."""

    def __init__(self, capacity: Callable[[str], int]) -> None:
        self._capacity = capacity
        self._held: dict[str, set[Holder]] = {}
        self._waiting: dict[str, list[tuple[int, int, Holder]]] = {}
        self._where: dict[Holder, str] = {}  # pool, of those that hold or wait
        self._places: dict[Holder, int] = {}  # number of the entry with which somebody waits; older ones count no more
        self._count = 0

    def acquire(self, pool: str, holder: Holder, *, priority: str, ready_at: int) -> bool:
        """Take a slot if one is free, else wait for one; true if it is held now. Idempotent."""
        held = self._held.setdefault(pool, set())
        if holder in held:
            return True
        if holder in self._where:
            return False
        self._where[holder] = pool
        if len(held) < self._capacity(pool):
            held.add(holder)
            return True
        self._count += 1
        self._places[holder] = self._count
        entry = (ready_at - HEAD_START_US[priority], self._count, holder)
        heapq.heappush(self._waiting.setdefault(pool, []), entry)
        return False

    def release(self, holder: Holder) -> list[Holder]:
        """Give up a slot or a place in the queue; return who holds a slot now that did not before."""
        pool = self._where.pop(holder, None)
        if pool is None:
            return []
        self._places.pop(holder, None)
        self._held.get(pool, set()).discard(holder)
        return self.grant(pool)

    def steps_of(self, execution_id: str) -> list[str]:
        """Return the steps of an execution that hold or wait; looks at all holders, so it is for rare cases."""
        return [step for holder, step in self._where if holder == execution_id]

    def grant(self, pool: str) -> list[Holder]:
        """Hand free slots to who waits; needed also when capacity has grown."""
        held, waiting = self._held.setdefault(pool, set()), self._waiting.get(pool, [])
        granted: list[Holder] = []
        while waiting and len(held) < self._capacity(pool):
            _, number, holder = heapq.heappop(waiting)
            if self._places.get(holder) == number:
                del self._places[holder]
                held.add(holder)
                granted.append(holder)
        return granted

    def position(self, holder: Holder) -> int | None:
        """Return how many wait before this one plus one; None if it does not wait."""
        pool = self._where.get(holder)
        if pool is None or holder in self._held.get(pool, ()):
            return None
        queue = sorted(self._waiting.get(pool, []))
        alive = [holder for _, number, holder in queue if self._places.get(holder) == number]
        return alive.index(holder) + 1 if holder in alive else None

    def pool_of(self, holder: Holder) -> str | None:
        """Return where a step holds a slot or waits for one."""
        return self._where.get(holder)

    def in_use(self, pool: str) -> int:
        """Return how many slots of a pool are held."""
        return len(self._held.get(pool, ()))
