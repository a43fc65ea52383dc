"""A server of our own as a user starts it, and an HTTP client for what the bench asks of it."""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from stagewright.cli.bench_place import NotMeasurable, Place

READY = "stagewright ready at "
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
CALL_TIMEOUT_S = 60.0
LOG_CHARACTERS = 2_000
BATCH = 500
"""Executions in one call when chains are submitted from outside."""

COMMAND = (sys.executable, "-c", "from stagewright.cli.main import main; main()", "up", "--port", "0")


class Server:
    """`stagewright up` in a process of its own, from its start to its end; one after another on the same data."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self._settings, self._log = settings, log
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def data(self) -> Path:
        """The folder it serves."""
        return Path(self._settings["data"])

    @property
    def database(self) -> Path:
        """The file of its database."""
        named = self._settings.get("database")
        return self.data / "stagewright.db" if named is None else Path(named.removeprefix("sqlite:///"))

    def start(self) -> float:
        """Start it and wait for its ready line; returns the seconds that took. `NotMeasurable` if it does not come."""
        arguments = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        begin = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
            )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self._process, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=max(0.0, begin + READY_TIMEOUT_S - time.perf_counter()))
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                raise NotMeasurable(f"`stagewright up` did not become ready:\n{self._tail()}")
            if line.startswith(READY):
                self.url = line.removeprefix(READY).strip()
                return time.perf_counter() - begin

    def kill(self) -> None:
        """End it and its children as `kill -9` does, by their ids."""
        if self._process is not None:
            for pid in (self._process.pid, *_tree(self._process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def stop(self) -> None:
        """Ask it to end, and see that it does; idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def rss_mb(self) -> float:
        """Return the memory of the server and all its children, in MB of 1,048,576 bytes."""
        assert self._process is not None, "the server runs"
        sizes = _tree(self._process.pid)
        return sum(sizes.values()) / 1024

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-LOG_CHARACTERS:]

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)


class Client:
    """One connection to a server, kept open; for one thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=CALL_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of an answer; `AssertionError` if it is no success."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """Send JSON and return that of the answer; `AssertionError` if it is no success."""
        return self._call("POST", path, orjson.dumps(body))

    def submit(self, pipeline: str, number: int) -> list[str]:
        """Submit `number` executions in batches; returns their ids after they are durable."""
        ids: list[str] = []
        while len(ids) < number:
            bodies = [{"template_name": pipeline}] * min(BATCH, number - len(ids))
            answer = self.post("/execute/batch", {"executions": bodies})
            ids += [item["execution_id"] for item in answer["items"]]
        return ids

    def wait(self, execution_id: str, pause_s: float = 0.001) -> None:
        """Ask until an execution has ended; `AssertionError` if it has not completed."""
        until = time.monotonic() + CALL_TIMEOUT_S
        while (status := self.get(f"/api/executions/{execution_id}")["status"]) in ("pending", "running"):
            assert time.monotonic() < until, f"{execution_id} is {status} after {CALL_TIMEOUT_S:g} s"
            time.sleep(pause_s)
        assert status == "completed", f"expected completed, found {status}: {execution_id}"

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {} if body is None else {"content-type": "application/json"}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status < 300, f"{method} {path}: {response.status} {content[:LOG_CHARACTERS]!r}"
        return orjson.loads(content)


@contextmanager
def open_server(place: Place, name: str) -> Iterator[Server]:
    """Give a server on fresh data, not started; it is gone at the end."""
    server = Server(place.settings(name), place.folder / f"{name}.log")
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def open_client(server: Server, pipelines: Sequence[dict[str, Any]] = ()) -> Iterator[Client]:
    """Connect to a server that is ready, and register pipelines there."""
    client = Client(server.url)
    try:
        for document in pipelines:
            client.post("/api/pipelines", document)
        yield client
    finally:
        client.close()


def _environment() -> dict[str, str]:
    """Leave out what somebody has set for a server of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STAGEWRIGHT_")}


def _tree(root: int) -> dict[int, int]:
    """Return the resident KiB by id of a process and all that came from it."""
    text = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True, timeout=CALL_TIMEOUT_S
    ).stdout
    rows = [tuple(map(int, line.split())) for line in text.splitlines()]
    found = {pid: rss for pid, _, rss in rows if pid == root}
    grew = True
    while grew:
        more = {pid: rss for pid, parent, rss in rows if parent in found and pid not in found}
        found |= more
        grew = bool(more)
    return found
