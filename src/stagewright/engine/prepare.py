"""Before an attempt: the step's inputs and a slot. Answers with granted, queued or unresolved, at once where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from stagewright.definitions import NeedsData
from stagewright.engine.actor import Actor
from stagewright.engine.dispatch import Dispatcher
from stagewright.engine.resolve import Unresolvable, failure_of, is_wanted, list_of, load_value, render_inputs
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef
from stagewright.model.errors import StoreTrouble, TooLarge, Trouble
from stagewright.model.message import Granted, Mapped, Message, Queued, Skipped, Unresolved
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Store

LOAD_PAUSE_S = 0.5  # between two tries to load a value


class Owner(Protocol):
    """The engine, as far as preparing needs it."""

    def turn(self, actor: Actor, message: Message) -> Any:
        """Answer a message at once."""

    def settled(self, actor: Actor) -> asyncio.Future[Any]:
        """Return a future that is done once what the actor has decided is durable."""

    def schedule(self) -> None:
        """See to it that what was decided is handed to the journal."""

    def release(self, execution_id: str, step: str) -> None:
        """Free a step's slot or place in the queue."""

    def isolate(self, actor: Actor, doing: str, error: Exception) -> None:
        """Pause one execution that met a bug."""


class Preparer:
    """Renders inputs on the loop when all is inline, else loads what they look into first."""

    def __init__(
        self, store: Store, objects: ObjectStore, dispatcher: Dispatcher, settings: EngineSettings, owner: Owner
    ) -> None:
        self._store, self._objects = store, objects
        self._dispatcher, self._settings, self._owner = dispatcher, settings, owner
        self._loading: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Stop loading; what was not prepared is prepared at the next start."""
        for task in tuple(self._loading):
            task.cancel()
        await asyncio.gather(*self._loading, return_exceptions=True)

    def prepare(self, actor: Actor, step: str) -> None:
        """Resolve the condition and the inputs of a ready step, then ask for a slot."""
        found = actor.state.open.get(step)
        if found is None or found.status != "ready":
            return  # what was prepared just before has ended it
        try:
            if step[-1] == "]":
                self._prepare_item(actor, step)
                return
            if not is_wanted(actor, step):
                actor.loaded.pop(step, None)
                self._owner.turn(actor, Skipped(step))
                return
            if actor.state.plan.stages[step].is_map:
                self._owner.turn(actor, Mapped(step, len(self._list(actor, step))))
                return
            if actor.state.plan.stages[step].stage.worker is None:
                self._owner.turn(actor, Granted(step))
            else:
                actor.inputs[step] = render_inputs(actor, step)
                self._ask_for_slot(actor, step)
        except NeedsData as need:
            self._start_load(actor, step, need.references, self.prepare)
        except Unresolvable as error:
            self._owner.turn(actor, Unresolved(step, error.failure))
        except Exception as error:
            self._owner.isolate(actor, f"preparing stage '{step}'", error)

    def _list(self, actor: Actor, stage: str) -> list[Any]:
        if stage not in actor.lists:
            actor.lists[stage] = list_of(actor, stage, self._settings.limits.items_max)
        return actor.lists[stage]

    def _prepare_item(self, actor: Actor, step: str) -> None:
        """Prepare an item; where values of its stage must be loaded, the first item does it for all."""
        stage = step.partition("[")[0]
        if stage in actor.held_up:
            actor.held_up[stage].append(step)
            return
        try:
            if not actor.bound.templates[stage].is_constant:
                self._list(actor, stage)  # after a start it is not known
            actor.inputs[step] = render_inputs(actor, step)
        except NeedsData as need:
            actor.held_up[stage] = [step]
            self._start_load(actor, stage, need.references, self._go_on_with_items)
            return
        self._ask_for_slot(actor, step)

    def _go_on_with_items(self, actor: Actor, stage: str) -> None:
        for step in actor.held_up.pop(stage, ()):
            self.prepare(actor, step)

    def _ask_for_slot(self, actor: Actor, name: str) -> None:
        state = actor.state
        step, stage = state.open[name], state.plan.stages[name].stage
        assert stage.worker is not None and step.ready_at is not None
        facts = self._dispatcher.facts(stage.worker)
        if facts is not None and facts.is_direct:
            self._owner.turn(actor, Granted(name))
            return
        priority = stage.priority or state.priority
        holder = (state.id, name)
        pool = self._dispatcher.slot_pool(stage.worker, alone=name in actor.suspects)
        if self._dispatcher.slots.pool_of(holder) not in (None, pool):
            self._owner.release(*holder)  # it held an ordinary slot before its worker vanished
        if self._dispatcher.slots.acquire(pool, holder, priority=priority, ready_at=step.ready_at):
            self._owner.turn(actor, Granted(name))
            return
        self._owner.turn(actor, Queued(name, f"no free slot at worker '{stage.worker}'"))

    def _start_load(
        self, actor: Actor, step: str, references: tuple[DataRef, ...], go_on: Callable[[Actor, str], None]
    ) -> None:
        # What it refers to may be in the very decision that made the step ready: it is there after the commit.
        settled = self._owner.settled(actor)
        task = asyncio.get_running_loop().create_task(self._load(actor, step, references, settled, go_on))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _load(
        self, actor: Actor, step: str, references: tuple[DataRef, ...], settled: asyncio.Future[Any],
        go_on: Callable[[Actor, str], None],
    ) -> None:  # fmt: skip
        is_list = step in actor.bound.lists and step not in actor.lists
        bound = self._settings.list_bytes_max if is_list else self._settings.reference_bytes_max
        try:
            await settled
            for ref in references:
                value = await self._load_patiently(ref, bound)
                actor.loaded.setdefault(step, {})[ref.storage_key] = value
        except (Trouble, TooLarge) as error:
            for name in actor.held_up.pop(step, (step,)):
                self._owner.turn(actor, Unresolved(name, failure_of(step, error)))
        except Exception as error:
            self._owner.isolate(actor, f"loading the inputs of stage '{step}'", error)
        else:
            if actor.is_active and step in actor.state.open and actor.state.open[step].status in ("ready", "running"):
                go_on(actor, step)
        self._owner.schedule()

    async def _load_patiently(self, ref: DataRef, bound: int) -> Any:
        """Load a value; a database that does not answer is asked again, as often as the setting says."""
        left = self._settings.load_tries_max
        while True:
            try:
                return await load_value(self._store, self._objects, ref, bytes_max=bound)
            except StoreTrouble:
                left -= 1
                if not left:
                    raise
                await asyncio.sleep(LOAD_PAUSE_S)
