"""The database: one flush for the journal, named reads and named writes for everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = tuple[Any, ...]
Params = Sequence[Any]


@dataclass(slots=True)
class Batch:
    """What one flush makes durable, all or nothing. Rows are tuples in the order of the table's columns."""

    number: int
    keys: list[Row] = field(default_factory=list)  # scope, key, execution_id, fingerprint, expires_at
    executions: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    pages: list[Row] = field(default_factory=list)
    contents: list[Row] = field(default_factory=list)  # key, size_bytes, bytes: the kv tier
    blobs: list[Row] = field(default_factory=list)  # key, storage_type, size_bytes, created_at
    blob_refs: list[Row] = field(default_factory=list)  # key, execution_id
    artifacts: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)  # steps of the items of maps

    @property
    def rows(self) -> int:
        """How many rows the flush writes."""
        own = len(self.executions) + len(self.steps) + len(self.items) + len(self.pages)
        return own + len(self.artifacts) + len(self.contents)


@dataclass(frozen=True, slots=True)
class Winner:
    """The execution that holds a submit key, and the fingerprint of the body that won it."""

    execution_id: str
    fingerprint: str
    scope: str  # of the key: `request/…` or `idempotency/…`


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One orchestrator process: a stable name and an incarnation that is new at every start."""

    node: str
    incarnation: str


class Store(Protocol):
    """A database with the product's schema. Every call is bounded by a timeout and raises `StoreTrouble`."""

    async def start(self, identity: NodeIdentity, now_us: int) -> None:
        """Open, migrate, and write the node's row as alive with this incarnation."""
        ...

    async def stop(self) -> None:
        """Finish what runs and close; idempotent."""
        ...

    def flush(self, batch: Batch) -> Awaitable[dict[str, Winner]]:
        """Write the batch in one transaction if this incarnation is alive, else raise `Fenced`.

        Every error comes from the awaitable; the work may begin before it is awaited. Executions whose key
        another one holds are left out whole; the answer names their winners by the loser's execution id. The
        batch's number is written with it.
        """
        ...

    async def flushed(self) -> int:
        """Return the number of the last flush of this incarnation, after an unknown outcome."""
        ...

    async def read(self, query: str, *params: Any) -> list[Row]:
        """Run a named query; the rows are bounded by the query's LIMIT."""
        ...

    async def write(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        """Run named statements in one transaction of their own; return the rows of each RETURNING."""
        ...
