"""The state of an execution in memory: what `decide` reads and `apply` changes. All times in microseconds, UTC."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagewright.model.data import DataRef
from stagewright.model.plan import Plan

OPEN_STATUSES = ("pending", "running", "paused")
FINAL_STATUSES = ("completed", "failed", "cancelled")
STEP_FINAL = frozenset(("completed", "failed", "skipped", "cancelled"))

SKIPPED_BY_WHEN = "when"
"""What stands in `waiting` of a step that its own condition has skipped; nothing where an early end skipped it."""

NEVER_US = 1 << 62
"""A time that does not come."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt, a step or an execution failed. `type` is one of terminal, transient, timeout, lost, internal."""

    code: str
    message: str
    type: str = "terminal"
    retryable: bool = False
    stage_id: str | None = None
    trace: str | None = None
    retry_after_us: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Shape it as `error` of an execution, a step or an event."""
        return {
            "code": self.code,
            "message": self.message,
            "stage_id": self.stage_id,
            "type": self.type,
            "retryable": self.retryable,
            "trace": self.trace,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Failure:
        """Read what `as_json` wrote."""
        return Failure(
            value["code"],
            value["message"],
            value.get("type", "terminal"),
            bool(value.get("retryable")),
            value.get("stage_id"),
            value.get("trace"),
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored object that a step produced."""

    artifact_id: str
    name: str
    media_type: str
    ref: DataRef


@dataclass(slots=True)
class Step:
    """One stage within one execution, or one item of a mapped stage (`fetch[17]`).

    Never changed once made: a decision puts a new one in its place.
    """

    name: str
    status: str
    attempt: int = 0  # number of the latest attempt, 0 before the first; goes on over rounds
    round: int = 1
    failures: int = 0  # failed attempts in this round
    lost: int = 0  # attempts of this round whose worker vanished
    ready_at: int | None = None
    started_at: int | None = None
    completed_at: int | None = None
    wake_at: int | None = None
    waiting: str | None = None  # the reason, where status is waiting or ready; or `SKIPPED_BY_WHEN`
    worker_id: str | None = None
    output: bytes | DataRef | None = None  # JSON bytes
    summary: dict[str, Any] | None = None
    error: Failure | None = None
    cost_usd_micros: int | None = None

    @property
    def is_passed(self) -> bool:
        """True if it completed, or was skipped because its condition is false: a later round keeps it."""
        return self.status == "completed" or (self.status == "skipped" and self.waiting == SKIPPED_BY_WHEN)


@dataclass(slots=True)
class Execution:
    """One submitted instance of a pipeline. Changed by `apply` only."""

    id: str
    plan: Plan
    pipeline: str
    version: int
    digest: str
    parameters: bytes | DataRef  # JSON object
    created_at: int
    deadline_at: int
    project: str = "default"
    client: str | None = None
    request_id: str | None = None
    priority: str = "normal"
    tags: tuple[str, ...] = ()
    budget_usd_micros: int | None = None
    status: str = "pending"
    round: int = 1
    started_at: int | None = None
    completed_at: int | None = None
    error: Failure | None = None
    cost_usd_micros: int | None = None
    seq: int = 0  # number of the last event
    steps: dict[str, Step] = field(default_factory=dict)  # only those that left `pending`
    open: dict[str, Step] = field(default_factory=dict)  # of these, the ones that are not final
    remaining: dict[str, int] = field(default_factory=dict)  # needs that are not done, by step
    unfinished: int = 0  # steps that are not final
    backlog: deque[str] = field(default_factory=deque)  # runnable steps that no decision has begun yet
    done: dict[str, bytearray] = field(default_factory=dict)  # of maps that are not completed: 1 at each completed item
    ending: tuple[str, Failure | None] | None = None  # the end it is coming to, over several decisions
    armed_at: int = NEVER_US  # the deadline that the timers know

    def __post_init__(self) -> None:
        self.remaining = self.plan.need_counts.copy()
        self.unfinished = len(self.plan.stages)

    @property
    def is_final(self) -> bool:
        """True once it ended; only `retry` opens it again."""
        return self.status in FINAL_STATUSES

    def is_passed(self, name: str) -> bool:
        """Say whether a step has passed; see `Step.is_passed`."""
        step = self.steps.get(name)
        return step is not None and step.is_passed

    def is_done(self, name: str) -> bool:
        """Say whether a step counts as done for what needs it: passed, or failed where the rest goes on."""
        step = self.steps.get(name)
        if step is None:
            return False
        if step.status == "failed":
            return self.plan.stages[name].stage.on_error == "continue"
        return step.is_passed
