"""A mailbox that a test can wait on, and a channel with real children."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from stagewright.app.child import COMMAND
from stagewright.channels.process import ProcessChannel, ProcessSettings
from stagewright.channels.sources import WorkerSource
from stagewright.model.data import DataRef
from stagewright.model.errors import DataLost
from stagewright.model.message import Completed, Failed, Lost, Message, Progress
from stagewright.objects.files import FileObjects
from stagewright.ports.channel import Assignment

WAIT_S = 20.0
MODULE = "tests.unit.channels.sample_workers"
SAMPLES = WorkerSource(MODULE, manifest="manifest")
SETTINGS = ProcessSettings(cancel_grace_s=0.3, stop_s=0.5)
SILENCE_US = 60_000_000
M = TypeVar("M")


class Box:
    """Keeps what is posted; `until` waits for it."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self._news = asyncio.Event()

    def post(self, execution_id: str, message: Message) -> None:
        self.messages.append((execution_id, message))
        self._news.set()

    async def until(self, condition: Callable[[], M]) -> M:
        async with asyncio.timeout(WAIT_S):
            while not (found := condition()):
                self._news.clear()
                await self._news.wait()
        return found

    async def ending(self, step: str, attempt: int = 1) -> Completed | Failed | Lost:
        await self.until(lambda: self.endings(step, attempt))
        return self.endings(step, attempt)[0]

    def endings(self, step: str, attempt: int = 1) -> list[Completed | Failed | Lost]:
        return [
            m
            for _, m in self.messages
            if isinstance(m, Completed | Failed | Lost) and (m.step, m.attempt) == (step, attempt)
        ]

    async def pid_said_by(self, step: str) -> int:
        """Wait for the progress report in which a sample handler says its process."""
        said = await self.until(lambda: [m for m in self.progress(step) if m.message.startswith("pid ")])
        return int(said[0].message.removeprefix("pid "))

    def progress(self, step: str) -> list[Progress]:
        return [m for _, m in self.messages if isinstance(m, Progress) and m.step == step]


class Bench:
    """A started channel on a folder; `kv` holds what the database would."""

    def __init__(self, folder: Path, settings: ProcessSettings, sources: list[WorkerSource]) -> None:
        self.folder, self.box, self.kv, self.lines = folder, Box(), dict[str, bytes](), list[str]()
        self.objects = FileObjects(folder / "objects")
        self.changes = 0
        self.channel = ProcessChannel(
            sources,
            self._load,
            command=COMMAND,
            objects=folder / "objects",
            cache=folder / "cache",
            settings=settings,
            on_line=self.lines.append,
            on_change=self._changed,
        )

    async def _load(self, ref: DataRef) -> bytes:
        if ref.storage_key not in self.kv:
            raise DataLost(f"The value {ref.storage_key} is not in the database any more")
        return self.kv[ref.storage_key]

    def _changed(self) -> None:
        self.changes += 1

    def give(self, step: str, worker: str, action: str | None, inputs: Any = None, **more: Any) -> None:
        given = Assignment("exec_1", step, 1, worker, action, inputs or {}, 60_000_000, SILENCE_US)
        self.channel.dispatch(replace(given, **more))

    async def run(self, worker: str, action: str | None, inputs: Any = None, **more: Any) -> Completed | Failed | Lost:
        step = action or "default"
        self.give(step, worker, action, inputs, **more)
        return await self.box.ending(step)


def is_alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while is_alive(pid):  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)
