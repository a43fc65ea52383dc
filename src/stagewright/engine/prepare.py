"""Before an attempt: the step's inputs and a slot. Answers with granted, queued or unresolved, at once where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from stagewright.definitions import NeedsData
from stagewright.engine.actor import Actor
from stagewright.engine.dispatch import Dispatcher
from stagewright.engine.resolve import NeedsWork, Unresolvable, failure_of, load_value, render_inputs
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef
from stagewright.model.errors import StoreTrouble, TooLarge, Trouble
from stagewright.model.message import Granted, Message, Queued, Unresolved
from stagewright.ports.evaluator import Answer, Evaluator, Question
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
    """Renders inputs on the loop when that is little work and all is inline, else after loading and evaluating."""

    def __init__(
        self,
        store: Store,
        objects: ObjectStore,
        evaluator: Evaluator,
        dispatcher: Dispatcher,
        settings: EngineSettings,
        owner: Owner,
    ) -> None:
        self._store, self._objects, self._evaluator = store, objects, evaluator
        self._dispatcher, self._settings, self._owner = dispatcher, settings, owner
        self._loading: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Stop loading and evaluating; what was not prepared is prepared at the next start."""
        for task in tuple(self._loading):
            task.cancel()
        await asyncio.gather(*self._loading, return_exceptions=True)

    def prepare(self, actor: Actor, step: str, answers: Mapping[str, Answer] | None = None) -> None:
        """Resolve the inputs of a ready step, then ask for a slot. `answers`: what was evaluated elsewhere."""
        try:
            work_max = self._settings.expression_inline_work_max
            actor.inputs[step] = render_inputs(actor, step, work_max=work_max, answers=answers)
            self._ask_for_slot(actor, step)
        except NeedsWork as need:
            self._begin(self._evaluate(actor, step, need.question))
        except NeedsData as need:
            # What it refers to may be in the very decision that made the step ready: it is there after the commit.
            settled = self._owner.settled(actor)
            self._begin(self._load(actor, step, need.references, settled))
        except Unresolvable as error:
            self._owner.turn(actor, Unresolved(step, error.failure))
        except Exception as error:
            self._owner.isolate(actor, f"preparing stage '{step}'", error)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

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

    async def _load(
        self, actor: Actor, step: str, references: tuple[DataRef, ...], settled: asyncio.Future[Any]
    ) -> None:
        try:
            await settled
            for ref in references:
                value = await self._load_patiently(ref)
                actor.loaded.setdefault(step, {})[ref.storage_key] = value
        except (Trouble, TooLarge) as error:
            self._owner.turn(actor, Unresolved(step, failure_of(step, error)))
        except Exception as error:
            self._owner.isolate(actor, f"loading the inputs of stage '{step}'", error)
        else:
            if _is_ready(actor, step):
                self.prepare(actor, step)
        self._owner.schedule()

    async def _evaluate(self, actor: Actor, step: str, question: Question) -> None:
        """Have expressions evaluated that would block the loop; what they name is kept in the actor meanwhile."""
        try:
            answers = await self._evaluator.evaluate(question)
        except Trouble as error:
            if _is_ready(actor, step):
                self._owner.turn(actor, Unresolved(step, failure_of(step, error)))
        except Exception as error:
            self._owner.isolate(actor, f"evaluating the inputs of stage '{step}'", error)
        else:
            if _is_ready(actor, step):
                self.prepare(actor, step, answers)
        self._owner.schedule()

    async def _load_patiently(self, ref: DataRef) -> Any:
        """Load a value; a database that does not answer is asked again, as often as the setting says."""
        bound, left = self._settings.reference_bytes_max, self._settings.load_tries_max
        while True:
            try:
                return await load_value(self._store, self._objects, ref, bytes_max=bound)
            except StoreTrouble:
                left -= 1
                if not left:
                    raise
                await asyncio.sleep(LOAD_PAUSE_S)


def _is_ready(actor: Actor, step: str) -> bool:
    """Say whether the step still waits for its inputs."""
    return actor.is_active and step in actor.state.open and actor.state.open[step].status == "ready"
