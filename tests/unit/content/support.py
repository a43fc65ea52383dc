"""A context that keeps what it is given in a folder, and a web server whose answers a test writes down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stagewright.sdk import ArtifactRef
from stagewright.workers.content.http import Limits

QUICK = Limits(body_bytes=64 * 1024, connect_s=2.0, read_s=2.0, total_s=4.0, gap_s=0.0, retry_after_s=1.0)
HOLD_S = 10.0  # a held answer ends after this even if no test lets it go


class FolderContext:
    """A real `Context`: artifacts are files in a folder, progress is remembered."""

    execution_id = "exec_test"
    step = "step"
    attempt = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache_dir = folder / "cache"
        self.cancelled = False
        self.reports: list[tuple[float, str]] = []

    def progress(self, fraction: float, message: str = "") -> None:
        self.reports.append((fraction, message))

    async def artifact(self, name: str, content: bytes | str | Path, *, media_type: str) -> ArtifactRef:
        stored = _stored(content)
        (self.folder / name).write_bytes(stored)
        checksum = f"sha256:{sha256(stored).hexdigest()}"
        return {"name": name, "media_type": media_type, "size_bytes": len(stored), "checksum": checksum}


def _stored(content: bytes | str | Path) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one request; `hold` keeps the connection open after the body was sent."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the server saw; header names in lower case, times of the monotonic clock."""

    path: str
    headers: Mapping[str, str]
    started: float
    ended: float


class Site:
    """A web server on a local port; `answers` maps paths to what is said there."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[Mapping[str, str]], Answer]] = {}
        self.requests: list[Request] = []
        self.released = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.reply(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        started = time.monotonic()
        headers = {name.lower(): value for name, value in handler.headers.items()}
        found = self.answers.get(handler.path, Answer(status=404))
        answer = found(headers) if callable(found) else found
        try:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            if not answer.hold:
                handler.send_header("Content-Length", str(len(answer.body)))
            # Noted before the reader can have the whole answer, so that a test that looks afterwards sees it.
            self.requests.append(Request(handler.path, headers, started, time.monotonic()))
            handler.end_headers()
            handler.wfile.write(answer.body)
            handler.wfile.flush()
            if answer.hold:
                self.released.wait(HOLD_S)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reader left, which is what some tests are about

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(HOLD_S)


def rss(title: str, *items: tuple[str, str]) -> bytes:
    """Return a small RSS feed; each item is a title and a text."""
    entries = "".join(
        f"<item><title>{name}</title><link>https://news.example/{n}</link><guid>{title}-{n}</guid>"
        f"<pubDate>Mon, {n + 1:02d} Jun 2026 08:00:00 GMT</pubDate><description>{text}</description></item>"
        for n, (name, text) in enumerate(items)
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>{title}</title>{entries}</channel></rss>'.encode()
