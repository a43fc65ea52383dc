"""An execution in memory: its state, its mailbox, and what its decisions made that is not yet durable."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from stagewright.engine.bind import Bound
from stagewright.model.decision import Decision, Effect
from stagewright.model.execution import Artifact, Execution, Step
from stagewright.model.message import Message
from stagewright.ports.store import Row


@dataclass(slots=True)
class Unsaved:
    """What an actor's decisions made since its last flush; goes into one flush whole."""

    steps: dict[str, Step] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    artifacts: list[tuple[Step, Artifact]] = field(default_factory=list)
    contents: list[tuple[str, bytes]] = field(default_factory=list)  # key and bytes for the kv tier
    keys: list[Row] = field(default_factory=list)
    answers: list[tuple[asyncio.Future[Any], bool]] = field(default_factory=list)  # with what they will hear
    has_row: bool = False  # the execution's own row changed

    @property
    def rows(self) -> int:
        """About how many rows it will be."""
        return len(self.steps) + 2


@dataclass(slots=True, eq=False)
class Actor:
    """One execution that this node owns and that is active. Compared by identity."""

    state: Execution
    bound: Bound
    inbox: list[tuple[Message, asyncio.Future[Any] | None]] = field(default_factory=list)
    is_queued: bool = False  # in the engine's run queue
    is_new: bool = False  # no flush has written it yet
    is_active: bool = True  # false once it is forgotten: no message changes it any more
    unsaved: Unsaved | None = None
    is_listed: bool = False  # the journal knows that it has unsaved work
    flushing: int = 0  # parts of it that were taken for a flush and are not finished
    inputs: dict[str, Any] = field(default_factory=dict)  # resolved, of steps that are about to start
    lists: dict[str, list[Any]] = field(default_factory=dict)  # what mapped stages run over
    scopes: dict[str, dict[str, Any]] = field(default_factory=dict)  # of mapped stages: what is the same for each item
    held_up: dict[str, list[str]] = field(default_factory=dict)  # items that wait for values of their stage
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)  # by stage: values to look into, by storage key
    suspects: set[str] = field(default_factory=set)  # steps whose worker vanished: they run alone
    progressed_at: dict[str, int] = field(default_factory=dict)  # last durable progress event, by step

    def note(self, decision: Decision) -> Unsaved:
        """Add a decision that `apply` has made the state to what must be saved."""
        unsaved = self.unsaved
        if unsaved is None:
            unsaved = self.unsaved = Unsaved()
        if decision.steps:
            unsaved.steps.update(decision.steps)
        if decision.events:
            unsaved.events.extend(decision.events)
        if decision.artifacts:
            unsaved.artifacts.extend(decision.artifacts)
        if decision.changed:
            unsaved.has_row = True
        return unsaved
