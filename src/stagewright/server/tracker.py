"""What the events so far make of an execution: status, progress and the stage at work, frame by frame."""

from __future__ import annotations

from typing import Any

from stagewright.engine.shapes import event_item
from stagewright.model.execution import FINAL_STATUSES

_DONE = ("stage.completed", "stage.skipped")
_STATUS = {
    "execution.created": "pending",
    "execution.admitted": "pending",
    "execution.started": "running",
    "execution.paused": "paused",
    "execution.resumed": "running",
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
}


class Tracker:
    """Follows one execution from its first event; the same events always give the same frames."""

    def __init__(self, execution_id: str) -> None:
        self._execution_id = execution_id
        self._status = "pending"
        self._stages = 0
        self._done: set[str] = set()
        self._active: dict[str, None] = {}  # stages at work, in the order in which they began

    def note(self, kind: str, step: str | None, stages: int | None) -> None:
        """Take what matters of an event, without telling it; `stages` is their number, in the first event."""
        self._status = _STATUS.get(kind, self._status)
        if kind == "execution.created":
            self._stages = stages or 0
        elif kind == "execution.resumed":
            self._active.clear()
        elif step is not None:
            self._follow(kind, step)

    def tell(self, event: dict[str, Any]) -> dict[str, Any]:
        """Take the next stored event; return it as the API shows it, with what it makes of the execution."""
        kind, stage, data = event["type"], event.get("stage_id"), event["data"]
        self.note(kind, event.get("step"), data.get("stages"))
        shown = event_item(self._execution_id, event)
        shown["status"] = self._status
        shown["stage"] = stage if stage is not None else next(iter(self._active), None)
        shown["progress"] = self._progress()
        shown["message"] = _message(kind, stage, data)
        shown["estimated_remaining_ms"] = 0 if self._status in FINAL_STATUSES else None
        return shown

    def _follow(self, kind: str, step: str) -> None:
        if kind in ("stage.started", "stage.waiting"):
            self._active[step] = None
            self._done.discard(step)  # a new round does it again
        elif kind in ("stage.completed", "stage.failed", "stage.skipped", "stage.cancelled", "stage.retrying"):
            self._active.pop(step, None)
            if kind in _DONE:
                self._done.add(step)

    def _progress(self) -> float:
        if self._status == "completed":
            return 100.0
        return round(100.0 * len(self._done) / self._stages, 1) if self._stages else 0.0


def _message(kind: str, stage: str | None, data: dict[str, Any]) -> str:
    error = data.get("error")
    if isinstance(error, dict) and error.get("message"):
        return str(error["message"])
    if data.get("message"):
        return str(data["message"])
    what, _, state = kind.partition(".")
    if stage is not None:
        reason = f" ({data['reason']})" if data.get("reason") else ""
        return f"stage '{stage}': {state}{reason}"
    return f"{what} {state}"
