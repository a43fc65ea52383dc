"""The real server as a process: start it, talk to it, kill it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

START_S = 30.0


class ServerProcess:
    """`stagewright up` on a folder, with the worker of this test."""

    def __init__(self, data: Path, notes: Path) -> None:
        self.data = data
        self.notes = notes
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait for the ready line; fails with what the process said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STAGEWRIGHT_")}
        environment["NOTES"] = str(self.notes)
        environment["STAGEWRIGHT_WORKERS__MODULES"] = '["tests.kill.noting_worker"]'
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "stagewright.cli.main", "up", "--port", "0", "--data", str(self.data),
            env=environment, stdout=subprocess.PIPE, stderr=None,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), START_S)).decode()
        assert line.startswith("stagewright ready at "), f"expected the ready line, found {line!r}"
        self.url = line.split()[-1]

    async def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, as an operator would; returns its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), 10)


def doctor(data: Path) -> subprocess.CompletedProcess[str]:
    """Check every invariant on the folder."""
    return subprocess.run(
        [sys.executable, "-m", "stagewright.cli.main", "doctor", "--data", str(data)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
