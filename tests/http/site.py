"""A real server on a real socket, in a thread of the test process, and the ways to talk to it."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import orjson
import uvloop

from stagewright.app.runtime import Runtime
from stagewright.app.serve import Door, listen, url_of
from stagewright.app.settings import load_settings

WAIT_S = 20.0
T = TypeVar("T")


class Site:
    """A node with its front door, run by a loop of its own."""

    def __init__(self, data: Path) -> None:
        self._settings = load_settings({}, {"data": data, "port": 0})
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="site", daemon=True)
        self.fatal: list[BaseException] = []

    def start(self) -> None:
        """Serve."""
        self._switch_interval_s = sys.getswitchinterval()
        self._thread.start()
        self.call(self._open())

    def stop(self) -> None:
        """End, and see that nothing fatal has happened."""
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        sys.setswitchinterval(self._switch_interval_s)
        assert not self.fatal, self.fatal

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)

    async def _open(self) -> None:
        listener = listen(self._settings)
        self.url = url_of(listener)
        self.host, self.port = listener.getsockname()[:2]
        self.runtime = Runtime(self._settings, self.fatal.append)
        await self.runtime.start(self.url)
        self.door = Door(self.runtime, listener)
        await self.door.open()

    async def _close(self) -> None:
        await self.door.close()
        await self.runtime.stop()


class Api(httpx2.Client):
    """An HTTP client that knows the usual ways of a test."""

    def submit(self, pipeline: dict[str, Any], **body: Any) -> str:
        """Submit an inline document; return the execution id."""
        answer = self.post("/execute", json={"pipeline": pipeline, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["execution_id"])

    def finished(self, execution_id: str) -> dict[str, Any]:
        """Wait for the end of an execution; return it."""
        return until(lambda: _final(self.get(f"/api/executions/{execution_id}").json()))

    def problem(self, method: str, path: str, status: int, code: str, **request: Any) -> dict[str, Any]:
        """Make a call that must be refused; return the whole problem."""
        answer = self.request(method, path, **request)
        return check_problem(answer, status, code)


def check_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """See that an answer is a problem document that says something."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/problems/{code}")
    assert body["title"] and body["detail"] and len(body["trace_id"]) == 32
    assert all(item["detail"] and item["pointer"].startswith("#") for item in body["errors"])
    assert "Traceback" not in answer.text
    return body


def until(condition: Callable[[], T | None]) -> T:
    """Wait until a condition gives something."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"not within {WAIT_S} s: {condition}")


def frames(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read SSE as a browser does: the id and the data of each frame that has no `event:` line."""
    frame: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line and frame:
            assert set(frame) == {"id", "data"}, frame
            yield frame["id"], orjson.loads(frame["data"])
            frame = {}
        elif line:
            name, _, value = line.partition(": ")
            frame[name] = value


def raw_call(site: Site, *parts: bytes, reads: bool = True) -> bytes:
    """Send bytes as they are; return all that comes until the server closes."""
    with socket.create_connection((site.host, site.port), WAIT_S) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        got = b""
        while reads:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                break
            if not chunk:
                break
            got += chunk
        return got


def echo(name: str = "one", **inputs: Any) -> dict[str, Any]:
    """Return a document of one stage that gives its inputs back."""
    return {"name": name, "stages": [{"id": "say", "worker": "probe", "inputs": inputs or {"word": "hello"}}]}


def sleeper(name: str = "sleeper") -> dict[str, Any]:
    """Return a document that is open for an hour."""
    return {"name": name, "stages": [{"id": "nap", "sleep": "1h"}]}


def _final(execution: dict[str, Any]) -> dict[str, Any] | None:
    return execution if execution["status"] in ("completed", "failed", "cancelled") else None
