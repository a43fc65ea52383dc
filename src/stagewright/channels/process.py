"""Runs local handlers in child processes, off the engine's loop; `ports.channel.Channel`.

Children are started at first use and end when idle. Each attempt ends once: by what the child says of it, or as lost
with the child. Attempts after a loss run alone in a child of their own, where they can hurt nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from stagewright.channels.child_link import ChildLink
from stagewright.channels.frames import FrameTooLarge
from stagewright.channels.order import Order, order_of
from stagewright.channels.outputs import completed_inline
from stagewright.channels.sources import Described, WorkerSource, described
from stagewright.model.data import DataRef
from stagewright.model.errors import TooLarge, Trouble
from stagewright.model.execution import Artifact, Failure
from stagewright.model.message import Completed, Failed, Lost, Message, Progress
from stagewright.ports.channel import Assignment, Loader, Mailbox, WorkerFacts

SLOT_POOL = "local processes"
TICK_S = 0.25
DOUBT_S = 0.25  # after which a revoked attempt that has not ended makes its process doubtful
KILL_S = 0.8  # for killed processes to be gone
STILL_S = 2.5  # without a beat, after which it is asked whether the process is stopped; it beats each second
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LETTERS = 26


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Bounds of the local worker processes."""

    processes_max: int = 2
    attempts_per_process: int = 8
    alone_max: int = 2  # further processes, each for one attempt that follows a lost one
    idle_s: float = 60.0  # after which a process without attempts ends
    start_s: float = 60.0  # from the start of a process until its workers are loaded
    cancel_grace_s: float = 2.0  # for an attempt to end when nobody waits for it any more; then its process is killed
    stop_s: float = 1.0  # for all attempts to end when the server stops
    input_bytes_max: int = 64 * 1024 * 1024  # of one attempt, with all that its references name
    artifacts_max: int = 1_000  # of one attempt
    artifact_bytes_max: int = 4 * 1024**3  # of one artifact

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if not value > 0:
                raise ValueError(f"{bound.name} must be more than 0: {value}")


@dataclass(slots=True, eq=False)
class _Attempt:
    """One dispatched attempt, until it has ended in its child too."""

    n: int
    assignment: Assignment
    link: ChildLink | None = None
    revoked_at: float | None = None  # of the loop's clock
    loading: asyncio.Task[None] | None = None
    grace: asyncio.TimerHandle | None = None

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.assignment.execution_id, self.assignment.step, self.assignment.attempt


class ProcessChannel:
    """Local workers in child processes.

    `command` starts a child, the descriptor of its socket is added; `objects` is the folder of the object store,
    `cache` that of the workers' caches. `on_change` is told when `workers()` has changed.
    """

    def __init__(
        self,
        sources: Sequence[WorkerSource],
        load: Loader,
        *,
        command: Sequence[str],
        objects: Path,
        cache: Path,
        settings: ProcessSettings,
        on_line: Callable[[str], None] | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.problems: tuple[str, ...] = ()  # why some source gives no workers
        self._sources, self._load, self._command, self._settings = tuple(sources), load, tuple(command), settings
        self._objects, self._cache = objects.absolute(), cache.absolute()
        self._on_line, self._on_change = on_line or _to_stderr, on_change
        self._known: dict[str, Described] = {}
        self._mailbox: Mailbox | None = None
        self._links: set[ChildLink] = set()
        self._attempts: dict[int, _Attempt] = {}
        self._by_key: dict[tuple[str, str, int], _Attempt] = {}
        self._waiting: deque[tuple[_Attempt, Order]] = deque()  # for a process of their own
        self._count = 0
        self._watching: asyncio.Task[None] | None = None
        self._described = asyncio.Event()
        self._is_stopping = False

    def workers(self) -> Mapping[str, WorkerFacts]:
        """See the port. All share the slots that the processes have."""
        slots = self._settings.processes_max * self._settings.attempts_per_process
        alone = self._settings.alone_max
        return {
            name: WorkerFacts(name, one.version, one.description, one.actions, slots, False, SLOT_POOL, alone)
            for name, one in self._known.items()
        }

    async def start(self, mailbox: Mailbox) -> None:
        """See the port. Sources without a manifest are described by a child later; see `wait_described`."""
        self._mailbox = mailbox
        for source in self._sources:
            if source.manifest is not None:
                self._known.update({one.name: one for one in described(source)})
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="process-channel")
        if all(source.manifest is not None for source in self._sources):
            self._described.set()
        else:
            self._open(is_alone=False)

    async def wait_described(self, timeout_s: float) -> bool:
        """Wait until the workers of all sources are known, or why they are not (`problems`)."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._described.wait(), timeout_s)
        return self._described.is_set()

    async def stop(self) -> None:
        """See the port."""
        self._is_stopping = True
        for attempt in self._attempts.values():
            if attempt.loading is not None:
                attempt.loading.cancel()
        links = tuple(self._links)
        for link in links:
            link.close(self._settings.stop_s)
        if links:
            endings = [asyncio.ensure_future(link.ended.wait()) for link in links]
            _, late = await asyncio.wait(endings, timeout=self._settings.stop_s + KILL_S)
            for ending in late:
                ending.cancel()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def dispatch(self, assignment: Assignment) -> None:
        """See the port."""
        self._count += 1
        attempt = _Attempt(self._count, assignment)
        if attempt.key in self._by_key:
            return
        self._attempts[attempt.n] = self._by_key[attempt.key] = attempt
        try:
            order = order_of(attempt.n, assignment, self._settings.input_bytes_max)
            if not order.to_load:
                self._place(attempt, order)
                return
        except (TooLarge, FrameTooLarge) as error:
            self._finish(attempt, _input_failure(assignment.step, error))
            return
        loop = asyncio.get_running_loop()
        attempt.loading = loop.create_task(self._place_loaded(attempt, order), name=f"load-{assignment.step}")

    def revoke(self, execution_id: str, step: str, attempt: int) -> None:
        """See the port."""
        known = self._by_key.get((execution_id, step, attempt))
        if known is None or known.is_revoked:
            return
        loop = asyncio.get_running_loop()
        known.revoked_at = loop.time()
        if known.link is None:
            if known.loading is not None:
                known.loading.cancel()
            self._forget(known)
            return
        known.link.send({"t": "cancel", "n": known.n})
        reason = f"was ended because stage '{step}' of another attempt in it did not stop when cancelled"
        grace_s = self._settings.cancel_grace_s
        known.grace = loop.call_later(grace_s, known.link.kill, reason)

    # --- to the children ------------------------------------------------------------------------------------

    async def _place_loaded(self, attempt: _Attempt, order: Order) -> None:
        try:
            for ref in order.to_load:
                order.add(ref, await self._load(ref))
            attempt.loading = None
            self._place(attempt, order)
        except (Trouble, TooLarge, FrameTooLarge) as error:
            self._finish(attempt, _input_failure(attempt.assignment.step, error))

    def _place(self, attempt: _Attempt, order: Order) -> None:
        if attempt.is_revoked or self._is_stopping:
            return
        if attempt.assignment.alone:
            self._waiting.append((attempt, order))
            self._serve_waiting()
            return
        self._send(self._least_loaded(), attempt, order)

    def _serve_waiting(self) -> None:
        """Give attempts that must be alone a process each, as many as may be at once."""
        while self._waiting and sum(link.is_alone for link in self._links) < self._settings.alone_max:
            attempt, order = self._waiting.popleft()
            if attempt.n in self._attempts:
                self._send(self._open(is_alone=True), attempt, order)

    def _send(self, link: ChildLink, attempt: _Attempt, order: Order) -> None:
        attempt.link = link
        link.attempts.add(attempt.n)
        try:
            link.send(order.head, order.raws)
        except FrameTooLarge as error:
            self._finish(attempt, _input_failure(attempt.assignment.step, error))

    def _least_loaded(self) -> ChildLink:
        """Return a child with room, a new one as long as there may be more.

        One in which a revoked attempt does not stop is about to be killed. It counts as gone, and who comes next goes
        elsewhere, else the retry after a timeout would die with the process of the attempt that timed out.
        """
        links = [link for link in self._links if not link.is_alone and not link.is_closing]
        sound = [link for link in links if not self._is_doubtful(link)]
        most = self._settings.processes_max
        least = min(sound or links, key=lambda link: len(link.attempts), default=None)
        is_room = len(sound) < most and len(links) < 2 * most
        if least is None or (is_room and (least.attempts or not sound)):
            return self._open(is_alone=False)
        return least

    def _is_doubtful(self, link: ChildLink) -> bool:
        now = asyncio.get_running_loop().time()
        revoked = (self._attempts[n].revoked_at for n in link.attempts)
        return any(at is not None and now - at > DOUBT_S for at in revoked)

    def _open(self, *, is_alone: bool) -> ChildLink:
        hello = {
            "t": "hello",
            "pid": os.getpid(),
            "path": sys.path,
            "sources": [(source.module, source.function) for source in self._sources],
            "objects": str(self._objects),
            "cache": str(self._cache),
            "input_bytes_max": self._settings.input_bytes_max,
            "artifacts_max": self._settings.artifacts_max,
            "artifact_bytes_max": self._settings.artifact_bytes_max,
        }
        link = ChildLink(self._command, hello, self, is_alone=is_alone)
        self._links.add(link)
        link.start()
        return link

    async def _watch(self) -> None:
        """End children that are silent, stopped or idle."""
        clock = asyncio.get_running_loop().time
        looked_at = clock()
        while True:
            await asyncio.sleep(TICK_S)
            now, before = clock(), looked_at
            looked_at = now
            if now - before > 4 * TICK_S:
                continue  # this loop was blocked itself; first hear what has come meanwhile
            for link in tuple(self._links):
                self._look_at(link, now)

    def _look_at(self, link: ChildLink, now: float) -> None:
        if link.is_closing:
            return
        silent_s = now - link.heard_at
        bounds = [self._attempts[n].assignment.silence_timeout_us / 1e6 for n in link.attempts]
        if not link.is_ready and now - link.started_at > self._settings.start_s:
            link.kill(f"did not load its workers within {self._settings.start_s:g} s")
        elif silent_s > STILL_S and link.is_stopped():
            link.kill("was stopped by a signal")
        elif bounds and silent_s > max(min(bounds), STILL_S):
            link.kill(f"gave no sign of life for {silent_s:.1f} s")
        elif not link.attempts and now - link.idle_since > self._settings.idle_s:
            link.close(self._settings.stop_s)

    # --- from the children ----------------------------------------------------------------------------------

    def on_message(self, link: ChildLink, head: dict[str, Any], raws: list[bytes]) -> None:
        """Take what a child says; see `child_link.Listener`."""
        kind = head["t"]
        if kind == "ready":
            self._learn(link, head)
            return
        attempt = self._attempts.get(head["n"])
        if attempt is None or attempt.link is not link:
            return
        step, number = attempt.assignment.step, attempt.assignment.attempt
        if kind == "progress":
            self._post(attempt, Progress(step, number, float(head["fraction"]), str(head["message"])))
        elif kind == "done":
            self._finish(attempt, _completed(attempt.assignment, head, raws))
        elif kind == "failed":
            self._finish(attempt, Failed(step, number, _failure(head)))
        elif kind == "ended":
            self._finish(attempt, Lost(step, number, "it was cancelled in its worker process"))
        else:
            raise ValueError(kind)

    def on_end(self, link: ChildLink, reason: str, *, is_start_failure: bool) -> None:
        """Report what the child had in hand; see `child_link.Listener`."""
        self._links.discard(link)
        if not link.is_ready:
            self.problems = (*self.problems[-9:], f"The worker process {reason}")
            self._described.set()
        for n in tuple(link.attempts):
            attempt = self._attempts[n]
            step, number = attempt.assignment.step, attempt.assignment.attempt
            text = f"The worker process {link.pid or ''} {reason}".replace("  ", " ")
            failure = Failure("worker_start_failed", text, "transient", True, step)
            self._finish(attempt, Failed(step, number, failure) if is_start_failure else Lost(step, number, text))
        if not self._is_stopping:
            self._serve_waiting()

    def on_line(self, text: str) -> None:
        """Pass on what a handler printed; see `child_link.Listener`."""
        self._on_line(text)

    def _learn(self, link: ChildLink, head: dict[str, Any]) -> None:
        link.is_ready = True
        found = {one.name: one for one in map(Described.from_json, head["workers"])}
        problems = tuple(map(str, head["problems"]))
        for problem in problems:
            if problem not in self.problems:
                self._on_line(f"[worker process {link.pid}] {problem}")
        self.problems = problems
        self._described.set()
        if any(self._known.get(name) != one for name, one in found.items()):
            self._known.update(found)
            if self._on_change is not None:
                self._on_change()

    def _finish(self, attempt: _Attempt, message: Message | Failure) -> None:
        if isinstance(message, Failure):
            message = Failed(attempt.assignment.step, attempt.assignment.attempt, message)
        self._forget(attempt)
        self._post(attempt, message)

    def _post(self, attempt: _Attempt, message: Message) -> None:
        assert self._mailbox is not None, "the channel is not started"
        if not attempt.is_revoked and not self._is_stopping:
            self._mailbox.post(attempt.assignment.execution_id, message)

    def _forget(self, attempt: _Attempt) -> None:
        self._attempts.pop(attempt.n, None)
        self._by_key.pop(attempt.key, None)
        if attempt.grace is not None:
            attempt.grace.cancel()
        link = attempt.link
        if link is None:
            return
        link.attempts.discard(attempt.n)
        link.idle_since = asyncio.get_running_loop().time()
        if link.is_alone:
            link.close(self._settings.stop_s)


def artifact_id(execution_id: str, step: str, attempt: int, name: str) -> str:
    """Return the id of an artifact: the same whenever the same attempt is asked, so that no chance is needed."""
    digest = sha256("\0".join((execution_id, step, str(attempt), name)).encode()).digest()
    number = int.from_bytes(digest[:17], "big")
    return "art_" + "".join(_LETTERS[number >> 5 * place & 31] for place in range(_ID_LETTERS))


def _completed(assignment: Assignment, head: dict[str, Any], raws: list[bytes]) -> Completed:
    step, number = assignment.step, assignment.attempt
    if "ref" in head:
        message = Completed(step, number, DataRef.from_json(head["ref"]))
    else:
        (encoded,) = raws
        message = completed_inline(step, number, encoded, None)
    message.summary, message.cost_usd_micros = head["summary"], head["cost"]
    message.artifacts = [
        Artifact(
            artifact_id(assignment.execution_id, step, number, item["name"]),
            item["name"], item["media_type"], DataRef.from_json(item["ref"]),
        )
        for item in head["artifacts"]
    ]  # fmt: skip
    return message


def _failure(head: dict[str, Any]) -> Failure:
    said = Failure.from_json(head["failure"])
    return Failure(
        said.code, said.message, said.type, said.retryable, said.stage_id, said.trace, head["after_us"]
    )  # fmt: skip


def _input_failure(step: str, error: Trouble | TooLarge | FrameTooLarge) -> Failure:
    if isinstance(error, Trouble):
        text = f"The inputs of stage '{step}' cannot be loaded: {error.detail}"
        return Failure(error.code, text, "transient", True, step)
    detail = error.detail if isinstance(error, TooLarge) else str(error)
    text = f"The inputs of stage '{step}' are too large: {detail}. Pass only the part that the handler needs, "
    return Failure("input_too_large", text + "or let the stage before write an artifact", stage_id=step)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
