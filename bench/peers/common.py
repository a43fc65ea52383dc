"""What the scripts of the peers share: load, latencies, processes. Standard library only, as each runs in its own
environment.

A script prints one JSON object: figures by the names of `stagewright bench`, `chains.stages_per_s` for instance.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

STAGES = 10
WARM = 20
SUBMITTERS = 32
WAIT_S = 60.0
FAN_TIMEOUT_S = 150.0
IDLE_S = 10.0

os.environ.setdefault("DO_NOT_TRACK", "1")


def payload(number: int) -> dict[str, Any]:
    """Return what a stage gives back, 100 bytes as JSON."""
    return {"ok": True, "stage": number, "tokens": 128, "text": "x" * 56}


def options(**more: str) -> argparse.Namespace:
    """Read the options that all scripts have, and `more` with their defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True, help="scratch folder")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    for name, default in more.items():
        parser.add_argument(f"--{name}", default=default)
    return parser.parse_args()


def fresh(home: Path, name: str) -> Path:
    """Return an empty folder on the disk of the scratch folder."""
    folder = home / "data" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tell(figures: dict[str, float | str]) -> None:
    """Print the figures."""
    print(json.dumps(figures), flush=True)


async def gather(number: int, at_once: int, make: Callable[[int], Coroutine[Any, Any, Any]]) -> float:
    """Await `number` of what `make` makes of its number, `at_once` at a time; returns the seconds it took."""
    numbers = iter(range(number))

    async def go() -> None:
        for one in numbers:
            await make(one)

    begin = time.perf_counter()
    await asyncio.gather(*(go() for _ in range(min(at_once, number))))
    return time.perf_counter() - begin


async def stage_p50_ms(number: int, make: Callable[[int], Awaitable[Any]]) -> float:
    """Return the median milliseconds a stage of `number` chains, one at a time."""
    took = []
    for one in range(number + WARM):
        begin = time.perf_counter()
        await make(one)
        took.append(time.perf_counter() - begin)
    return sorted(took[WARM:])[number // 2] * 1e3 / STAGES


async def seconds_or_why(awaitable: Awaitable[Any]) -> float | str:
    """Time something that may not end: says so instead of a number."""
    begin = time.perf_counter()
    try:
        await asyncio.wait_for(awaitable, FAN_TIMEOUT_S)
    except TimeoutError:
        return f"not in {FAN_TIMEOUT_S:g} s"
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"[:200]
    return time.perf_counter() - begin


def spawn(command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, its output in a file."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, start_new_session=True
        )


def end(process: subprocess.Popen[bytes] | None) -> None:
    """End a process that `spawn` started, and its group; idempotent."""
    if process is None:
        return
    for number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return


def rss_mb(processes: list[subprocess.Popen[bytes]]) -> float:
    """Return the memory of the process groups, in MB of 1,048,576 bytes."""
    groups = {process.pid for process in processes}
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return sum(int(rss) for group, rss in rows if int(group) in groups) / 1024


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.005)
    raise TimeoutError(f"nobody listens on port {port}")


def wait_for_url(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a URL answers with less than 500."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
            if answer.status < 500:
                return
        time.sleep(0.005)
    raise TimeoutError(f"{url} does not answer")


def refuse_busy_ports(*ports: int) -> None:
    """Do not measure beside a process of somebody else."""
    for port in ports:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.3):
            raise SystemExit(f"port {port} is in use: end what listens there and start again")


class Http:
    """A keep-alive HTTP/1.1 connection on asyncio streams that costs little; answers must have a length."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON and return that of the answer; `RuntimeError` if it is no success."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        reader, writer = self._streams
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
        answer = await reader.readexactly(length)
        if not lines[0].split()[1].startswith("2"):
            raise RuntimeError(f"{lines[0]} {answer[:200]!r}")
        return json.loads(answer)
