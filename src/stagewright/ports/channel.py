"""How assignments reach workers, and how the endings of attempts come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stagewright.model.data import DataRef
from stagewright.model.message import Message

Loader = Callable[[DataRef], Awaitable[bytes]]
"""Returns the bytes of a reference after checking them; `DataLost` or `TooLarge` otherwise."""


@dataclass(slots=True)
class Assignment:
    """What a worker is given. `inputs` is a JSON value in which a `DataRef` may stand for a value."""

    execution_id: str
    step: str
    attempt: int
    worker: str
    action: str | None
    inputs: Any
    timeout_us: int
    silence_timeout_us: int
    alone: bool = False  # an earlier attempt was lost: run it where it can hurt nobody else
    may_refer: bool = True  # whether a `DataRef` may stand in the inputs; a constant has none


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a channel knows of a worker. A direct one may run any number of attempts with no slot."""

    name: str
    version: str
    description: str
    actions: tuple[str, ...]
    slots: int
    is_direct: bool
    slot_pool: str = ""  # workers that name the same pool share its slots; empty: this worker has its own
    alone_slots: int = 0  # further ones for attempts that must run alone; 0: they take ordinary ones


class Mailbox(Protocol):
    """Where messages for executions are put."""

    def post(self, execution_id: str, message: Message) -> None: ...


class Channel(Protocol):
    """A way to workers. Each dispatched attempt ends with exactly one completed, failed or lost, unless revoked."""

    def workers(self) -> Mapping[str, WorkerFacts]:
        """Return the workers that this channel reaches, by name."""
        ...

    async def start(self, mailbox: Mailbox) -> None: ...

    async def stop(self) -> None:
        """Stop all attempts without reporting them; bounded by seconds."""
        ...

    def dispatch(self, assignment: Assignment) -> None:
        """Hand over an attempt; never blocks and never raises for what the worker does."""
        ...

    def revoke(self, execution_id: str, step: str, attempt: int) -> None:
        """Nobody waits for the attempt any more; idempotent."""
        ...
