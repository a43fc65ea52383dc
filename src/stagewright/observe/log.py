"""Log lines: one an event, made by one subscriber; and what libraries log, in the same form.

Nobody writes logs inside the engine. Lines go through a bounded queue to a thread of their own, so that a terminal or
a pipe that takes nothing never holds up the engine; what did not fit is counted and said.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

QUEUED_LINES_MAX = 10_000
CLOSE_TIMEOUT_S = 2.0
FOLLOWED_MAX = 10_000  # executions whose pipeline is remembered, so that later lines can name it
VALUE_CHARS_MAX = 500

Fields = dict[str, Any]

_LEVELS = {
    "stage.failed": "warning",
    "stage.retrying": "warning",
    "worker.lost": "warning",
    "budget.warning": "warning",
    "budget.exceeded": "warning",
    "resources.denied": "warning",
    "execution.failed": "error",
    "execution.paused": "warning",
}
_STATES = {
    "execution.created": "queued",
    "execution.started": "running",
    "execution.paused": "paused",
    "execution.resumed": "running",
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "stage.waiting": "waiting",
    "stage.started": "processing",
    "stage.retrying": "retrying",
    "stage.completed": "completed",
    "stage.failed": "failed",
    "stage.skipped": "skipped",
    "stage.cancelled": "cancelled",
}
_LIBRARY_LEVELS = {"CRITICAL": "error", "ERROR": "error", "WARNING": "warning", "INFO": "info", "DEBUG": "debug"}


class Log:
    """Makes lines out of events and of what `logging` gets; `verbose` shows the way of every execution."""

    def __init__(self, stream: TextIO, *, verbose: bool, as_json: bool) -> None:
        self._verbose = verbose
        self._write_fields = _json_line if as_json else _text_line
        self._lines = _Lines(stream)
        self._pipelines: OrderedDict[str, str] = OrderedDict()

    def on_events(self, execution_id: str, events: list[dict[str, Any]]) -> None:
        """Write a line for each event that is loud enough; a watcher of `engine.feed`."""
        if self._verbose:
            for event in events:
                self._tell(execution_id, event)
            return
        for event in events:
            if event["type"] in _LEVELS:
                self._tell(execution_id, event)

    def write(self, at_us: int, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Write one line; fields that are None are left out."""
        line: Fields = {"time": _time_text(at_us), "level": level, "event": event}
        line.update((name, value) for name, value in fields.items() if value is not None)
        self._lines.put(self._write_fields(line))

    def close(self) -> None:
        """Write what is queued and stop; idempotent."""
        self._lines.close()

    def _tell(self, execution_id: str, event: dict[str, Any]) -> None:
        kind, data = event["type"], event["data"]
        fields: Fields = {"execution": execution_id}
        if kind == "execution.created":
            self._remember(execution_id, f"{data['pipeline']}@{data['version']}")
        fields["pipeline"] = self._pipelines.get(execution_id)
        for name, key in (("stage", "stage_id"), ("step", "step"), ("attempt", "attempt")):
            fields[name] = event.get(key)
        if fields["step"] == fields["stage"]:
            del fields["step"]
        fields["state"] = _STATES.get(kind)
        fields.update(_details(kind, data, fields["pipeline"]))
        if kind in ("execution.completed", "execution.failed", "execution.cancelled"):
            self._pipelines.pop(execution_id, None)
        self.write(event["at"], _LEVELS.get(kind, "info"), kind, fields)

    def _remember(self, execution_id: str, pipeline: str) -> None:
        self._pipelines[execution_id] = pipeline
        if len(self._pipelines) > FOLLOWED_MAX:
            self._pipelines.popitem(last=False)


def start_log(stream: TextIO, *, verbose: bool) -> Log:
    """Return a log on a stream, text on a terminal and JSON lines elsewhere; `logging` goes there too."""
    log = Log(stream, verbose=verbose, as_json=not stream.isatty())
    root = logging.getLogger()
    root.handlers = [_Handler(log)]
    root.setLevel(logging.WARNING)
    return log


class _Handler(logging.Handler):
    """Turns a record of `logging` into a line; its fields come as `extra={"fields": {…}}`."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: Fields = dict(getattr(record, "fields", ()))
        event = record.msg if fields else record.name
        if not fields:
            fields["message"] = record.getMessage().strip()
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            fields["trace"] = "".join(traceback.format_exception(record.exc_info[1]))[-8_000:]
        level = _LIBRARY_LEVELS.get(record.levelname, "info")
        self._log.write(round(record.created * 1_000_000), level, str(event), fields)


class _Lines:
    """A bounded queue of lines and the thread that writes them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._queue: queue.Queue[str | None] = queue.Queue(QUEUED_LINES_MAX)
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Queue a line, or count it as dropped."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is queued, within a bound of time."""
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._queue.put(None, timeout=CLOSE_TIMEOUT_S)
            except queue.Full:
                return
            thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            lines = [line]
            while not self._queue.empty() and len(lines) < QUEUED_LINES_MAX:
                following = self._queue.get()
                if following is None:
                    self._write(lines)
                    return
                lines.append(following)
            self._write(lines)

    def _write(self, lines: list[str]) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f"event=log.dropped lines={dropped}")
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody reads the log any more; that is no reason to stop


def _details(kind: str, data: Mapping[str, Any], pipeline: str | None) -> Fields:
    """Choose what a line says of an event: facts and figures, no payloads."""
    if kind == "execution.admitted":
        estimated = data.get("estimate")
        return {
            "picked_up": True,
            "template_resolved": pipeline,
            "estimated": "none" if estimated is None else estimated,
            "reserved": data.get("reserved") or "none",
        }
    details: Fields = {name: data.get(name) for name in _SHOWN if data.get(name) is not None}
    details.pop("pipeline", None)
    error = data.get("error")
    if isinstance(error, Mapping):
        details |= {"code": error.get("code"), "type": error.get("type"), "message": error.get("message")}
    return details


_SHOWN = (
    "priority", "client_id", "request_id", "stages", "worker", "action", "worker_id", "reason", "until", "progress",
    "message", "duration_ms", "output_bytes", "failures", "next_attempt_at", "round", "from_stage", "artifact_id",
    "name", "media_type", "size_bytes",
)  # fmt: skip


def _time_text(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json_line(fields: Fields) -> str:
    return orjson.dumps(fields, default=str).decode()


def _text_line(fields: Fields) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in fields.items())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    if text and all(char.isalnum() or char in "._-:@/+" for char in text):
        return text
    return orjson.dumps(text[:VALUE_CHARS_MAX]).decode()
