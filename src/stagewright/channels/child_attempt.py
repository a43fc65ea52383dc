"""One attempt inside a child process: its inputs, its context, and how its ending is said."""

from __future__ import annotations

import asyncio
import math
import os
import re
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stagewright.channels.outputs import cost_of, encode_output, summary_of
from stagewright.model.data import KV_BYTES_MAX, DataRef
from stagewright.model.errors import StagewrightError, TooLarge, Trouble
from stagewright.model.execution import Failure
from stagewright.ports.objects import ObjectStore
from stagewright.sdk.artifacts import check_artifact
from stagewright.sdk.context import ArtifactRef
from stagewright.sdk.encode import NotJson, encode_json
from stagewright.sdk.invoke import call_handler
from stagewright.sdk.outcome import Result, Retry, Terminal
from stagewright.sdk.worker import Worker

PROGRESS_GAP_S = 0.1
PROGRESS_CHARS_MAX = 500
MESSAGE_CHARS_MAX = 4_000
TRACE_CHARS_MAX = 8_000
CODE_CHARS_MAX = 64
SUMMARY_BYTES_MAX = 64 * 1024
RETRY_AFTER_S_MAX = 7 * 24 * 3600.0

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")  # in the name of a folder

Send = Callable[..., None]  # (head, raws=())


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one attempt may use."""

    input_bytes_max: int
    artifacts_max: int
    artifact_bytes_max: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where attempts run. `workers` by name; `problems` say why some are missing."""

    workers: dict[str, Worker]
    problems: list[str]
    objects: ObjectStore
    cache: Path
    executor: Executor
    bounds: Bounds


class ChildContext:
    """The `Context` of a handler in a child process; may be used from any thread and loop of it."""

    def __init__(self, place: Place, send: Send, head: dict[str, Any]) -> None:
        self.execution_id: str = head["e"]
        self.step: str = head["s"]
        self.attempt: int = head["a"]
        self.cache_dir = place.cache / _UNSAFE.sub("_", head["w"])
        self.cancelled = False
        self.artifacts: dict[str, tuple[str, DataRef]] = {}  # media type and content by name
        self._n: int = head["n"]
        self._place, self._send = place, send
        self._lock = threading.Lock()
        self._said_at = -math.inf
        self._unsaid: tuple[float, str] | None = None

    def progress(self, fraction: float, message: str = "") -> None:
        """See `Context`. Reports that come too fast replace each other; the newest is said with the next beat."""
        number = float(fraction)
        known = 0.0 if math.isnan(number) else min(1.0, max(0.0, number))
        with self._lock:
            self._unsaid = (known, str(message)[:PROGRESS_CHARS_MAX])
        self.flush_progress(time.monotonic())

    def flush_progress(self, now: float) -> None:
        """Say what has not been said yet, unless something was a moment ago."""
        with self._lock:
            if self._unsaid is None or now - self._said_at < PROGRESS_GAP_S:
                return
            (fraction, message), self._unsaid, self._said_at = self._unsaid, None, now
        text = message.encode("utf-8", "replace").decode()
        self._send({"t": "progress", "n": self._n, "fraction": fraction, "message": text})

    async def artifact(self, name: str, content: bytes | str | Path, *, media_type: str) -> ArtifactRef:
        """See `Context`."""
        check_artifact(name, media_type)
        if name not in self.artifacts and len(self.artifacts) >= self._place.bounds.artifacts_max:
            text = f"an attempt writes at most {self._place.bounds.artifacts_max} artifacts (`artifacts_max`)"
            raise Terminal(f"{text}: put several into one archive", code="too_many_artifacts")
        ref = await self._store(name, content)
        self.artifacts[name] = (media_type, ref)
        return {"name": name, "media_type": media_type, "size_bytes": ref.size_bytes, "checksum": ref.checksum}

    async def _store(self, name: str, content: Any) -> DataRef:
        if isinstance(content, Path):
            path = content
            self._check_size(name, await asyncio.to_thread(lambda: path.stat().st_size))
            return await self._place.objects.put_file(path)
        if not isinstance(content, bytes | bytearray | memoryview | str):
            kind = type(content).__name__
            raise Terminal(f"artifact {name!r} is bytes, text or a Path, found: {kind}", code="bad_artifact")
        stored = bytes(content, "utf-8") if isinstance(content, str) else bytes(content)
        self._check_size(name, len(stored))
        return await self._place.objects.put(stored)

    def _check_size(self, name: str, size_bytes: int) -> None:
        most = self._place.bounds.artifact_bytes_max
        if size_bytes > most:
            text = f"artifact {name!r} has {size_bytes} bytes, at most {most} are kept (`artifact_bytes_max`)"
            raise Terminal(text, code="artifact_too_large")


async def perform(
    place: Place, ctx: ChildContext, head: dict[str, Any], raws: list[bytes]
) -> tuple[dict[str, Any], list[bytes]]:
    """Run the handler and return the message that says how it ended; never raises but for the end of the process."""
    step = ctx.step
    try:
        worker = place.workers.get(head["w"])
        action = None if worker is None else worker.find(head["x"])
        if worker is None or action is None:
            return _failed(_unknown(place, step, head, worker))
        inputs = await _inputs(place, step, head, raws)
        raws.clear()  # what was decoded need not be held twice while the handler runs
        ctx.cache_dir.mkdir(parents=True, exist_ok=True)
        value = await call_handler(action, inputs, ctx, place.executor)
        return await _completed(place, ctx, value)
    except asyncio.CancelledError as error:
        if ctx.cancelled:
            return {"t": "ended"}, []
        return _failed(failure_of(step, error))
    except BaseException as error:  # SystemExit of a handler must not end the process, and others' attempts with it
        return _failed(failure_of(step, error))


def failure_of(step: str, error: BaseException) -> Failure:
    """Say how an exception of a handler ends its attempt."""
    text = _text_of(error)
    if isinstance(error, Terminal):
        return Failure(_code(error.code, "terminal"), text, "terminal", False, step)
    if isinstance(error, Retry):
        return Failure(_code(error.code, "retry"), text, "transient", True, step, None, _after_us(error.after_s))
    if isinstance(error, TooLarge):
        return Failure("input_too_large", f"The inputs of stage '{step}': {error.detail}", stage_id=step)
    if isinstance(error, Trouble):
        return Failure(error.code, error.detail, "transient", True, step)
    message = f"The handler of stage '{step}' raised {type(error).__name__}: {text}"[:MESSAGE_CHARS_MAX]
    return Failure("handler_error", message, "transient", True, step, _trace_of(error))


async def _inputs(place: Place, step: str, head: dict[str, Any], raws: list[bytes]) -> Any:
    """Return the inputs with each reference replaced: kv values came along, objects are read here."""
    values: dict[str, Any] = {}
    for key, content in zip(head["values"], raws, strict=True):
        values[key] = orjson.loads(content)
    for item in head["objects"]:
        ref = DataRef.from_json(item)
        content = await place.objects.get(ref, bytes_max=place.bounds.input_bytes_max)
        values[ref.storage_key] = await asyncio.to_thread(orjson.loads, content)
    inputs = [head["i"]]
    for *path, last, key in ([0, *path] for path in head["paths"]):
        at: Any = inputs
        for part in path:
            at = at[part]
        at[last] = values[key]
    return inputs[0]


async def _completed(place: Place, ctx: ChildContext, value: Any) -> tuple[dict[str, Any], list[bytes]]:
    result = value if isinstance(value, Result) else None
    encoded = await asyncio.to_thread(encode_output, ctx.step, value.output if result else value)
    if isinstance(encoded, Failure):
        return _failed(encoded)
    try:
        said = encode_json(summary_of(result), "$summary")
        cost = cost_of(result.usage if result else ())
    except NotJson as error:
        text = f"The summary of stage '{ctx.step}' is no JSON: {error}"
        return _failed(Failure("output_not_json", text, stage_id=ctx.step))
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        text = f"The usage of stage '{ctx.step}' is a list of objects whose `cost_usd` is a number: {error}"
        return _failed(Failure("bad_usage", text, stage_id=ctx.step))
    if len(said) > SUMMARY_BYTES_MAX:
        text = f"The summary of stage '{ctx.step}' has {len(said)} bytes, at most {SUMMARY_BYTES_MAX} are kept: "
        return _failed(Failure("summary_too_large", text + "put what is long into the output", stage_id=ctx.step))
    artifacts = [{"name": n, "media_type": kind, "ref": ref.as_json()} for n, (kind, ref) in ctx.artifacts.items()]
    done = {"t": "done", "summary": orjson.Fragment(said), "cost": cost, "artifacts": artifacts}
    if len(encoded) <= KV_BYTES_MAX:
        return done, [encoded]
    ref = await place.objects.put(encoded)
    return {**done, "ref": ref.as_json()}, []


def _failed(failure: Failure) -> tuple[dict[str, Any], list[bytes]]:
    return {"t": "failed", "failure": failure.as_json(), "after_us": failure.retry_after_us}, []


def _unknown(place: Place, step: str, head: dict[str, Any], worker: Worker | None) -> Failure:
    if worker is None:
        why = "; ".join(place.problems) or "no module returns it; there are: " + ", ".join(sorted(place.workers))
        text = f"Worker '{head['w']}' of stage '{step}' is not there: {why}"
        return Failure("unknown_worker", text[:MESSAGE_CHARS_MAX], stage_id=step)
    text = f"Worker '{worker.name}' of stage '{step}' has no action '{head['x']}'; there are: "
    return Failure("unknown_action", text + ", ".join(worker.actions), stage_id=step)


def _text_of(error: BaseException) -> str:
    try:
        text = error.detail if isinstance(error, StagewrightError) else str(error)
    except Exception as inner:  # __str__ of a foreign exception may fail as anything may
        text = f"(its text cannot be made: {type(inner).__name__})"
    return text.encode("utf-8", "replace").decode()[:MESSAGE_CHARS_MAX]


def _trace_of(error: BaseException) -> str:
    """Return the end of the trace without our own frames at its beginning."""
    own = os.sep + "stagewright" + os.sep
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        name = trace.tb_frame.f_code.co_filename
        if f"{own}channels{os.sep}" not in name and f"{own}sdk{os.sep}invoke" not in name:
            break
        trace = trace.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, trace))
    except Exception as inner:
        text = f"(its trace cannot be made: {type(inner).__name__})"
    return text.encode("utf-8", "replace").decode()[-TRACE_CHARS_MAX:]


def _code(code: object, otherwise: str) -> str:
    text = str(code)
    return text if 0 < len(text) <= CODE_CHARS_MAX and text.isascii() and text.isprintable() else otherwise


def _after_us(after_s: float | None) -> int | None:
    if after_s is None or not isinstance(after_s, int | float) or math.isnan(after_s):
        return None
    return round(min(RETRY_AFTER_S_MAX, max(0.0, after_s)) * 1_000_000)
