"""After the commit: hand attempts to the channel that reaches their worker, and take them back."""

from __future__ import annotations

from collections.abc import Sequence

from stagewright.definitions.aliases import Aliases
from stagewright.engine.actor import Actor
from stagewright.engine.slots import Slots
from stagewright.model.execution import Failure, Step
from stagewright.model.message import Failed
from stagewright.ports.channel import Assignment, Channel, Mailbox, WorkerFacts

OTHER_NAMES_MAX = 1_000
"""Other names of workers that are kept once found."""

ALONE = "alone, "
"""Marks the slots of attempts that follow a lost one."""


class Dispatcher:
    """Knows which channel reaches which worker; channels are looked at in order."""

    def __init__(self, channels: Sequence[Channel], aliases: Aliases | None = None) -> None:
        self._channels = tuple(channels)
        self.aliases = aliases or Aliases()
        self._meant: dict[str, str] = {}
        self._mailbox: Mailbox | None = None
        self._ways: dict[str, tuple[Channel, WorkerFacts]] = {}
        self._pools: dict[str, int] = {}
        self.slots = Slots(lambda pool: self._pools.get(pool, 0))

    async def start(self, mailbox: Mailbox) -> None:
        """Start the channels; their workers are known from now on."""
        self._mailbox = mailbox
        for channel in self._channels:
            await channel.start(mailbox)

    async def stop(self) -> None:
        """Stop the channels in reverse order."""
        for channel in reversed(self._channels):
            await channel.stop()

    def look(self) -> None:
        """Learn anew which workers there are, and what other names mean."""
        self._meant.clear()
        for channel in reversed(self._channels):
            for name, facts in channel.workers().items():
                self._ways[name] = (channel, facts)
                self._pools[facts.slot_pool or name] = facts.slots
                self._pools[ALONE + (facts.slot_pool or name)] = facts.alone_slots

    def facts(self, worker: str) -> WorkerFacts | None:
        """Return what is known of a worker, whose name in `facts` is its own and may not be the one asked for."""
        way = self._way(worker)
        return None if way is None else way[1]

    def slot_pool(self, worker: str, *, alone: bool = False) -> str:
        """Return whose slots the attempts of a worker take; those that must run alone have slots of their own."""
        facts = self.facts(worker)
        pool = worker if facts is None else facts.slot_pool or facts.name
        return ALONE + pool if alone and facts is not None and facts.alone_slots else pool

    def names(self) -> tuple[str, ...]:
        """Return the names of all workers."""
        return tuple(self._ways)

    def _way(self, worker: str) -> tuple[Channel, WorkerFacts] | None:
        way = self._ways.get(worker)
        if way is not None:
            return way
        meant = self._meant.get(worker) or self.aliases.worker(worker, self._ways)
        if meant is None:
            return None
        if len(self._meant) >= OTHER_NAMES_MAX:
            self._meant.clear()
        self._meant[worker] = meant
        return self._ways[meant]

    def dispatch(self, actor: Actor, step: Step) -> None:
        """Hand over the attempt that was just committed."""
        stage = actor.state.plan.stages[step.name].stage
        assert stage.worker is not None
        way = self._way(stage.worker)
        if way is None:
            self._fail_unknown(actor, step, stage.worker)
            return
        rendered = step.name in actor.inputs
        inputs = actor.inputs.pop(step.name) if rendered else stage.inputs
        assignment = Assignment(
            actor.state.id, step.name, step.attempt, way[1].name, stage.action, inputs, stage.timeout_us,
            stage.silence_timeout_us, step.name in actor.suspects, rendered,
        )  # fmt: skip
        way[0].dispatch(assignment)

    def revoke(self, execution_id: str, step: str, attempt: int) -> None:
        """Take an attempt back, whoever has it."""
        for channel in self._channels:
            channel.revoke(execution_id, step, attempt)

    def _fail_unknown(self, actor: Actor, step: Step, worker: str) -> None:
        assert self._mailbox is not None
        text = f"Worker '{worker}' of stage '{step.name}' is not there any more: start it, then retry"
        failure = Failure("unknown_worker", text, "transient", True, step.name)
        self._mailbox.post(actor.state.id, Failed(step.name, step.attempt, failure))
