"""What runs in a child process: loads workers, runs their handlers, says how each attempt ended.

Three threads share the line to the parent: the loop with the async handlers, one that reads, one that beats. So a
handler that blocks the loop neither looks dead nor keeps an order of the parent from being heard.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from stagewright.channels.child_attempt import Bounds, ChildContext, Place, failure_of, perform
from stagewright.channels.frames import BadFrame, pack, receive_now
from stagewright.ports.objects import ObjectStore
from stagewright.sdk.worker import Worker

BEAT_S = 1.0
THREADS_MAX = 256  # for handlers that are not async; made only when needed
END_S = 0.7  # how long attempts may take to end after `stop`; the parent kills a little later
PROBLEM_CHARS_MAX = 2_000


class Line:
    """The way to the parent; any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file: BinaryIO = connection.makefile("rb")
        self._lock = threading.Lock()

    def receive(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """Wait for the next message; None once the parent is gone."""
        return receive_now(self._file)

    def send(self, head: Mapping[str, Any], raws: Sequence[bytes] = ()) -> None:
        """Send a message whole; the process ends if nobody is there to hear it."""
        pieces = pack(head, raws)
        try:
            with self._lock:
                self._connection.sendall(b"".join(pieces))
        except OSError:
            os._exit(0)


class Child:
    """One process of workers."""

    def __init__(self, line: Line, hello: Mapping[str, Any], objects: ObjectStore) -> None:
        bounds = Bounds(hello["input_bytes_max"], hello["artifacts_max"], hello["artifact_bytes_max"])
        executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="handler")
        self._line = line
        self._sources: list[tuple[str, str]] = [(module, function) for module, function in hello["sources"]]
        self._place = Place({}, [], objects, Path(hello["cache"]), executor, bounds)
        self._attempts: dict[int, tuple[ChildContext, asyncio.Task[None]]] = {}
        self._contexts: dict[int, ChildContext] = {}  # of the same attempts, for the threads
        self._stopping = asyncio.Event()

    def live(self) -> None:
        """Work until the parent says stop or is gone."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            threading.Thread(target=self._read, args=(loop,), name="reader", daemon=True).start()
            threading.Thread(target=self._beat, name="beat", daemon=True).start()
            self._line.send({"t": "ready", **self._load()})
            runner.run(self._serve())
            sys.stdout.flush()
            # Threads of handlers that do not end would be waited for without end.
            os._exit(0)

    async def _serve(self) -> None:
        await self._stopping.wait()
        tasks = [task for _, task in self._attempts.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)

    def _load(self) -> dict[str, Any]:
        """Import the workers' modules; one that cannot be imported is told and hurts no other."""
        found: list[dict[str, Any]] = []
        problems = self._place.problems
        for module, function in self._sources:
            try:
                workers: list[Worker] = getattr(importlib.import_module(module), function)()
                for worker in workers:
                    found.append(_described(worker, module))
                    self._place.workers[worker.name] = worker
            except BaseException as error:  # modules raise anything, SystemExit too
                lines = traceback.format_exception_only(type(error), error)
                problems.append(f"{module}:{function} gives no workers: {''.join(lines).strip()}"[:PROBLEM_CHARS_MAX])
        return {"workers": found, "problems": problems}

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear the parent; in a thread, so that its silence is noticed and cancelling works whatever handlers do."""
        try:
            while (message := self._line.receive()) is not None:
                head, raws = message
                context = self._contexts.get(head.get("n", -1))
                if head["t"] == "cancel" and context is not None:
                    context.cancelled = True
                elif head["t"] == "stop":
                    for context in tuple(self._contexts.values()):
                        context.cancelled = True
                elif head["t"] == "do":
                    self._contexts[head["n"]] = ChildContext(self._place, self._line.send, head)
                loop.call_soon_threadsafe(self._on_message, head, raws)
        except BadFrame as error:
            print(f"the parent sent {error}", file=sys.stderr)
        end_group()

    def _beat(self) -> None:
        while True:
            self._line.send({"t": "beat"})
            time.sleep(BEAT_S)
            for context in tuple(self._contexts.values()):
                context.flush_progress(time.monotonic())

    def _on_message(self, head: dict[str, Any], raws: list[bytes]) -> None:
        if head["t"] == "do":
            self._begin(head, raws)
        elif head["t"] == "cancel" and head["n"] in self._attempts:
            self._attempts[head["n"]][1].cancel()
        elif head["t"] == "stop":
            self._stopping.set()

    def _begin(self, head: dict[str, Any], raws: list[bytes]) -> None:
        n, ctx = head["n"], self._contexts[head["n"]]
        task = asyncio.get_running_loop().create_task(self._attempt(n, ctx, head, raws), name=f"attempt-{ctx.step}")
        self._attempts[n] = (ctx, task)
        task.add_done_callback(lambda done: self._after(n, done))

    async def _attempt(self, n: int, ctx: ChildContext, head: dict[str, Any], raws: list[bytes]) -> None:
        said, contents = await perform(self._place, ctx, head, raws)
        try:
            self._line.send({**said, "n": n}, contents)
        except Exception as error:  # an ending that cannot be said must still be one
            failure = failure_of(ctx.step, error)
            self._line.send({"t": "failed", "n": n, "failure": failure.as_json(), "after_us": None})

    def _after(self, n: int, task: asyncio.Task[None]) -> None:
        del self._attempts[n], self._contexts[n]
        if task.cancelled():  # before it began, so that it could not say so itself
            self._line.send({"t": "ended", "n": n})


def end_group() -> None:
    """End this process at once with all that its handlers started; it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _described(worker: Worker, module: str) -> dict[str, Any]:
    if not isinstance(worker, Worker):
        raise TypeError(f"expected a list of stagewright.sdk.Worker, found: {type(worker).__name__}")
    about = {"name": worker.name, "version": worker.version, "description": worker.description}
    return {**about, "actions": list(worker.actions), "module": module}
