"""Rows → what the API shows. Times become RFC 3339, micro-dollars become dollars; unknown is null, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from stagewright.model.execution import FINAL_STATUSES
from stagewright.model.maps import public_tally
from stagewright.model.plan import Plan
from stagewright.ports.store import Row

STEP_FIELDS = (
    "step", "status", "attempt", "round", "failures", "lost", "ready_at", "started_at", "completed_at", "wake_at",
    "waiting", "worker_id", "output", "output_ref", "summary", "error", "cost_usd_micros",
)  # fmt: skip

LIST_FIELDS = (
    "execution_id", "project_id", "client_id", "request_id", "pipeline", "version", "status", "priority",
    "created_at", "started_at", "completed_at", "cost_usd", "error", "tags",
)  # fmt: skip

ARTIFACT_FIELDS = (
    "artifact_id", "execution_id", "step", "attempt", "name", "media_type", "storage_type", "storage_key",
    "size_bytes", "checksum", "is_deliverable", "created_at", "expires_at",
)  # fmt: skip


def time_text(at: int | None) -> str | None:
    """Return microseconds as RFC 3339 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def usd(micros: int | None) -> float | None:
    """Return micro-dollars as dollars."""
    return None if micros is None else micros / 1_000_000


def parsed(text: str | None) -> Any:
    """Return the JSON value of a text column."""
    return None if text is None else orjson.loads(text)


def list_item(row: Row) -> dict[str, Any]:
    """Shape a row of `executions` for the list."""
    item: dict[str, Any] = dict(zip(LIST_FIELDS, row, strict=True))
    for name in ("created_at", "started_at", "completed_at"):
        item[name] = time_text(item[name])
    item["cost_usd"] = usd(item["cost_usd"])
    item["error"], item["tags"] = public_error(parsed(item["error"])), parsed(item["tags"])
    return item


def public_error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """Show an error without its trace: that is in the events."""
    if error is None:
        return None
    return {key: error.get(key) for key in ("code", "message", "stage_id", "type", "retryable")}


def steps_by_name(rows: Iterable[list[Any]]) -> dict[str, dict[str, Any]]:
    """Name the columns of steps."""
    return {row[0]: dict(zip(STEP_FIELDS, row, strict=True)) for row in rows}


def stage_items(plan: Plan, status: str, steps: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Shape the stages of an execution; those without a row have not begun, and never will once it has ended."""
    never = {"completed": "skipped", "cancelled": "cancelled"}.get(status, "pending")
    return [_stage_item(plan, name, steps.get(name), never) for name in plan.stages]


def _stage_item(plan: Plan, name: str, step: dict[str, Any] | None, never: str) -> dict[str, Any]:
    stage = plan.stages[name].stage
    if step is None:
        step = dict.fromkeys(STEP_FIELDS) | {"status": never, "attempt": 0}
    status = step["status"]
    return {
        "stage_id": name,
        "worker": stage.worker,
        "action": stage.action,
        "status": status,
        "needs": list(stage.needs),
        "attempt": step["attempt"],
        "steps": _counts(plan, name, step),
        "waiting": step["waiting"] if status in ("waiting", "ready") else None,
        "output": step["output"],
        "data_ref": with_url(step["output_ref"]),
        "summary": _public_summary(plan, name, step),
        "error": public_error(step["error"]),
        "cost_usd": usd(step["cost_usd_micros"]),
        "started_at": time_text(step["started_at"]),
        "completed_at": time_text(step["completed_at"]),
    }


def _counts(plan: Plan, name: str, step: dict[str, Any]) -> dict[str, int]:
    if plan.stages[name].is_map:
        return public_tally(step["summary"])
    return {"total": 1, "completed": int(step["status"] == "completed"), "failed": int(step["status"] == "failed")}


def _public_summary(plan: Plan, name: str, step: dict[str, Any]) -> dict[str, Any] | None:
    summary: dict[str, Any] | None = step["summary"]
    return None if plan.stages[name].is_map else summary


def step_item(step: dict[str, Any]) -> dict[str, Any]:
    """Shape one step for `/steps`."""
    return {
        "step": step["step"],
        "stage_id": step["step"].partition("[")[0],
        "status": step["status"],
        "attempt": step["attempt"],
        "round": step["round"],
        "failures": step["failures"],
        "lost": step["lost"],
        "worker_id": step["worker_id"],
        "waiting": step["waiting"],
        "ready_at": time_text(step["ready_at"]),
        "started_at": time_text(step["started_at"]),
        "completed_at": time_text(step["completed_at"]),
        "next_attempt_at": time_text(step["wake_at"]),
        "output": step["output"],
        "data_ref": with_url(step["output_ref"]),
        "summary": public_tally(step["summary"]) if "since" in (step["summary"] or ()) else step["summary"],
        "error": public_error(step["error"]),
        "cost_usd": usd(step["cost_usd_micros"]),
    }


def with_url(ref: dict[str, Any] | None) -> dict[str, Any] | None:
    """Add to a data reference where its bytes can be read."""
    if ref is None:
        return None
    shown = ref | {"url": f"/api/objects/{ref['storage_key']}"}
    shown["expires_at"] = time_text(ref.get("expires_at"))
    return shown


def progress_percent(plan: Plan, status: str, steps: dict[str, dict[str, Any]]) -> float:
    """Return how much is done, 0 to 100, each stage counted alike."""
    if status == "completed":
        return 100.0
    done = sum(_part_done(step) for step in steps.values())
    return round(100.0 * done / len(plan.stages), 1)


def _part_done(step: dict[str, Any]) -> float:
    """Return how much of a stage is done, 0 to 1; a map by its items."""
    tally = step["summary"] or {}
    if step["status"] == "running" and tally.get("total"):
        return float((tally["completed"] + tally["failed"]) / tally["total"])
    return float(step["status"] in ("completed", "skipped"))


def waiting_of(status: str, stages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say why an open execution does nothing now; None while something runs."""
    if status in FINAL_STATUSES or any(stage["status"] == "running" for stage in stages):
        return None
    for stage in stages:
        if stage["waiting"]:
            return {
                "reason": stage["waiting"],
                "stage_id": stage["stage_id"],
                "pool": None,
                "position": None,
                "eta": None,
            }
    return {"reason": "paused"} if status == "paused" else None


def artifact_item(row: Row) -> dict[str, Any]:
    """Shape an artifact."""
    item: dict[str, Any] = dict(zip(ARTIFACT_FIELDS, row, strict=True))
    return {
        "artifact_id": item["artifact_id"],
        "execution_id": item["execution_id"],
        "stage_id": item["step"].partition("[")[0],
        "step": item["step"],
        "name": item["name"],
        "media_type": item["media_type"],
        "size_bytes": item["size_bytes"],
        "checksum": item["checksum"],
        "deliverable": bool(item["is_deliverable"]),
        "created_at": time_text(item["created_at"]),
        "expires_at": time_text(item["expires_at"]),
        "url": f"/api/artifacts/{item['artifact_id']}",
    }


def event_item(execution_id: str, event: dict[str, Any]) -> dict[str, Any]:
    """Shape an event as the contract has it."""
    shown = {"seq": event["seq"], "type": event["type"], "at": time_text(event["at"]), "execution_id": execution_id}
    for name in ("stage_id", "step", "attempt"):
        if name in event:
            shown[name] = event[name]
    shown["data"] = event["data"]
    return shown
