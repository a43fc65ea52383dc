"""The built-in worker `probe`, for trying things out, health checks and benchmarks. Runs on the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from stagewright.channels.inputs import find_refs, load_inputs
from stagewright.channels.outputs import completed, completed_inline, encode_output
from stagewright.model.data import KV_BYTES_MAX
from stagewright.model.errors import StagewrightError
from stagewright.model.execution import Failure
from stagewright.model.message import Completed, Failed
from stagewright.ports.channel import Assignment, Loader, Mailbox, WorkerFacts
from stagewright.ports.objects import ObjectStore

SLEEP_S_MAX = 7 * 24 * 3600.0
PRODUCE_BYTES_MAX = 256 * 1024 * 1024
COUNT_MAX = 1_000_000

_ACTIONS = ("echo", "sleep", "fail", "produce", "count")


class ProbeChannel:
    """Answers at once, or by a timer of the loop; never blocks it."""

    def __init__(self, objects: ObjectStore, load: Loader) -> None:
        self._objects = objects
        self._load = load
        self._mailbox: Mailbox | None = None
        self._running: dict[tuple[str, str], tuple[int, Callable[[], Any]]] = {}  # attempt and how to stop it
        self._tasks: set[asyncio.Task[None]] = set()
        self._facts = WorkerFacts("probe", "1", "Tries things out", _ACTIONS, slots=0, is_direct=True)

    def workers(self) -> Mapping[str, WorkerFacts]:
        """See the port."""
        return {"probe": self._facts}

    async def start(self, mailbox: Mailbox) -> None:
        """See the port."""
        self._mailbox = mailbox

    async def stop(self) -> None:
        """See the port."""
        for _, stop in self._running.values():
            stop()
        self._running.clear()

    def dispatch(self, assignment: Assignment) -> None:
        """Perform the action; `echo` without leaving this call."""
        action = assignment.action or "echo"
        if assignment.may_refer and next(find_refs(assignment.inputs), None) is not None:
            self._load_first(assignment)
            return
        if action == "echo":
            self._echo(assignment)
            return
        try:
            _PERFORM[action](self, assignment)
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            text = f"Stage '{assignment.step}' of worker 'probe', action '{action}': {error}"
            self._post(assignment, Failed(assignment.step, assignment.attempt, _failure("bad_input", text)))

    def revoke(self, execution_id: str, step: str, attempt: int) -> None:
        """See the port."""
        running = self._running.get((execution_id, step))
        if running is not None and running[0] == attempt:
            del self._running[execution_id, step]
            running[1]()

    def _echo(self, assignment: Assignment) -> None:
        step, attempt = assignment.step, assignment.attempt
        encoded = encode_output(step, assignment.inputs)
        if isinstance(encoded, Failure):
            self._post(assignment, Failed(step, attempt, encoded))
        elif len(encoded) <= KV_BYTES_MAX:
            self._post(assignment, completed_inline(step, attempt, encoded, None))
        else:
            self._later(assignment, assignment.inputs)

    def _sleep(self, assignment: Assignment) -> None:
        seconds = _number(assignment.inputs, "seconds", 0, SLEEP_S_MAX)
        handle = asyncio.get_running_loop().call_later(
            seconds, self._finish, assignment, orjson.dumps({"slept_s": seconds})
        )
        self._running[assignment.execution_id, assignment.step] = (assignment.attempt, handle.cancel)

    def _fail(self, assignment: Assignment) -> None:
        times = _number(assignment.inputs, "times", 0, 1_000_000, default=1_000_000)
        if assignment.attempt > times:
            self._finish(assignment, orjson.dumps({"attempts": assignment.attempt}))
            return
        code = str(assignment.inputs.get("code", "probe_failed"))
        retryable = bool(assignment.inputs.get("retryable", True))
        kind = "transient" if retryable else "terminal"
        text = f"Attempt {assignment.attempt} of stage '{assignment.step}' fails because its inputs say so"
        failure = Failure(code, text, kind, retryable, assignment.step)
        self._post(assignment, Failed(assignment.step, assignment.attempt, failure))

    def _produce(self, assignment: Assignment) -> None:
        size = int(_number(assignment.inputs, "bytes", 0, PRODUCE_BYTES_MAX))
        self._later(assignment, lambda: {"text": "x" * size})

    def _count(self, assignment: Assignment) -> None:
        to = int(_number(assignment.inputs, "to", 0, COUNT_MAX))
        self._later(assignment, lambda: {"items": list(range(to))})

    def _load_first(self, assignment: Assignment) -> None:
        """Replace references by their values, then perform the action after all."""

        async def load() -> None:
            assignment.inputs = await load_inputs(assignment.inputs, self._load)
            self._running.pop((assignment.execution_id, assignment.step), None)
            self.dispatch(assignment)

        self._run(assignment, load())

    def _later(self, assignment: Assignment, value: Any) -> None:
        async def make() -> None:
            made = await asyncio.to_thread(value) if callable(value) else value
            self._post(assignment, await completed(self._objects, assignment.step, assignment.attempt, made))

        self._run(assignment, make())

    def _run(self, assignment: Assignment, coroutine: Coroutine[Any, Any, None]) -> None:
        told = self._tell_failure(assignment, coroutine)
        task = asyncio.get_running_loop().create_task(told, name=f"probe-{assignment.step}")
        key, entry = (assignment.execution_id, assignment.step), (assignment.attempt, task.cancel)
        self._running[key] = entry
        self._tasks.add(task)

        def forget(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._running.get(key) is entry:
                del self._running[key]

        task.add_done_callback(forget)

    async def _tell_failure(self, assignment: Assignment, coroutine: Coroutine[Any, Any, None]) -> None:
        """See it through; whatever it raises ends the attempt, which would else wait until its timeout."""
        try:
            await coroutine
        except Exception as error:
            if isinstance(error, StagewrightError):
                code, text = error.code, error.detail
            else:
                code, text = "handler_error", f"{type(error).__name__}: {error}"
            failure = Failure(code, text, "transient", True, assignment.step)
            self._post(assignment, Failed(assignment.step, assignment.attempt, failure))

    def _finish(self, assignment: Assignment, encoded: bytes) -> None:
        self._running.pop((assignment.execution_id, assignment.step), None)
        self._post(assignment, Completed(assignment.step, assignment.attempt, encoded))

    def _post(self, assignment: Assignment, message: Completed | Failed) -> None:
        assert self._mailbox is not None, "the channel is not started"
        self._mailbox.post(assignment.execution_id, message)


_PERFORM: dict[str, Callable[[ProbeChannel, Assignment], None]] = {
    "sleep": ProbeChannel._sleep,
    "fail": ProbeChannel._fail,
    "produce": ProbeChannel._produce,
    "count": ProbeChannel._count,
}


def _failure(code: str, message: str) -> Failure:
    return Failure(code, message, "terminal", False)


def _number(inputs: Any, name: str, least: float, most: float, default: float | None = None) -> float:
    value: Any = inputs.get(name, default) if isinstance(inputs, dict) else default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"input '{name}' must be a number from {least:g} to {most:g}: {value!r}")
    return value
