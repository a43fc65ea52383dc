"""The HTTP protocol below the application: bounded connections, idle time and heads; problems for bad bytes."""

from __future__ import annotations

import asyncio

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stagewright.model.errors import Malformed, Stalled
from stagewright.server.problem import MEDIA_TYPE, problem_of

CONNECTIONS_MAX = 2_000
HEAD_BYTES_MAX = 64 * 1024
_NO_TRACE = "0" * 32


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with bounds; what cannot be read as HTTP is answered with a problem."""

    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many; one that sends nothing is closed like an idle one."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            text = f"No more than {CONNECTIONS_MAX} connections are served at once: try again"
            self._end(Stalled(text, retry_after_s=1), "503 Service Unavailable")
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """Begin to count the head of a request."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:
        """Say that the bytes are no request, and close."""
        self._end(Malformed(f"{msg.strip()} (or its head has more than {HEAD_BYTES_MAX} bytes)"), "400 Bad Request")

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head is too large")  # the parser turns it into its own error

    def _end(self, error: Malformed | Stalled, status: str) -> None:
        content = orjson.dumps(problem_of(error, _NO_TRACE))
        lines = [f"HTTP/1.1 {status}", f"content-type: {MEDIA_TYPE}", f"content-length: {len(content)}"]
        if error.retry_after_s is not None:
            lines.append(f"retry-after: {error.retry_after_s:g}")
        lines += ["connection: close", "", ""]
        self.transport.write("\r\n".join(lines).encode() + content)
        self.transport.close()
