"""What executions and pipelines look like in the words of other systems: runs and workflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stagewright.definitions import dialect_of
from stagewright.definitions.dialects.plan import step_ids
from stagewright.engine.service import Service
from stagewright.engine.shapes import time_text

STATUS = {"pending": "queued", "paused": "queued", "completed": "succeeded"}
STEP_STATUS = {"pending": "queued", "waiting": "queued", "ready": "queued", "completed": "succeeded"}
TYPES = {
    "execution.created": "run.created", "stage.started": "step.started", "llm.usage": "llm.usage",
    "artifact.created": "artifact.created",
    **dict.fromkeys(("stage.completed", "stage.failed", "stage.skipped", "stage.cancelled"), "step.finished"),
    **dict.fromkeys(("execution.completed", "execution.failed", "execution.cancelled"), "run.finished"),
}  # fmt: skip


async def run_events(service: Service, run_id: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Return what tells an event as one of a run, or None for one that these clients do not know."""
    names = step_names((await service.views.graph(run_id))[0].pipeline.document)

    def told(event: dict[str, Any]) -> dict[str, Any] | None:
        kind = TYPES.get(event["type"])
        if kind is None:
            return None
        data, ending = event["data"], event["type"].partition(".")[2]
        if kind in ("step.finished", "run.finished"):
            data = {"status": STATUS.get(ending, ending), **data}
        stage = event.get("stage_id")
        step = None if stage is None else names.get(stage, stage)
        return {"seq": event["seq"], "type": kind, "at": event["at"], "run_id": run_id, "step": step, "data": data}

    return told


def step_names(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the steps of a plan by the ids of their stages; empty for another document."""
    if dialect_of(document) != "plan":
        return {}
    return dict(zip(step_ids(document), (step["name"] for step in document["steps"]), strict=True))


def run_item(execution: dict[str, Any], goal: str) -> dict[str, Any]:
    """Tell an execution as a run in a list."""
    return {
        "id": execution["execution_id"],
        "status": STATUS.get(execution["status"], execution["status"]),
        "goal": goal,
        "project_id": execution["project_id"],
        "created_at": execution["created_at"],
        "started_at": execution["started_at"],
        "finished_at": execution["completed_at"],
    }


def run_step(name: str, stage: dict[str, Any]) -> dict[str, Any]:
    """Tell a stage as a step of a run."""
    outputs = stage["output"] if stage["data_ref"] is None else {"data_ref": stage["data_ref"]}
    status = STEP_STATUS.get(stage["status"], stage["status"])
    return {"name": name, "tool": stage["worker"], "status": status, "outputs": outputs, "error": stage["error"]}


def version_id(name: str, version: int) -> str:
    """Return the id of a workflow: its name and version."""
    return f"{name}@{version}"


def workflow_item(described: Mapping[str, Any]) -> dict[str, Any]:
    """Show a registered workflow as it was written, with its id."""
    document = described["document"]
    own = {"id": version_id(described["name"], described["version"]), "version": described["version"]}
    times = {"createdAt": time_text(described["created_at"])}
    return {**document, **own, "projectId": document.get("projectId"), **times}


def workflow_execution(item: dict[str, Any]) -> dict[str, Any]:
    """Tell an execution in the words of workflows."""
    return {
        "executionId": item["execution_id"],
        "workflowId": version_id(item["pipeline"], item["version"]),
        "status": item["status"],
        "createdAt": item["created_at"],
        "startedAt": item["started_at"],
        "completedAt": item["completed_at"],
        "error": item["error"],
    }
