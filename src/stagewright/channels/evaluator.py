"""Evaluates expressions in child processes, off the engine's loop; `ports.evaluator.Evaluator`.

Children are started at first use and stay. Each question has one child for itself; a child that is over its time is
killed, and one that is over its memory ends by itself. What it was at is then refused, and all after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from stagewright.channels.child_link import ChildLink
from stagewright.channels.frames import FRAME_BYTES_MAX, RAWS_MAX, FrameTooLarge
from stagewright.model.errors import Trouble
from stagewright.ports.evaluator import Answer, Question

VALUES_BYTES_MAX = 8 * 1024 * 1024  # of one question
SHOWN_CHARACTERS = 80  # of an expression in the refusal of another
PARTED_DEPTH = 3  # stages, a stage, its output
STOP_S = 1.0  # for killed processes to be gone
_MOVE = "move the work into a worker, or hand it less."


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """Bounds of the processes that evaluate expressions which may be much work."""

    processes_max: int = 2
    timeout_s: float = 5.0  # for the expressions in the inputs of one step
    start_s: float = 30.0  # from the start of a process until it listens
    memory_bytes_max: int = 1024**3  # of the address space of a process, where the system bounds it
    result_bytes_max: int = 1024 * 1024  # of what the expressions in the inputs of one step make

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if not value > 0:
                raise ValueError(f"{bound.name} must be more than 0: {value}")
        if self.result_bytes_max > FRAME_BYTES_MAX:
            raise ValueError(f"result_bytes_max must be at most {FRAME_BYTES_MAX}: {self.result_bytes_max}")


@dataclass(slots=True, eq=False)
class _Asked:
    """One question while a child has it."""

    sources: tuple[str, ...]
    answers: dict[str, Answer] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    ending: str | None = None  # of the process, in words


class ProcessEvaluator:
    """Evaluates in at most so many child processes; further questions wait. `command` starts one."""

    def __init__(
        self, *, command: Sequence[str], settings: EvaluatorSettings, on_line: Callable[[str], None] | None = None
    ) -> None:
        self._command, self._settings = tuple(command), settings
        self._on_line = on_line or _to_stderr
        self._free = asyncio.Semaphore(settings.processes_max)
        self._idle: list[ChildLink] = []
        self._links: set[ChildLink] = set()
        self._ready: dict[ChildLink, asyncio.Event] = {}
        self._asked: dict[ChildLink, _Asked] = {}
        self.started = 0
        """How many processes were started since the beginning."""

    async def evaluate(self, question: Question) -> Mapping[str, Answer]:
        """See the port."""
        try:
            head, raws = _message(question)
        except (FrameTooLarge, ValueError):
            return _refused(question.sources, {}, f"The values that it names are too large; {_MOVE}")
        async with self._free:
            link = self._idle.pop() if self._idle else self._open()
            try:
                await self._wait_ready(link)
                return await self._ask(link, question, head, raws)
            finally:
                self._put_back(link, self._asked.pop(link, None))

    async def stop(self) -> None:
        """See the port."""
        links = tuple(self._links)
        for link in links:
            link.kill("the server stops")
        waits = [asyncio.ensure_future(link.ended.wait()) for link in links]
        if waits:
            _, pending = await asyncio.wait(waits, timeout=STOP_S)
            for each in pending:
                each.cancel()

    async def _ask(
        self, link: ChildLink, question: Question, head: dict[str, Any], raws: list[bytes]
    ) -> Mapping[str, Answer]:
        asked = self._asked[link] = _Asked(question.sources)
        try:
            link.send(head, raws)
        except FrameTooLarge:
            asked.done.set()  # of which it has heard nothing
            return _refused(question.sources, {}, f"A value that it names is too large; {_MOVE}")
        timeout_s = self._settings.timeout_s
        try:
            await asyncio.wait_for(asked.done.wait(), timeout_s)
        except TimeoutError:
            link.kill("evaluates an expression for too long")
            return _refused(asked.sources, asked.answers, f"It takes more than {timeout_s:g} s; {_MOVE}")
        if asked.ending is None:
            return _refused(asked.sources, asked.answers, "It was not answered.")
        megabytes = self._settings.memory_bytes_max // 2**20
        reason = (
            f"The process that evaluated it {asked.ending}; it may need more than {megabytes} MiB of memory: {_MOVE}"
        )
        return _refused(asked.sources, asked.answers, reason)

    def _open(self) -> ChildLink:
        settings = self._settings
        hello = {
            "t": "hello", "pid": os.getpid(), "path": sys.path, "memory_bytes_max": settings.memory_bytes_max,
            "result_bytes_max": settings.result_bytes_max, "timeout_s": settings.timeout_s,
        }  # fmt: skip
        link = ChildLink(self._command, hello, self)
        self._links.add(link)
        self._ready[link] = asyncio.Event()
        self.started += 1
        link.start()
        return link

    async def _wait_ready(self, link: ChildLink) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready[link].wait(), self._settings.start_s)
        if not link.is_ready:
            link.kill("did not start in time")
            raise Trouble(f"The process that evaluates expressions could not be started: {link.reason}")

    def _put_back(self, link: ChildLink, asked: _Asked | None) -> None:
        """Keep a child that waits for work; end one that is still at it because nobody waits any more."""
        if link not in self._links or link.is_closing:
            return
        if asked is not None and asked.done.is_set():
            self._idle.append(link)
        else:
            link.kill("nobody waits for the expression any more")

    # --- what children say ------------------------------------------------------------------------------------

    def on_message(self, link: ChildLink, head: dict[str, Any], raws: list[bytes]) -> None:
        """Take a message of a child."""
        if head["t"] == "ready":
            link.is_ready = True
            self._ready[link].set()
            return
        asked = self._asked.get(link)
        if asked is None:
            return
        if head["t"] == "done":
            asked.done.set()
            return
        source = asked.sources[head["n"]]
        if head["t"] == "value":
            asked.answers[source] = Answer(orjson.loads(raws[0]))
        elif head["t"] == "refused":
            asked.answers[source] = Answer(None, head["reason"], head["is_vague"])

    def on_end(self, link: ChildLink, reason: str, *, is_start_failure: bool) -> None:
        """Forget a child that has ended; whoever waits for it hears why."""
        self._links.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        link.reason = reason
        ready = self._ready.pop(link, None)
        if not link.is_ready and ready is not None:
            ready.set()
        asked = self._asked.get(link)
        if asked is not None:
            asked.ending = asked.ending or reason
            asked.done.set()

    def on_line(self, text: str) -> None:
        """Pass on what a child prints."""
        self._on_line(text)


def _message(question: Question) -> tuple[dict[str, Any], list[bytes]]:
    """Return the question as a head and plain frames; ValueError if it is too large."""
    paths: list[list[str]] = []
    raws: list[bytes] = []
    left = VALUES_BYTES_MAX
    for path, value in _values(question.context, ()):
        raw = orjson.dumps(value)
        left -= len(raw)
        if left < 0 or len(raws) >= RAWS_MAX:
            raise ValueError("too large")
        paths.append(list(path))
        raws.append(raw)
    return {"t": "evaluate", "sources": question.sources, "paths": paths}, raws


def _values(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Cut a context into the values that were loaded each by itself, so that each fits into a frame."""
    if len(path) < PARTED_DEPTH and isinstance(value, Mapping) and value and (not path or path[0] == "stages"):
        for key, each in value.items():
            yield from _values(each, (*path, key))
        return
    yield path, value


def _refused(sources: Sequence[str], answers: Mapping[str, Answer], reason: str) -> Mapping[str, Answer]:
    """Add a refusal for each source without an answer: the first was being evaluated, the others hear of it."""
    all_answers = dict(answers)
    culprit: str | None = None
    for source in sources:
        if source in all_answers:
            continue
        if culprit is None:
            culprit, text = source, reason
        else:
            text = f"It was not evaluated because of {culprit[:SHOWN_CHARACTERS]}: {reason}"
        all_answers[source] = Answer(None, text)
    return all_answers


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)
