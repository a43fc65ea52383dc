"""When the interpreter looks for cyclic garbage: little at a time while there is work, all of it when there is none.

The engine holds many live objects and makes no cycles on its hot path; reference counts free what it drops. The
collector would walk the living again and again (a pause of 80 ms with 20,000 executions in memory), so what has lived
for a moment is set aside by `gc.freeze`, which costs the same for any number of objects.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

THRESHOLDS = (10_000, 10, 1_000_000)
SET_ASIDE_S = 0.1
COLLECT_IDLE_S = 600.0
"""How long after a full collection the next moment without work is used for another."""


class Collector:
    """Keeps collections short; `work_done` is a number that rises with the work of this process."""

    def __init__(self, work_done: Callable[[], int]) -> None:
        self._work_done = work_done
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Set aside what is there, and go on doing so."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="collector")

    async def stop(self) -> None:
        """Stop; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        turns, before = 0, self._work_done()
        while True:
            await asyncio.sleep(SET_ASIDE_S)
            gc.freeze()
            turns += 1
            done = self._work_done()
            if turns * SET_ASIDE_S >= COLLECT_IDLE_S and done == before:
                gc.unfreeze()
                gc.collect()
                gc.freeze()
                turns = 0
            before = done
