"""What the state machine answers: new states, events, effects. And `apply`, which makes them the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stagewright.model.execution import NEVER_US, STEP_FINAL, Artifact, Execution, Failure, Step


@dataclass(slots=True)
class Prepare:
    """Before the commit: resolve the step's inputs and ask for a slot; answered by granted, queued or unresolved."""

    step: str


@dataclass(slots=True)
class Dispatch:
    """After the commit: hand the attempt to its worker."""

    step: str
    attempt: int


@dataclass(slots=True)
class Revoke:
    """After the commit: the attempt is over for us; tell its worker and free what it holds."""

    step: str
    attempt: int


@dataclass(slots=True)
class Free:
    """After the commit: the step is no longer running or queued; free what it holds."""

    step: str
    attempt: int


@dataclass(slots=True)
class Gather:
    """After the commit: put the outputs of a map's items together; answered by gathered or unresolved."""

    step: str


@dataclass(slots=True)
class GoOn:
    """Before the commit: the decision reached its bound; send `continue`."""


Effect = Prepare | Dispatch | Revoke | Free | Gather | GoOn


class Decision:
    """The answer to one message. Steps are whole new values; counters are differences."""

    __slots__ = (
        "artifacts",
        "backlog",
        "changed",
        "completed_at",
        "cost_usd_micros",
        "deadline_at",
        "due_at",
        "effects",
        "ended_items",
        "ending",
        "error",
        "events",
        "finished",
        "forgotten",
        "items",
        "remaining",
        "reset",
        "retried_items",
        "round",
        "started_at",
        "status",
        "steps",
        "taken",
    )

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.remaining: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []
        self.effects: list[Effect] = []
        self.artifacts: list[tuple[Step, Artifact]] = []
        self.backlog: list[str] = []
        self.taken = 0  # how many names were taken from the head of the backlog
        self.finished = 0  # how many steps of stages became final
        self.ended_items: list[tuple[Step, Failure | None]] = []  # those that `decide` has not counted yet
        self.retried_items: list[Step] = []  # those that began an attempt after their first one
        self.items: list[str] = []  # item steps that became final: they leave the memory
        self.forgotten: list[str] = []  # maps whose items are all done anew
        self.ending: tuple[str, Failure | None] | None = None  # the end that takes more than one decision
        self.reset: list[str] = []  # steps that go back to pending
        self.due_at = NEVER_US  # the earliest deadline among the changed steps
        self.changed = False  # whether the execution's own row changed
        self.status: str | None = None
        self.error: Failure | None = None
        self.round: int | None = None
        self.started_at: int | None = None
        self.completed_at: int | None = None
        self.cost_usd_micros: int | None = None
        self.deadline_at: int | None = None

    @property
    def is_empty(self) -> bool:
        """True if the message changes nothing, as a stale one."""
        return not (self.changed or self.steps or self.events or self.effects or self.backlog or self.taken)


def apply(state: Execution, decision: Decision) -> None:
    """Make the decision the state and number its events. No choice is made here."""
    _apply_steps(state, decision)
    seq = state.seq
    for event in decision.events:
        seq += 1
        event["seq"] = seq
    state.seq = seq
    for _ in range(decision.taken):
        state.backlog.popleft()
    if decision.backlog:
        state.backlog.extend(decision.backlog)
    state.ending = decision.ending
    if not decision.changed:
        return
    if decision.status is not None:
        state.status = decision.status
        state.error = decision.error
        state.completed_at = decision.completed_at
    elif decision.ending is not None:
        state.error = decision.ending[1]
    if decision.round is not None:
        state.round = decision.round
    if decision.deadline_at is not None:
        state.deadline_at = decision.deadline_at
    if decision.started_at is not None:
        state.started_at = decision.started_at
    if decision.cost_usd_micros is not None:
        state.cost_usd_micros = decision.cost_usd_micros


def _apply_steps(state: Execution, decision: Decision) -> None:
    steps, still_open = state.steps, state.open
    for name in decision.reset:
        old = steps.get(name)
        if old is not None and old.status in STEP_FINAL:
            state.unfinished += 1
        if still_open.pop(name, None) is not None and name not in decision.steps:
            del steps[name]  # an item, which begins anew with its map
    for name, step in decision.steps.items():
        steps[name] = step
        if step.status in STEP_FINAL or step.status == "pending":
            still_open.pop(name, None)
        else:
            still_open[name] = step
    state.unfinished -= decision.finished
    if decision.remaining:
        state.remaining.update(decision.remaining)
    if decision.items or decision.forgotten:
        _apply_items(state, decision)


def _apply_items(state: Execution, decision: Decision) -> None:
    for stage in decision.forgotten:
        state.done.pop(stage, None)
    for name in decision.items:
        step = state.steps.pop(name)
        if step.status != "completed":
            continue
        stage, _, index = name.partition("[")
        done = state.done.get(stage)
        if done is None:
            tally = state.steps[stage].summary
            assert tally is not None
            done = state.done[stage] = bytearray(tally["total"])
        done[int(index[:-1])] = 1
