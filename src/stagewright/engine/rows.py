"""State ↔ rows: how executions, steps and artifacts stand in the tables. Column orders as in `store/sql`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import orjson

from stagewright.model.data import MARKER, DataRef
from stagewright.model.execution import STEP_FINAL, Artifact, Execution, Failure, Step
from stagewright.model.ids import shard_of
from stagewright.model.plan import Plan
from stagewright.ports.store import Row


def execution_row(state: Execution) -> Row:
    """Shape an execution for `flush_executions`."""
    parameters = state.parameters
    return (
        state.id,
        shard_of(state.id),
        state.project,
        state.client,
        state.request_id,
        state.pipeline,
        state.version,
        state.digest,
        state.status,
        state.priority,
        state.round,
        parameters.as_marker() if isinstance(parameters, DataRef) else orjson.Fragment(parameters),
        state.tags,
        state.budget_usd_micros,
        state.cost_usd_micros,
        state.created_at,
        state.deadline_at,
        state.started_at,
        state.completed_at,
        state.seq,
        None if state.error is None else state.error.as_json(),
    )


def step_row(execution_id: str, step: Step, expires_at: int) -> Row:
    """Shape a step for `flush_steps`; a reference that has no expiry yet gets `expires_at`."""
    output = step.output
    inline = type(output) is bytes
    return (
        execution_id,
        step.name,
        step.status,
        step.attempt,
        step.round,
        step.failures,
        step.lost,
        step.ready_at,
        step.started_at,
        step.completed_at,
        step.wake_at,
        step.waiting,
        step.worker_id,
        orjson.Fragment(output) if inline else None,  # type: ignore[arg-type]
        None if inline or output is None else _dated(output, expires_at),  # type: ignore[arg-type]
        step.summary,
        None if step.error is None else step.error.as_json(),
        step.cost_usd_micros,
    )


def item_row(execution_id: str, step: Step, expires_at: int) -> Row:
    """Shape an item's step for `flush_items`."""
    stage, _, index = step.name.partition("[")
    return (execution_id, stage, int(index[:-1]), *step_row(execution_id, step, expires_at)[2:])


def _dated(ref: DataRef, expires_at: int) -> dict[str, Any]:
    shown = ref.as_json()
    shown["expires_at"] = ref.expires_at or expires_at
    return shown


def artifact_row(execution_id: str, step: Step, artifact: Artifact, *, is_deliverable: bool, expires_at: int) -> Row:
    """Shape an artifact for `flush_artifacts`."""
    ref = artifact.ref
    return (
        artifact.artifact_id,
        execution_id,
        step.name,
        step.attempt,
        artifact.name,
        artifact.media_type,
        ref.storage_type,
        ref.storage_key,
        ref.size_bytes,
        ref.checksum,
        int(is_deliverable),
        step.completed_at,
        expires_at,
    )


def load_execution(
    row: Row, step_rows: Iterable[Row], plan: Plan, last_seq: int, done: Iterable[Row] = ()
) -> Execution:
    """Build the state again; the backlog holds what can begin.

    `step_rows` are of `steps_to_load` and `items_to_load`, `done` of `items_done`.
    """
    (
        id_, project, client, request_id, pipeline, version, digest, status, priority, round_, parameters, tags,
        budget, cost, created_at, deadline_at, started_at, completed_at, row_seq, error,
    ) = row  # fmt: skip
    state = Execution(
        id=id_, plan=plan, pipeline=pipeline, version=version, digest=digest, parameters=_parameters(parameters),
        created_at=created_at, deadline_at=deadline_at, project=project, client=client, request_id=request_id,
        priority=priority, tags=tuple(orjson.loads(tags)), budget_usd_micros=budget, status=status, round=round_,
        started_at=started_at, completed_at=completed_at, error=_failure(error), cost_usd_micros=cost,
        seq=max(last_seq, row_seq),
    )  # fmt: skip
    state.steps = {step.name: step for step in map(load_step, step_rows)}
    state.open = {
        step.name: step for step in state.steps.values() if step.status not in STEP_FINAL and step.status != "pending"
    }
    state.done = {stage: _bitmap(total, items) for _, stage, total, items in done}
    state.unfinished = sum(not _is_final(state, name) for name in plan.stages)
    state.remaining = {
        name: sum(not state.is_done(need) for need in planned.stage.needs) for name, planned in plan.stages.items()
    }
    state.backlog = deque(
        name
        for name in plan.stages
        if not state.remaining[name] and name not in state.open and not _is_final(state, name)
    )
    state.ending = _ending(state)
    return state


def _bitmap(total: int, items: str) -> bytearray:
    bitmap = bytearray(total)
    for item in items.split(","):
        bitmap[int(item)] = 1
    return bitmap


def load_step(row: Row) -> Step:
    """Build a step again from `steps_to_load`."""
    (
        _, name, status, attempt, round_, failures, lost, ready_at, started_at, completed_at, wake_at, waiting,
        worker_id, output, output_ref, summary, error, cost,
    ) = row  # fmt: skip
    value: bytes | DataRef | None = None if output is None else output.encode()
    if output_ref is not None:
        value = DataRef.from_json(orjson.loads(output_ref))
    return Step(
        name, status, attempt, round_, failures, lost, ready_at, started_at, completed_at, wake_at, waiting,
        worker_id, value, None if summary is None else orjson.loads(summary), _failure(error), cost,
    )  # fmt: skip


def _parameters(text: str) -> bytes | DataRef:
    if text.startswith('{"' + MARKER):
        return DataRef.from_json(orjson.loads(text)[MARKER])
    return text.encode()


def _failure(text: str | None) -> Failure | None:
    return None if text is None else Failure.from_json(orjson.loads(text))


def _is_final(state: Execution, name: str) -> bool:
    step = state.steps.get(name)
    return step is not None and step.status in STEP_FINAL


def _ending(state: Execution) -> tuple[str, Failure | None] | None:
    """Find the end that an execution was coming to, over several decisions, when its node stopped."""
    if state.status != "running":
        return None
    if state.error is not None:
        return ("cancelled" if state.error.type == "cancelled" else "failed"), state.error
    for step in state.steps.values():
        if step.round == state.round and step.summary is not None and step.summary.get("continue") is False:
            return "completed", None
    return None


def page_row(page: int, execution_id: str, events: list[dict[str, Any]]) -> Row:
    """Shape the events of one execution for `flush_pages`."""
    return (page, execution_id, events[0]["seq"], events[-1]["seq"], events)
