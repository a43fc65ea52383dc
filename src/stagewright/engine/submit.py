"""A new execution: from checked parameters to the commit that accepts it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from stagewright.engine.actor import Actor, Unsaved
from stagewright.engine.bind import Bound
from stagewright.engine.core import Engine
from stagewright.model.data import DataRef, checksum_of, tier_of
from stagewright.model.errors import KeyReused, RequestConflict
from stagewright.model.execution import Execution
from stagewright.model.ids import SHARDS
from stagewright.model.message import Start
from stagewright.ports.store import Row, Winner

REQUEST = "request/"


@dataclass(slots=True)
class Submission:
    """What somebody wants to be executed; `parameters` are encoded and have passed their schema."""

    bound: Bound
    parameters: bytes
    version: int = 0
    project: str = "default"
    client: str | None = None
    request_id: str | None = None
    priority: str = "normal"
    tags: tuple[str, ...] = ()
    budget_usd_micros: int | None = None
    deadline_at: int | None = None  # microseconds; the earlier of this and the pipeline's timeout holds
    idempotency_key: str | None = None
    fingerprint: str = ""  # of the whole body; needed with request_id or idempotency_key


@dataclass(frozen=True, slots=True)
class Submitted:
    """The accepted execution; `is_new` is False if an earlier submission had the same key."""

    execution_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """A submission in the journal's hands; `answer` waits for its commit."""

    submission: Submission
    execution_id: str
    outcome: asyncio.Future[Any]

    async def answer(self) -> Submitted:
        """Return the accepted execution, or the one that had the key before; its refusals are raised."""
        outcome = await self.outcome
        if isinstance(outcome, Winner):
            return _answer_loser(self.submission, outcome)
        return Submitted(self.execution_id, True)


class Submitter:
    """Takes submissions into shards of this node in turn."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shard = 0

    async def submit(self, submission: Submission, final: asyncio.Future[str] | None = None) -> Submitted:
        """Make an execution durable and start it. `RequestConflict`, `KeyReused` if its key has another body."""
        return await (await self.begin(submission, final)).answer()

    async def begin(self, submission: Submission, final: asyncio.Future[str] | None = None) -> Pending:
        """Hand an execution to the engine and do not wait for its commit: many share one flush and need no task."""
        engine = self._engine
        parameters, content = await self._place(submission.parameters)
        actor = Actor(self._new_state(submission, parameters), submission.bound, is_new=True)
        keys = self._keys(submission, actor.state)
        if keys or content is not None:
            actor.unsaved = Unsaved(keys=keys)
            if content is not None:
                assert isinstance(parameters, DataRef)
                actor.unsaved.contents.append((parameters.storage_key, content))
        outcome = engine.admit(actor, Start())
        if final is not None:
            engine.tell_final(actor.state.id, final)
        return Pending(submission, actor.state.id, outcome)

    def _new_state(self, submission: Submission, parameters: bytes | DataRef) -> Execution:
        self._shard = (self._shard + 1) % SHARDS
        now = self._engine.clock.now_us()
        pipeline = submission.bound.pipeline
        deadline_at = now + pipeline.timeout_us
        if submission.deadline_at is not None:
            deadline_at = min(deadline_at, submission.deadline_at)
        return Execution(
            id=self._engine.ids.new("exec", self._shard), plan=submission.bound.plan, pipeline=pipeline.name,
            version=submission.version, digest=pipeline.digest, parameters=parameters, created_at=now,
            deadline_at=deadline_at, project=submission.project, client=submission.client,
            request_id=submission.request_id, priority=submission.priority, tags=submission.tags,
            budget_usd_micros=submission.budget_usd_micros,
        )  # fmt: skip

    async def _place(self, parameters: bytes) -> tuple[bytes | DataRef, bytes | None]:
        tier = tier_of(len(parameters))
        if tier == "inline":
            return parameters, None
        if tier == "object":
            return await self._engine.objects.put(parameters), None
        checksum = checksum_of(parameters)
        return DataRef("kv", checksum, len(parameters), checksum), parameters

    def _keys(self, submission: Submission, state: Execution) -> list[Row]:
        keys: list[Row] = []
        if submission.request_id is not None:
            scope = request_scope(state.project, state.client)
            keys.append((scope, submission.request_id, state.id, submission.fingerprint, None))
        if submission.idempotency_key is not None:
            expires_at = state.created_at + self._engine.settings.key_ttl_us
            scope = key_scope(state.project)
            keys.append((scope, submission.idempotency_key, state.id, submission.fingerprint, expires_at))
        return keys


def request_scope(project: str, client: str | None) -> str:
    """Return where a request id is unique."""
    return f"{REQUEST}{project}/{client or ''}"


def key_scope(project: str) -> str:
    """Return where an idempotency key is unique."""
    return f"idempotency/{project}"


def _answer_loser(submission: Submission, winner: Winner) -> Submitted:
    if winner.fingerprint == submission.fingerprint:
        return Submitted(winner.execution_id, False)
    if winner.scope.startswith(REQUEST):
        raise RequestConflict(
            f"Request id '{submission.request_id}' belongs to execution {winner.execution_id}, which was submitted "
            "with another body: use a new request id"
        )
    raise KeyReused("The Idempotency-Key came with another payload within 24 h: use a new key")
