"""Messages: every input to an execution. Each ending of an attempt is one of four: completed, failed, lost, timer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagewright.model.data import DataRef
from stagewright.model.execution import Artifact, Failure


@dataclass(slots=True)
class Start:
    """The execution was accepted; `estimate` is what is known beforehand, None where nothing is."""

    estimate: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Continue:
    """A decision reached its bound of changes and goes on."""


@dataclass(slots=True)
class Granted:
    """Its condition holds, its inputs are known and it holds a slot: it sleeps, or its next attempt starts."""

    step: str
    worker_id: str | None = None


@dataclass(slots=True)
class Skipped:
    """The step's condition is false: it is not wanted in this execution."""

    step: str


@dataclass(slots=True)
class Mapped:
    """The list of a mapped stage is known and has `total` items."""

    step: str
    total: int


@dataclass(slots=True)
class Gathered:
    """The outputs of a map's items are together, in their order, with null for each that failed."""

    step: str
    output: bytes | DataRef
    content: bytes | None = None  # as in `Completed`


@dataclass(slots=True)
class Queued:
    """The step's inputs are known but no slot is free; `reason` says for whom it waits."""

    step: str
    reason: str


@dataclass(slots=True)
class Unresolved:
    """The step's inputs cannot be had; the failure says whether trying again may help."""

    step: str
    failure: Failure


@dataclass(slots=True)
class Completed:
    """An attempt returned. `output` is encoded JSON or a reference to it; `summary` may hold `continue`."""

    step: str
    attempt: int
    output: bytes | DataRef
    summary: dict[str, Any] | None = None
    artifacts: Sequence[Artifact] = ()
    cost_usd_micros: int | None = None
    content: bytes | None = None  # what an output in the kv tier refers to, to be written with it


@dataclass(slots=True)
class Failed:
    """An attempt ended with a failure."""

    step: str
    attempt: int
    failure: Failure


@dataclass(slots=True)
class Lost:
    """The worker of an attempt vanished; nobody knows how far it came."""

    step: str
    attempt: int
    reason: str
    counts: bool = True  # towards the bound of lost attempts; not if the node gave it up in good order
    is_suspect: bool = True  # whether the attempt itself may be why its worker vanished


@dataclass(slots=True)
class Progress:
    """How far an attempt is: `fraction` from 0.0 to 1.0."""

    step: str
    attempt: int
    fraction: float
    message: str = ""


@dataclass(slots=True)
class Timer:
    """Some deadline of this execution has come; `decide` finds out which."""


@dataclass(slots=True)
class Cancel:
    """Somebody does not want it any more."""

    reason: str = "cancelled by request"


@dataclass(slots=True)
class Retry:
    """Open a new round: run again what did not complete, or everything from `from_stage` on."""

    from_stage: str | None = None


@dataclass(slots=True)
class Halt:
    """A bug or bad data in this one execution: it pauses with its error until somebody retries it."""

    failure: Failure


Message = (
    Start
    | Continue
    | Granted
    | Skipped
    | Mapped
    | Gathered
    | Queued
    | Unresolved
    | Completed
    | Failed
    | Lost
    | Progress
    | Timer
    | Cancel
    | Retry
    | Halt
)
