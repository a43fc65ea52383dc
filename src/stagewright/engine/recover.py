"""After a start: load what is open, count crashes while loading, send attempts of vanished workers on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import orjson

from stagewright.engine.actor import Actor
from stagewright.engine.bind import Bound
from stagewright.engine.core import Engine
from stagewright.engine.rows import load_execution
from stagewright.model.errors import BadRows, NotFound, StagewrightError, StoreTrouble
from stagewright.model.execution import Failure
from stagewright.model.ids import SHARDS
from stagewright.model.message import Halt, Lost, Message, Retry
from stagewright.ports.store import NodeIdentity, Row

LOAD_PAUSE_S = 0.5


class Recovery:
    """Brings executions from rows into memory: all open ones at a start, single ones for a retry."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[Any]] = set()
        self._was_orderly = False
        self._loading: dict[str, asyncio.Event] = {}
        engine.on_refused = self._refused  # type: ignore[method-assign]

    async def start(self, identity: NodeIdentity, only: Collection[str] | None = None) -> int:
        """Take all shards, load every open execution, or only those named; returns how many."""
        store = self._engine.store
        everything = orjson.dumps(list(range(SHARDS))).decode()
        await store.write([("take_shards", (identity.node, identity.incarnation, everything))])
        previous = await store.read("node_previous_state", identity.node, identity.incarnation)
        self._was_orderly = bool(previous) and previous[0][0] == "stopped"
        self._engine.open(int((await store.read("last_page"))[0][0]))
        loaded, after = 0, ""
        while rows := await store.read("open_executions", after, self._engine.settings.load_page):
            after = rows[-1][0]
            wanted = rows if only is None else [row for row in rows if row[0] in only]
            loaded += await self._load_page(wanted) if wanted else 0
        return loaded

    async def retry(self, execution_id: str, from_stage: str | None) -> bool:
        """Load an ended execution and open a new round; false if its state does not allow it."""
        return await self.ask(execution_id, Retry(from_stage))

    async def ask(self, execution_id: str, message: Message) -> bool:
        """Send a message to an execution, active or not, and say after the commit whether it changed anything.

        It is loaded by one asker at a time: two actors of one execution would both write it.
        """
        while (loading := self._loading.get(execution_id)) is not None:
            await loading.wait()
        if execution_id in self._engine.actors:
            return await self._engine.ask(execution_id, message)
        self._loading[execution_id] = asyncio.Event()
        try:
            answer = self._engine.adopt(await self.load(execution_id), message)
        finally:
            self._loading.pop(execution_id).set()
        return bool(await answer)

    async def load(self, execution_id: str) -> Actor:
        """Build one execution from its rows; it is not active yet."""
        rows = await self._engine.store.read("execution_to_load", execution_id)
        if not rows:
            raise NotFound(f"There is no execution {execution_id}")
        return (await self._actors(rows))[0]

    async def stop(self) -> None:
        """Stop what is being loaded."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load_page(self, rows: list[Row]) -> int:
        """Load a page at once; those that were being loaded when a node went down, one by one."""
        store, bound = self._engine.store, self._engine.settings.load_crashes_max
        marked = (await store.write([("loads_started", (_as_json([row[0] for row in rows]),))]))[0]
        crashes: dict[str, int] = dict(marked)
        well = [row for row in rows if crashes[row[0]] == 1]
        await self._revive(well)
        await store.write([("loads_done", ())])
        for row in rows:
            if crashes[row[0]] == 1:
                continue
            await store.write([("load_again", (row[0], crashes[row[0]]))])
            await self._revive([row], parked=crashes[row[0]] > bound)
            await store.write([("loads_done", ())])
        return len(rows)

    async def _revive(self, rows: list[Row], *, parked: bool = False) -> None:
        for row in rows if parked else ():
            await self._park(row[0], "The node went down each time it loaded this execution")
        if rows and not parked:
            for actor in await self._actors(rows):
                if actor.state.status != "paused":
                    self._activate(actor)

    async def _park(self, execution_id: str, message: str, trace: str | None = None) -> None:
        error = Failure("internal_error", message + ": it is paused until somebody retries it", "internal", trace=trace)
        await self._engine.store.write([("park", (execution_id, _as_json(error.as_json())))])

    def _activate(self, actor: Actor) -> None:
        """Make a loaded execution active: its local attempts are lost, its ready steps are prepared anew."""
        engine, state = self._engine, actor.state
        engine.actors[state.id] = actor
        for step in state.open.values():
            if step.status == "running" and not state.plan.stages[step.name].is_map:
                lost = Lost(step.name, step.attempt, "the node stopped", not self._was_orderly, is_suspect=False)
                engine.post(state.id, lost)
        engine.wake(actor)

    async def _actors(self, rows: list[Row]) -> list[Actor]:
        store = self._engine.store
        ids = _as_json([row[0] for row in rows])
        steps: dict[str, list[Row]] = {}
        for query in ("steps_to_load", "items_to_load"):
            for step in await store.read(query, ids):
                steps.setdefault(step[0], []).append(step)
        done: dict[str, list[Row]] = {}
        for bitmap in await store.read("items_done", ids):
            done.setdefault(bitmap[0], []).append(bitmap)
        seqs: dict[str, int] = dict(await store.read("last_seq", ids))
        actors = []
        for row in rows:
            try:
                bound = await self._bound(row[6])
                state = load_execution(
                    row, steps.get(row[0], ()), bound.plan, seqs.get(row[0], 0), done.get(row[0], ())
                )
            except (StagewrightError, ValueError, KeyError, TypeError) as error:
                await self._park(row[0], f"It cannot be loaded: {type(error).__name__}: {error}")
                continue
            actors.append(Actor(state, bound))
        return actors

    async def _bound(self, digest: str) -> Bound:
        bound = self._engine.binder.kept(digest)
        if bound is None:
            rows = await self._engine.store.read("definition", digest)
            if not rows:
                raise NotFound(f"The definition {digest} is missing")
            bound = self._engine.binder.bind_document(orjson.loads(rows[0][0]))
        return bound

    def _refused(self, execution_id: str, error: Exception) -> None:
        task = asyncio.get_running_loop().create_task(self._halt(execution_id, error))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _halt(self, execution_id: str, error: Exception) -> None:
        """Load an execution as it was last written and pause it with the reason."""
        failure = Failure("internal_error", f"What this execution wanted to write was refused: {error}", "internal")
        while True:
            try:
                await self.ask(execution_id, Halt(failure))
                return
            except BadRows as again:  # not even this can be written: nobody must wait for it
                await self._park(execution_id, f"What this execution wanted to write was refused: {again}")
                return
            except StoreTrouble:
                await asyncio.sleep(LOAD_PAUSE_S)


def _as_json(value: Any) -> str:
    return orjson.dumps(value).decode()
