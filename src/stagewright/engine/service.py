"""What the front doors call: submit, read, steer. One way into the engine for HTTP, the command line and Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any

import orjson

from stagewright.definitions import check_parameters, load_value
from stagewright.definitions.registry import Registry
from stagewright.engine.bind import Bound
from stagewright.engine.core import Engine
from stagewright.engine.feed import FINAL_EVENTS, Heard
from stagewright.engine.recover import Recovery
from stagewright.engine.submit import Pending, Submission, Submitted, Submitter, key_scope, request_scope
from stagewright.engine.views import Views
from stagewright.model.errors import Invalid, Malformed, NotFound, Problem, Refusal, WrongState
from stagewright.model.execution import FINAL_STATUSES
from stagewright.model.message import Cancel
from stagewright.model.pipeline import Pipeline
from stagewright.protocol.bodies import ExecuteBody

STREAM_EVENTS_MAX = 10_000
"""Events that wait for one slow watcher; one that is further behind reads them from the database."""

CATCH_UP_EVENTS = 500

EXPLAINED_MAX = 200
"""Open steps that are explained; a map may have more."""

SAID_STEPS_MAX = 5

VERSION_DIGITS_MAX = 15

LOADED_AT_ONCE_BYTES = 4 * 1024
"""A longer inline document is loaded beside the loop, which goes on meanwhile."""

BATCH_TURN = 50
"""Submissions of a batch that are begun before the loop is given to others."""


class Service:
    """The product behind its front doors. All calls raise `model.errors` only."""

    def __init__(self, engine: Engine, registry: Registry, recovery: Recovery, views: Views) -> None:
        self.engine, self.registry, self.views = engine, registry, views
        self._recovery = recovery
        self._submitter = Submitter(engine)

    # --- submit ---------------------------------------------------------------------------------------------

    async def execute(
        self,
        body: ExecuteBody,
        *,
        idempotency_key: str | None = None,
        final: asyncio.Future[str] | None = None,
    ) -> Submitted:
        """Accept an execution; returns after it is durable. The same key or request id gives the first one."""
        try:
            submission = await self._keyed(body, idempotency_key)
        except Refusal:
            first = await self._first(body, idempotency_key)
            if first is None:
                raise
            return first  # what was accepted once is not refused for what has changed since
        return await self._submitter.submit(submission, final)

    async def execute_all(
        self, bodies: Sequence[ExecuteBody | Refusal], *, idempotency_key: str | None = None
    ) -> list[Submitted | BaseException]:
        """Accept many; one answer or error for each, in order. What is refused already stays refused.

        With a key each has its own, made of the key and its place, so that a repeated call finds them all.
        """

        pending: list[Pending | BaseException] = []
        for place, body in enumerate(bodies):
            key = None if idempotency_key is None else f"{idempotency_key}#{place}"
            try:
                pending.append(await self._begin(body, key))
            except Exception as error:
                pending.append(error)
            if place % BATCH_TURN == BATCH_TURN - 1:
                await asyncio.sleep(0)  # others want the loop too
        return [await _outcome(each) for each in pending]

    async def _begin(self, body: ExecuteBody | Refusal, idempotency_key: str | None) -> Pending:
        if isinstance(body, Refusal):
            raise body
        return await self._submitter.begin(await self._keyed(body, idempotency_key))

    async def _first(self, body: ExecuteBody, idempotency_key: str | None) -> Submitted | None:
        """Return the execution that an earlier call with the same key and the same body has started."""
        project = body.project_id or "default"
        scopes = [(key_scope(project), idempotency_key), (request_scope(project, body.client_id), body.request_id)]
        for scope, key in scopes:
            rows = [] if key is None else await self.engine.store.read("key_winner", scope, key)
            if rows and rows[0][1] == _fingerprint(body):
                return Submitted(rows[0][0], False)
        return None

    async def _keyed(self, body: ExecuteBody, idempotency_key: str | None) -> Submission:
        submission = await self._submission(body)
        if idempotency_key is not None or body.request_id is not None:
            submission.idempotency_key = idempotency_key
            submission.fingerprint = _fingerprint(body)
        return submission

    async def _submission(self, body: ExecuteBody) -> Submission:
        if body.quote_id is not None:
            detail = f"There is no quote '{body.quote_id}': this release makes none, so leave `quote_id` out"
            raise Invalid(detail, [Problem(detail, "#/quote_id")])
        project = body.project_id or "default"
        pipeline = await self._pipeline(body, project)
        bound = self.engine.binder.kept(pipeline.digest) or self._bind(pipeline)
        parameters = check_parameters(pipeline, body.parameters)
        budgets = [pipeline.budget_usd_micros] if pipeline.budget_usd_micros is not None else []
        if body.budget_usd is not None:
            budgets.append(round(body.budget_usd * 1_000_000))
        return Submission(
            bound=bound, parameters=orjson.dumps(parameters), version=pipeline.version, project=project,
            client=body.client_id, request_id=body.request_id, priority=body.priority, tags=tuple(body.tags),
            budget_usd_micros=min(budgets, default=None), deadline_at=_deadline(body),
        )  # fmt: skip

    async def _pipeline(self, body: ExecuteBody, project: str) -> Pipeline:
        if body.template_name is not None:
            name, _, version = body.template_name.partition("@")
            if version and not (version.isascii() and version.isdecimal() and len(version) <= VERSION_DIGITS_MAX):
                text = f"a whole number of at most {VERSION_DIGITS_MAX} digits"
                raise Malformed(f"The version after '@' must be {text}: {body.template_name[:200]}")
            return await self.registry.get(name, int(version) if version else None, project)
        assert body.pipeline is not None, "the body was checked"
        if len(orjson.dumps(body.pipeline, default=str)) <= LOADED_AT_ONCE_BYTES:
            pipeline = load_value(body.pipeline)
        else:
            pipeline = await asyncio.to_thread(load_value, body.pipeline)
        self.engine.binder.check_workers(pipeline)
        await self.registry.snapshot(pipeline)
        return pipeline

    def _bind(self, pipeline: Pipeline) -> Bound:
        self.engine.binder.check_workers(pipeline)
        return self.engine.binder.bind(pipeline)

    # --- steer ----------------------------------------------------------------------------------------------

    async def cancel(self, execution_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel an open execution; its running attempts are taken back."""
        try:
            changed = await self.engine.ask(execution_id, Cancel(reason or "cancelled by request"))
        except NotFound:
            changed = await self._cancel_inactive(execution_id, reason)
        if not changed:
            status, _ = await self.views.status(execution_id)
            raise WrongState(f"Execution {execution_id} is {status}: only an open execution can be cancelled")
        return {"execution_id": execution_id, "status": "cancelled"}

    async def _cancel_inactive(self, execution_id: str, reason: str | None) -> bool:
        status, _ = await self.views.status(execution_id)
        if status in FINAL_STATUSES:
            return False
        return await self._recovery.ask(execution_id, Cancel(reason or "cancelled by request"))

    async def retry(self, execution_id: str, from_stage: str | None = None) -> dict[str, Any]:
        """Open a new round of an ended execution; what completed is kept unless it is behind `from_stage`."""
        status, _ = await self.views.status(execution_id)
        if status == "running" or status == "pending":
            raise WrongState(f"Execution {execution_id} is {status}: only an ended or paused execution can be retried")
        if status == "completed" and from_stage is None:
            raise WrongState(f"Execution {execution_id} is completed: name the stage to run again with `from_stage`")
        if from_stage is not None:
            bound, _ = await self.views.graph(execution_id)
            if from_stage not in bound.plan.stages:
                there = ", ".join(list(bound.plan.stages)[:20])
                raise NotFound(f"The execution has no stage '{from_stage}' (`from_stage`). It has: {there}")
        if not await self._recovery.retry(execution_id, from_stage):
            raise WrongState(f"Execution {execution_id} cannot be retried now: it has changed meanwhile")
        return {"execution_id": execution_id, "status": "running"}

    async def explain(self, execution_id: str) -> dict[str, Any]:
        """Say why an execution is where it is: each open step with its reason and its place in a queue."""
        shown = await self.views.execution(execution_id)
        workers = {stage["stage_id"]: stage["worker"] for stage in shown["stages"]}
        steps = [
            self._explained(execution_id, step, workers.get(step["stage_id"]))
            for step in (await self.views.steps(execution_id, None, EXPLAINED_MAX, only_open=True))["items"]
        ]
        return {
            "execution_id": execution_id,
            "status": shown["status"],
            "explanation": _explanation(shown, steps),
            "waiting": shown["waiting"],
            "steps": steps,
        }

    def _explained(self, execution_id: str, step: dict[str, Any], worker: str | None) -> dict[str, Any]:
        facts = None if worker is None else self.engine.dispatcher.facts(worker)
        dispatcher, slots = self.engine.dispatcher, self.engine.dispatcher.slots
        bounded = facts is not None and not facts.is_direct
        at_work = f"worker '{worker}' is at it, attempt {step['attempt']}"
        queued = "its inputs are being prepared, or a slot of its worker is about to be free"
        return {
            "step": step["step"],
            "status": step["status"],
            "reason": at_work if step["status"] == "running" else step["waiting"] or queued,
            "worker": worker,
            "position": slots.position((execution_id, step["step"])),
            "slots": facts.slots if facts is not None and bounded else None,
            "slots_in_use": slots.in_use(dispatcher.slot_pool(worker)) if worker is not None and bounded else None,
            "since": step["started_at"] or step["ready_at"],
            "next_attempt_at": step["next_attempt_at"] if step["waiting"] == "retry" else None,
            "eta": step["next_attempt_at"],
        }

    # --- watch ----------------------------------------------------------------------------------------------

    async def watch(self, execution_id: str, after: int = 0) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Yield committed events with numbers above `after`, without gap or repeat, until the final one.

        An execution that is retried later begins a new stream; a watcher that falls behind is fed from the
        database. Ends at once if the execution has ended and nothing is left to tell.
        """
        heard = Heard(STREAM_EVENTS_MAX)
        stop = self.engine.feed.watch(execution_id, heard.take)
        try:
            while True:
                async for events in self._catch_up(execution_id, after):
                    after = events[-1]["seq"]
                    yield events
                status, last = await self.views.status(execution_id)
                if status in FINAL_STATUSES and after >= last:
                    return
                if after < last:
                    continue  # that was committed meanwhile
                while (fresh := await heard.after(after)) is not None:
                    after = fresh[-1]["seq"]
                    yield fresh
                    if fresh[-1]["type"] in FINAL_EVENTS:
                        break  # the last one, unless somebody has opened a new round meanwhile
        finally:
            stop()

    async def _catch_up(self, execution_id: str, after: int) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Yield what the database has above `after`, page by page."""
        while events := await self.views.events(execution_id, after, CATCH_UP_EVENTS):
            after = events[-1]["seq"]
            yield events
            if len(events) < CATCH_UP_EVENTS:
                return

    # --- pipelines ------------------------------------------------------------------------------------------

    async def register(self, pipeline: Pipeline, project: str = "default") -> tuple[Pipeline, bool]:
        """Register a pipeline whose workers are there; returns it with its version and whether that is new."""
        self.engine.binder.check_workers(pipeline)
        return await self.registry.register(pipeline, project)


async def _outcome(pending: Pending | BaseException) -> Submitted | BaseException:
    if isinstance(pending, BaseException):
        return pending
    try:
        return await pending.answer()
    except Exception as error:
        return error


def _fingerprint(body: ExecuteBody) -> str:
    """Return what says whether two bodies ask for the same; the order of keys and defaults do not matter."""
    said = body.model_dump(exclude_defaults=True)
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _deadline(body: ExecuteBody) -> int | None:
    if body.deadline is None:
        return None
    deadline = body.deadline if body.deadline.tzinfo else body.deadline.replace(tzinfo=UTC)
    return round(deadline.timestamp() * 1_000_000)


def _explanation(shown: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    if shown["error"] is not None:
        return f"It is {shown['status']}: {shown['error']['message']}"
    if not steps:
        return f"It is {shown['status']}."
    said = "; ".join(f"stage '{step['step']}' {step['status']}: {step['reason']}" for step in steps[:SAID_STEPS_MAX])
    more = f"; and {len(steps) - SAID_STEPS_MAX} more" if len(steps) > SAID_STEPS_MAX else ""
    return f"It is {shown['status']}. {said}{more}"
