"""Reads: executions, steps, events and artifacts as the API shows them. Committed state only, from the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson

from stagewright.engine.bind import Binder, Bound
from stagewright.engine.resolve import load_bytes
from stagewright.engine.shapes import (
    STEP_FIELDS,
    artifact_item,
    event_item,
    list_item,
    parsed,
    progress_percent,
    public_error,
    stage_items,
    step_item,
    steps_by_name,
    time_text,
    usd,
    waiting_of,
    with_url,
)
from stagewright.model.data import KV_BYTES_MAX, MARKER, DataRef
from stagewright.model.errors import Malformed, NotFound
from stagewright.model.execution import OPEN_STATUSES
from stagewright.model.ids import is_id
from stagewright.model.plan import Plan
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Row, Store

PAGES_AT_ONCE = 200
ARTIFACTS_MAX = 1_000
TOLD_AT_ONCE = 2_000
ILL_STATUSES = ("failed", "cancelled")
LAST_ID = "exec_~"


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What to list; None does not filter. `before` is the id after which the page goes on, newest first."""

    limit: int
    before: str | None = None
    status: str | None = None
    pipeline: str | None = None
    client: str | None = None
    project: str | None = None
    created_from: int | None = None
    created_to: int | None = None
    tag: str | None = None
    text: str | None = None


class Views:
    """Answers questions about executions; changes nothing."""

    def __init__(self, store: Store, objects: ObjectStore, binder: Binder) -> None:
        self._store, self._objects, self._binder = store, objects, binder

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return one execution with its stages; `NotFound` if there is none."""
        row = await self._row(execution_id)
        plan = (await self._bound(row[6])).plan
        status = row[7]
        steps = steps_by_name(orjson.loads(row[19]))
        stages = stage_items(plan, status, steps)
        return {
            "execution_id": row[0],
            "pipeline": row[4],
            "version": row[5],
            "status": status,
            "priority": row[8],
            "client_id": row[2],
            "project_id": row[1],
            "request_id": row[3],
            "tags": parsed(row[11]),
            "parameters": _by_value_or_url(parsed(row[10])),
            "output": await self._output(plan, status, steps),
            "error": public_error(parsed(row[18])),
            "budget_usd": usd(row[12]),
            "cost_usd": usd(row[13]),
            "progress": progress_percent(plan, status, steps),
            "estimate": None,
            "round": row[9],
            "created_at": time_text(row[14]),
            "deadline_at": time_text(row[15]),
            "started_at": time_text(row[16]),
            "completed_at": time_text(row[17]),
            "waiting": waiting_of(status, stages),
            "stages": stages,
            "deliverables": await self._deliverables(row[0], plan, steps),
        }

    async def executions(self, wanted: ListFilter) -> dict[str, Any]:
        """Return a page of executions, the newest first."""
        rows = await self._store.read(
            _list_query(wanted), wanted.before or LAST_ID,
            wanted.status, wanted.pipeline, wanted.client, wanted.project,
            wanted.created_from, wanted.created_to, wanted.tag, wanted.text, wanted.limit + 1,
        )  # fmt: skip
        items = [list_item(row) for row in rows[: wanted.limit]]
        return {"items": items, "next_cursor": items[-1]["execution_id"] if len(rows) > wanted.limit else None}

    async def steps(
        self, execution_id: str, after: str | None, limit: int, *, only_open: bool = False
    ) -> dict[str, Any]:
        """Return a page of the steps that have begun, by stage; after that of a mapped stage come those of its items.

        `after` is the cursor of the page before, the name of its last step.
        """
        await self._row(execution_id)
        stage, item = _place(after or "")
        rows = await self._store.read("steps_page", execution_id, stage, item, limit + 1, True if only_open else None)
        steps = [dict(zip(STEP_FIELDS, _decoded(row[2:]), strict=True)) for row in rows[:limit]]
        items = [step_item(step) for step in steps]
        return {"items": items, "next_cursor": items[-1]["step"] if len(rows) > limit else None}

    async def status(self, execution_id: str) -> tuple[str, int]:
        """Return the status and the number of the last event that is certain to be there; cheap."""
        rows = await self._store.read("execution_status", execution_id) if is_id("exec", execution_id) else []
        if not rows:
            raise _no_execution(execution_id)
        return rows[0][0], rows[0][1]

    async def told(self, execution_id: str, until: int) -> AsyncIterator[tuple[str, str | None, int | None]]:
        """Yield type, step and number of stages of the events up to a number: what derived fields are made of."""
        after = 0
        while after < until:
            rows = await self._store.read("events_told", execution_id, after, until, TOLD_AT_ONCE)
            for _, kind, step, stages in rows:
                yield kind, step, stages
            if len(rows) < TOLD_AT_ONCE:
                return
            after = rows[-1][0]

    async def events(self, execution_id: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Return events with numbers above `after`, in order, as they are stored (times in microseconds)."""
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            asked = min(PAGES_AT_ONCE, limit - len(found))  # pages, and how far their numbers may begin beyond `after`
            rows = await self._store.read("events_after", execution_id, after, asked)
            for _, _, text in rows:
                found.extend(event for event in orjson.loads(text) if event["seq"] > after)
            if not rows or rows[-1][1] < after + asked:
                break
            after = found[-1]["seq"]
        return found[:limit]

    async def event_page(self, execution_id: str, after: int, limit: int) -> dict[str, Any]:
        """Return events as the API shows them, with the cursor of the next page."""
        await self.status(execution_id)
        events = await self.events(execution_id, after, limit + 1)
        items = [event_item(execution_id, event) for event in events[:limit]]
        return {"items": items, "next_cursor": str(items[-1]["seq"]) if len(events) > limit else None}

    async def artifacts(self, execution_id: str) -> list[dict[str, Any]]:
        """Return what an execution has produced, at most `ARTIFACTS_MAX`."""
        await self.status(execution_id)
        return [artifact_item(row) for row in await self._artifact_rows(execution_id)]

    async def deliverables(self, execution_id: str) -> list[dict[str, Any]]:
        """Return the artifacts that answer the request."""
        row = await self._row(execution_id)
        plan = (await self._bound(row[6])).plan
        return await self._deliverables(execution_id, plan, steps_by_name(orjson.loads(row[19])))

    async def artifact(self, artifact_id: str) -> tuple[dict[str, Any], DataRef]:
        """Return an artifact and where its bytes are."""
        rows = await self._store.read("artifact", artifact_id)
        if not rows:
            raise NotFound(f"There is no artifact {artifact_id}")
        row = rows[0]
        return artifact_item(row), DataRef(row[6], row[7], row[8], row[9], row[12])

    async def blob(self, key: str) -> DataRef:
        """Return the reference of a stored value by its key."""
        rows = await self._store.read("blob", key)
        if not rows:
            raise NotFound(f"There is no stored value {key}")
        return DataRef(rows[0][1], key, rows[0][2], key)

    async def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a reference, a part if asked; never held whole unless they are small."""
        if ref.storage_type == "object":
            async for chunk in self._objects.stream(ref, start, end):
                yield chunk
            return
        content = await load_bytes(self._store, self._objects, ref, bytes_max=KV_BYTES_MAX)
        yield content[start:end]

    async def stuck_steps(self, before: int, limit: int) -> list[dict[str, Any]]:
        """Return steps that have waited or run since before a time, with the reason."""
        rows = await self._store.read("stuck_steps", before, limit)
        names = (
            "execution_id",
            "step",
            "status",
            "attempt",
            "reason",
            "worker_id",
            "ready_at",
            "started_at",
            "wake_at",
        )
        items = [dict(zip((*names, "pipeline"), row, strict=True)) for row in rows]
        for item in items:
            for name in ("ready_at", "started_at", "wake_at"):
                item[name] = time_text(item[name])
            item["stage_id"] = item["step"].partition("[")[0]
            item["reason"] = item["reason"] or "its worker has not answered yet"
        return items

    async def progress(self, execution_id: str) -> dict[str, Any]:
        """Return the snapshot of `GET /progress/{id}`."""
        shown = await self.execution(execution_id)
        current = next((stage for stage in shown["stages"] if stage["status"] in ("running", "ready", "waiting")), None)
        error = shown["error"]
        return {
            "execution_id": execution_id,
            "status": shown["status"],
            "progress": shown["progress"],
            "stage": None if current is None else current["stage_id"],
            "message": error["message"] if error else _message(shown["status"], current),
            "estimated_remaining_ms": 0 if shown["completed_at"] else None,
            "cost_usd": shown["cost_usd"],
            "stages": [
                {
                    name: stage[name]
                    for name in ("stage_id", "status", "attempt", "waiting", "started_at", "completed_at")
                }
                for stage in shown["stages"]
            ],
        }

    async def graph(self, execution_id: str) -> tuple[Bound, dict[str, str]]:
        """Return the pipeline of an execution and the status of each stage."""
        row = await self._row(execution_id)
        bound = await self._bound(row[6])
        stages = stage_items(bound.plan, row[7], steps_by_name(orjson.loads(row[19])))
        return bound, {stage["stage_id"]: stage["status"] for stage in stages}

    async def _row(self, execution_id: str) -> Row:
        rows = await self._store.read("execution", execution_id) if is_id("exec", execution_id) else []
        if not rows:
            raise _no_execution(execution_id)
        return rows[0]

    async def _bound(self, digest: str) -> Bound:
        bound = self._binder.kept(digest)
        if bound is None:
            rows = await self._store.read("definition", digest)
            if not rows:
                raise NotFound(f"The definition {digest} is missing")
            bound = self._binder.bind_document(orjson.loads(rows[0][0]))
        return bound

    async def _artifact_rows(self, execution_id: str) -> list[Row]:
        """Return artifacts in the order in which their steps completed, then by name."""
        rows = await self._store.read("artifacts_of", execution_id, "", ARTIFACTS_MAX)
        return sorted(rows, key=lambda row: (row[11], row[4]))

    async def _deliverables(
        self, execution_id: str, plan: Plan, steps: dict[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the artifacts of the deliverable stage as it completed last: a new round replaces them."""
        step = steps.get(plan.deliverable or "")
        if step is None or step["status"] != "completed":
            return []
        rows = await self._artifact_rows(execution_id)
        items = [artifact_item(row) for row in rows if row[2] == step["step"] and row[3] == step["attempt"]]
        names = ("artifact_id", "stage_id", "name", "media_type", "size_bytes", "url")
        return [{name: item[name] for name in names} for item in items]

    async def _output(self, plan: Plan, status: str, steps: dict[str, dict[str, Any]]) -> Any:
        if status != "completed":
            return None
        if plan.deliverable is not None:
            return await self._step_output(steps.get(plan.deliverable))
        if len(plan.sinks) == 1:
            return await self._step_output(steps.get(plan.sinks[0]))
        return {name: await self._step_output(steps.get(name)) for name in plan.sinks}

    async def _step_output(self, step: dict[str, Any] | None) -> Any:
        if step is None or step["output_ref"] is None:
            return None if step is None else step["output"]
        ref = DataRef.from_json(step["output_ref"])
        if ref.storage_type == "kv":
            content = await load_bytes(self._store, self._objects, ref, bytes_max=KV_BYTES_MAX)
            return orjson.Fragment(content)
        return {MARKER: with_url(step["output_ref"])}


def _place(step: str) -> tuple[str, int]:
    stage, _, item = step.partition("[")
    if item and not item[:-1].isdecimal():
        raise Malformed(f"This is no cursor of a page of steps: {step[:100]}")
    return stage, int(item[:-1]) if item else -1


def _decoded(row: Row) -> list[Any]:
    values = list(row)
    for column in _JSON_COLUMNS:
        values[column] = parsed(values[column])
    return values


_JSON_COLUMNS = [STEP_FIELDS.index(name) for name in ("output", "output_ref", "summary", "error")]


def _no_execution(execution_id: str) -> NotFound:
    return NotFound(f"There is no execution {execution_id}: list them with GET /api/executions")


def _list_query(wanted: ListFilter) -> str:
    """Return the query that walks the index with the fewest rows; a filter for NULL or all would use none."""
    if wanted.pipeline is not None:
        return "executions_by_pipeline"
    if wanted.client is not None:
        return "executions_by_client"
    if wanted.status in ILL_STATUSES:
        return "executions_by_ill_status"
    return "executions_by_open_status" if wanted.status in OPEN_STATUSES else "executions"


def _by_value_or_url(parameters: Any) -> Any:
    if isinstance(parameters, dict) and MARKER in parameters:
        return {MARKER: with_url(parameters[MARKER])}
    return parameters


def _message(status: str, current: dict[str, Any] | None) -> str:
    if current is None:
        return status
    if current["status"] == "running":
        return f"stage '{current['stage_id']}' is running"
    return f"stage '{current['stage_id']}' waits: {current['waiting'] or 'for a free worker'}"
