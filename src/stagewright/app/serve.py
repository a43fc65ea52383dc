"""A node with its front door: starts the runtime, serves HTTP, ends in order on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from typing import TextIO

import uvicorn

from stagewright.app.lock import NAME, FolderInUse, read_holder, serving_url
from stagewright.app.runtime import Runtime
from stagewright.app.settings import Settings
from stagewright.model.errors import Misconfigured, Problem
from stagewright.observe.log import start_log
from stagewright.server.build import build_app
from stagewright.server.wire import BoundedHttp

BACKLOG = 2_048
KEEP_ALIVE_TIMEOUT_S = 75
SILENT_CLIENT_MS = 120_000
REQUESTS_GRACE_S = 1
"""Time for requests that are being answered when the stop comes; then they are cut."""
STOP_TIMEOUT_S = 3.5


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, which ends with 0 where uvicorn would end by the signal; tells when it has begun."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self.began.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


class Door:
    """The HTTP side of a running node: takes requests on a socket until it is closed."""

    def __init__(self, runtime: Runtime, listener: socket.socket) -> None:
        self._front = build_app(runtime.service, runtime.chance, runtime.settings.data)
        self._listener = listener
        self._server = _Server(_config(self._front))
        self._serving: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._front.streams.open

    async def open(self) -> asyncio.Task[None]:
        """Begin to take requests; the returned task ends when the door is closed or has failed."""
        self._serving = asyncio.create_task(self._server.serve([self._listener]), name="http")
        began = asyncio.create_task(self._server.began.wait(), name="http-began")
        await asyncio.wait((self._serving, began), return_when=asyncio.FIRST_COMPLETED)
        began.cancel()
        return self._serving

    async def close(self) -> None:
        """End all streams, let requests that are being answered finish for a second, close; idempotent."""
        self._front.streams.close()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


async def serve(settings: Settings, *, verbose: bool = False, out: TextIO | None = None) -> int:
    """Serve until SIGTERM, SIGINT or a fatal error of the engine; returns the exit code.

    Prints `stagewright ready at URL` on `out` (stdout) when requests are answered. Port 0 takes any free one.
    `FolderInUse` and `Misconfigured` are raised before anything is served.
    """
    log = start_log(sys.stderr, verbose=verbose)
    logging.getLogger("uvicorn.error").addFilter(_is_worth_telling)
    listener = listen(settings)
    stop = asyncio.Event()
    fatal: list[BaseException] = []

    def on_fatal(error: BaseException) -> None:
        fatal.append(error)
        stop.set()

    try:
        runtime = Runtime(settings, on_fatal)
        await runtime.start(url_of(listener))
        unwatch = runtime.engine.feed.watch(None, log.on_events)
        try:
            await _serve_until(stop, Door(runtime, listener), url_of(listener), out or sys.stdout)
        finally:
            unwatch()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(runtime.stop(), STOP_TIMEOUT_S)
    finally:
        listener.close()
        log.close()
    if fatal:
        print(f"stagewright stopped: {type(fatal[0]).__name__}: {fatal[0]}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _serve_until(stop: asyncio.Event, door: Door, url: str, out: TextIO) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        serving = await door.open()
        gc.freeze()  # what a server is made of lives as long as it does
        print(f"stagewright ready at {url}", file=out, flush=True)
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await door.close()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Leave out what the library says of every WebSocket that is refused with a problem."""
    return "without completing handshake" not in record.getMessage()


def _config(front: object) -> uvicorn.Config:
    return uvicorn.Config(
        front,  # type: ignore[arg-type]
        http=BoundedHttp,
        ws="websockets-sansio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
        timeout_graceful_shutdown=REQUESTS_GRACE_S,
    )


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens; `FolderInUse` if the server of this folder has it, else `Misconfigured`."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a client that takes nothing does not hold its socket for ever
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_CLIENT_MS)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if serving_url(settings.data) is not None:
            raise FolderInUse(settings.data, read_holder(settings.data / NAME) or {}) from None
        text = f"Cannot listen on {host}:{port}: {error.strerror}. Use another port, or 0 for any free one"
        raise Misconfigured(text, [Problem(text, "port")]) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where a listener can be reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
