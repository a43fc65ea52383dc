"""A deterministic asyncio event loop: virtual time in microseconds, no selector, no threads, a deadlock is an error.

Callbacks run in the order in which they became ready, as asyncio promises. Timers of the same instant have no promised
order, so a seed shuffles them. Blocking work (`to_thread`) runs inline after a simulated delay.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import random
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import Any

EXECUTOR_DELAY_US = (50, 2_000)
CALLBACKS_MAX = 2_000_000
"""A run that calls back more often is taken to spin without end."""


class Crashed(Exception):
    """The simulated process has ended without any notice."""


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and the program waits."""


class SimTimer(asyncio.TimerHandle):
    """A timer with a whole number of microseconds and a place among those of its instant."""

    def __init__(self, at_us: int, place: tuple[int, int], callback: Callable[..., Any], args: Any, loop: SimLoop,
                 context: Any) -> None:  # fmt: skip
        super().__init__(at_us / 1e6, callback, args, loop, context)
        self.at_us = at_us
        self.place = place

    def __lt__(self, other: Any) -> bool:
        return (self.at_us, self.place) < (other.at_us, other.place)


class SimLoop(asyncio.AbstractEventLoop):
    """Runs one incarnation of the simulated process, from `now_us` on."""

    def __init__(self, seed: str, now_us: int) -> None:
        self.now_us = now_us
        self.crashed = False
        self.errors: list[str] = []
        self.callbacks = 0
        self._chance = random.Random(f"loop/{seed}")
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[SimTimer] = []
        self._count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._running = False
        self._closed = False

    # --- time and callbacks ---------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now_us / 1e6

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        if not self.crashed:
            self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(*args, **kwargs)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> SimTimer:  # type: ignore[override]
        return self._set_timer(self.now_us + max(0, round(delay * 1e6)), callback, args, context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> SimTimer:  # type: ignore[override]
        return self._set_timer(max(self.now_us, round(when * 1e6)), callback, args, context)

    def _set_timer(self, at_us: int, callback: Callable[..., Any], args: Any, context: Any) -> SimTimer:
        self._count += 1
        timer = SimTimer(at_us, (self._chance.getrandbits(16), self._count), callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]
        if not self.crashed:
            heapq.heappush(self._timers, timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by asyncio; cancelled timers are passed over when their time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None, **_: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()

        def perform() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self._chance.randint(*EXECUTOR_DELAY_US) / 1e6, perform)
        return future

    # --- running --------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        task = self.create_task(future) if asyncio.iscoroutine(future) else future
        events._set_running_loop(self)
        self._running = True
        try:
            while not task.done():
                self._run_once()
                if self.crashed:
                    raise Crashed
        finally:
            self._running = False
            events._set_running_loop(None)
        return task.result()

    def _run_once(self) -> None:
        if not self._ready:
            self._advance()
        handle = self._ready.popleft()
        self.callbacks += 1
        if self.callbacks > CALLBACKS_MAX:
            raise Deadlock(f"{CALLBACKS_MAX} callbacks were made: something spins without end\n{self.dump()}")
        if not handle.cancelled():
            handle._run()

    def _advance(self) -> None:
        """Move time to the next timer, and make ready all timers of that instant, in shuffled order."""
        timers = self._timers
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"Nothing is ready and no timer is set\n{self.dump()}")
        self.now_us = max(self.now_us, timers[0].at_us)
        while timers and timers[0].at_us <= self.now_us:
            timer = heapq.heappop(timers)
            if not timer.cancelled():
                self._ready.append(timer)

    def crash(self) -> None:
        """End the process: no callback runs any more, what waits is forgotten."""
        self.crashed = True
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # it had no chance to begin, which is no mistake

    def dump(self) -> str:
        """Describe the tasks that wait, with the line where each does."""
        lines = []
        for task in sorted(self._tasks, key=lambda each: each.get_name()):
            frames = task.get_stack(limit=3)
            where = " > ".join(f"{frame.f_code.co_name}:{frame.f_lineno}" for frame in frames)
            lines.append(f"  {task.get_name()} waits at {where}")
        return "\n".join(lines)

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self.crash()

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        raise AssertionError("the simulated loop has no debug mode")

    async def shutdown_asyncgens(self) -> None:
        """Nothing is kept of generators."""

    async def shutdown_default_executor(self) -> None:  # type: ignore[override]
        """There is no executor."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught; the simulation fails on it at its end."""
        if self.crashed:
            return
        error = context.get("exception")
        self.errors.append(f"{context.get('message')}: {error!r}")

    default_exception_handler = call_exception_handler
