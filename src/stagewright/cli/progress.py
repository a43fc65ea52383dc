"""How an execution looks while it goes on: a line for each change, or a tree that moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

STAGES_SHOWN_MAX = 15
MESSAGE_LENGTH_MAX = 160

SIGNS = {
    "pending": "○", "waiting": "◔", "ready": "◑", "running": "●", "completed": "✓", "failed": "✗", "skipped": "–",
    "cancelled": "⊘",
}  # fmt: skip
STYLES = {"completed": "green", "failed": "red", "running": "blue", "waiting": "yellow", "cancelled": "magenta"}

# What an event makes of its stage; events that are not named leave it as it is.
_STATUSES = {
    "stage.started": "running",
    "stage.waiting": "waiting",
    "stage.retrying": "waiting",
    "stage.completed": "completed",
    "stage.failed": "failed",
    "stage.skipped": "skipped",
    "stage.cancelled": "cancelled",
    "worker.lost": "waiting",
}
_FINAL = ("completed", "failed", "skipped", "cancelled")


@dataclass(slots=True)
class StageLine:
    """What is known of a stage."""

    status: str = "pending"
    worker: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    note: str = ""

    def elapsed_s(self, now: datetime) -> float | None:
        """Return how long it has been at work, or was."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())


@dataclass(slots=True)
class Progress:
    """An execution as its events tell it; `stages` in the order of the document."""

    execution_id: str
    pipeline: str
    status: str = "pending"
    stages: dict[str, StageLine] = field(default_factory=dict)
    created_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Progress:
        """Begin with what the API shows of an execution; its events tell the states."""
        stages = {stage["stage_id"]: StageLine(worker=stage["worker"] or "sleep") for stage in shown["stages"]}
        return cls(shown["execution_id"], shown["pipeline"], "pending", stages, moment(shown["created_at"]))

    def apply(self, event: Mapping[str, Any]) -> str | None:
        """Take in an event; returns the line that tells of it, None if it changes nothing that is shown."""
        kind, at = event["type"], moment(event["at"]) or datetime.now(UTC)
        if kind.startswith("execution."):
            text = self._execution(kind.partition(".")[2], at, event["data"])
        else:
            text = self._stage(kind, at, event)
        return None if text is None else f"{at.astimezone():%H:%M:%S} {text}"

    def _execution(self, what: str, at: datetime, data: Mapping[str, Any]) -> str | None:
        if what in ("created", "admitted"):
            return None
        if what in ("started", "resumed"):
            self.status, self.ended_at = "running", None
            return f"● {self.pipeline} {'started' if what == 'started' else 'goes on'}  {self.execution_id}"
        self.status, self.ended_at = what, at
        took = f" after {duration(data['duration_ms'] / 1000)}" if "duration_ms" in data else ""
        return f"{SIGNS.get(what, '●')} {self.pipeline} {what}{took}{cause(data)}"

    def _stage(self, kind: str, at: datetime, event: Mapping[str, Any]) -> str | None:
        name, data = event.get("stage_id"), event["data"]
        if name is None:
            return f"{kind}{cause(data)}" if kind.startswith("budget.") else None
        stage = self.stages.setdefault(name, StageLine())
        if kind == "stage.progress":
            fraction, message = data.get("progress"), data.get("message") or ""
            stage.note = " ".join(([f"{fraction:.0%}"] if fraction is not None else []) + [message]).strip()
            return f"  ● {name}: {stage.note}"
        status = _STATUSES.get(kind)
        if status is None:
            return None
        stage.status = status
        stage.note = self._note(kind, data)
        if kind == "stage.started":
            stage.started_at, stage.ended_at = at, None
        elif status in _FINAL:
            stage.ended_at = at
        elif kind == "stage.waiting":
            stage.started_at = stage.ended_at = None
        return self._line(name, stage, kind, event.get("attempt"))

    def _note(self, kind: str, data: Mapping[str, Any]) -> str:
        if kind in ("stage.failed", "stage.retrying"):
            again = f"; again at {local(data['next_attempt_at'])}" if data.get("next_attempt_at") else ""
            return shortened(_message(data) or "") + again
        if kind in ("stage.waiting", "worker.lost"):
            until = f" until {local(data['until'])}" if data.get("until") else ""
            return f"{data.get('reason') or ''}{until}"
        return ""

    def _line(self, name: str, stage: StageLine, kind: str, attempt: int | None) -> str:
        sign, what = SIGNS[stage.status], kind.partition(".")[2]
        if kind == "stage.started":
            again = f", attempt {attempt}" if attempt and attempt > 1 else ""
            return f"  {sign} {name} started ({stage.worker}{again})"
        elapsed = stage.elapsed_s(stage.ended_at) if stage.ended_at is not None else None
        took = f" in {duration(elapsed)}" if elapsed is not None else ""
        return f"  {sign} {name} {what}{took}{f': {stage.note}' if stage.note else ''}"

    # --- the tree -------------------------------------------------------------------------------------------

    def tree(self, spinner: RenderableType) -> RenderableType:
        """Draw the stages as they are now; what has ended is counted where there are many."""
        from rich.table import Table
        from rich.text import Text
        from rich.tree import Tree

        now = datetime.now(UTC)
        since = ((self.ended_at or now) - self.created_at).total_seconds() if self.created_at else 0.0
        tree = Tree(Text(f"{self.pipeline}  {self.execution_id}  {self.status}  {duration(max(0.0, since))}", "bold"))
        shown = list(self._shown())
        for name in shown:
            stage = self.stages[name]
            row = Table.grid(padding=(0, 1))
            row.add_column(width=1)
            style = STYLES.get(stage.status, "dim")
            sign: RenderableType = spinner if stage.status == "running" else Text(SIGNS[stage.status], style)
            elapsed = stage.elapsed_s(now)
            took = duration(elapsed) if elapsed is not None else ""
            row.add_row(sign, Text(name), Text(stage.worker, "dim"), Text(took, "cyan"), Text(stage.note, "dim"))
            tree.add(row)
        if len(shown) < len(self.stages):
            tree.add(Text(self._rest(shown), "dim"))
        return tree

    def _shown(self) -> Iterator[str]:
        if len(self.stages) <= STAGES_SHOWN_MAX:
            yield from self.stages
            return
        calm = ("pending", "completed", "skipped")
        lively = [name for name, stage in self.stages.items() if stage.status not in calm]
        yield from lively[:STAGES_SHOWN_MAX]

    def _rest(self, shown: list[str]) -> str:
        counts: dict[str, int] = {}
        for name, stage in self.stages.items():
            if name not in shown:
                counts[stage.status] = counts.get(stage.status, 0) + 1
        return "… " + ", ".join(f"{count} {status}" for status, count in counts.items())


def event_line(event: Mapping[str, Any]) -> str:
    """Show an event with its ids as `key=value`, for those who follow closely."""
    parts = [f"{event['at']} event={event['type']} execution={event['execution_id']} seq={event['seq']}"]
    parts += [f"{name.removesuffix('_id')}={event[name]}" for name in ("stage_id", "attempt") if name in event]
    for name, value in event["data"].items():
        told = value.get("code") if name == "error" and isinstance(value, dict) else value
        parts.append(f"{name}={shortened(str(told))}")
    return " ".join(parts)


def cause(data: Mapping[str, Any]) -> str:
    """Say why something ended, from the error in an event's data."""
    message = _message(data)
    return f": {message}" if message else ""


def _message(data: Mapping[str, Any]) -> str | None:
    error = data.get("error")
    return error.get("message") if isinstance(error, Mapping) else None


def shortened(text: str) -> str:
    """Bring a message onto one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LENGTH_MAX else line[: MESSAGE_LENGTH_MAX - 1] + "…"


def duration(seconds: float) -> str:
    """Show a duration in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(text: str | None) -> datetime | None:
    """Read a time of the API."""
    return None if text is None else datetime.fromisoformat(text)


def local(at: Any) -> str:
    """Show a time of the API or of an event (microseconds since 1970) on the clock of this place."""
    when = datetime.fromtimestamp(at / 1_000_000, UTC) if isinstance(at, int) else datetime.fromisoformat(str(at))
    return f"{when.astimezone():%H:%M:%S}"
