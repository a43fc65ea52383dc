"""Progress as it happens: one frame an event over SSE or WebSocket, resumed by number, never holding up the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, Literal
from urllib.parse import parse_qs

import orjson

from stagewright.engine.service import Service
from stagewright.model.errors import Malformed, StagewrightError, Stalled
from stagewright.model.execution import FINAL_STATUSES
from stagewright.server.body import Receive, Scope, Send
from stagewright.server.problem import UnknownPath
from stagewright.server.tracker import Tracker

STREAMS_MAX = 1_000
KEEP_ALIVE_S = 15.0
SEND_TIMEOUT_S = 60.0
"""A client that takes nothing for so long is left; it resumes by number."""

Telling = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Tells an event in other words, or None to leave it out; its number stays."""

Ending = Literal["final", "gone", "closing", "cut"]

_NORMAL, _RESTART = 1000, 1012
_KEEP_ALIVE = b": keep-alive\n\n"


class Streams:
    """All open streams of a server; `close` ends them, so that clients come back to another process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._closing = asyncio.Event()
        self._open = 0

    @property
    def open(self) -> int:
        """How many streams there are."""
        return self._open

    @property
    def is_closing(self) -> bool:
        """True once the server stops."""
        return self._closing.is_set()

    def close(self) -> None:
        """End all streams soon, and refuse new ones."""
        self._closing.set()

    async def events(
        self, execution_id: str, scope: Scope, receive: Receive, send: Send, tell: Telling | None = None
    ) -> None:
        """Stream the events of an execution as SSE; 204 if the final one has been seen."""
        after = _after(scope)
        with self._place():
            status, last = await self._service.views.status(execution_id)
            if status in FINAL_STATUSES and after >= last:
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
            ending = await self._pump(execution_id, after, receive, _SseEnd(send), tell)
            if ending != "cut":  # a cut stream is left incomplete: its client comes back, or never took it
                await send({"type": "http.response.body", "body": b""})

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the same events as text messages; closes with 1000 after the final one."""
        path = scope["path"]
        execution_id = path.removeprefix("/progress/")
        await receive()  # websocket.connect
        if not path.startswith("/progress/") or "/" in execution_id:
            raise UnknownPath(f"There is no WebSocket at {path}: there is one at /progress/{{execution_id}}")
        after = _after(scope)
        with self._place():
            await self._service.views.status(execution_id)
            await send({"type": "websocket.accept"})
            ending = await self._pump(execution_id, after, receive, _SocketEnd(send))
            if ending in ("final", "closing"):
                await send({"type": "websocket.close", "code": _NORMAL if ending == "final" else _RESTART})

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._closing.is_set() or self._open >= STREAMS_MAX:
            raise Stalled(f"No more than {STREAMS_MAX} streams are served at once: try again", retry_after_s=5)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _pump(
        self, execution_id: str, after: int, receive: Receive, end: _SseEnd | _SocketEnd, tell: Telling | None = None
    ) -> Ending:
        """Send events until the final one, or the client leaves, or the server stops, or something fails."""
        loop = asyncio.get_running_loop()
        gone = loop.create_task(_disconnected(receive), name="stream-client")
        closing = loop.create_task(self._closing.wait(), name="stream-closing")
        try:
            async with contextlib.aclosing(self._frames(execution_id, after, tell)) as frames:
                while True:
                    following = loop.create_task(_following(frames), name="stream-events")
                    try:
                        await _first_of(following, gone, closing, end)
                    finally:
                        following.cancel()
                        await asyncio.wait((following,))
                    if gone.done() or closing.done():
                        return "gone" if gone.done() else "closing"
                    events = following.result()
                    if events is None:
                        return "final"
                    await asyncio.wait_for(end.send(events), SEND_TIMEOUT_S)
        except (TimeoutError, StagewrightError):
            return "cut"
        except OSError:
            return "gone"  # so the protocol below says that nobody is there any more
        finally:
            gone.cancel()
            closing.cancel()
            await asyncio.wait((gone, closing))

    async def _frames(
        self, execution_id: str, after: int, tell: Telling | None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Yield events with what they make of the execution; the ones before `after` are only counted."""
        tracker = Tracker(execution_id)
        views = self._service.views
        begin = min(after, (await views.status(execution_id))[1])
        async for kind, step, stages in views.told(execution_id, begin):
            tracker.note(kind, step, stages)
        async with contextlib.aclosing(self._service.watch(execution_id, begin)) as pages:
            async for events in pages:
                told = [tracker.tell(event) for event in events]
                fresh = [one for one in told if one["seq"] > after]
                if tell is not None:
                    fresh = [other for one in fresh if (other := tell(one)) is not None]
                if fresh:
                    yield fresh


class _SseEnd:
    """Writes frames of `text/event-stream`, without an `event:` line, so that `onmessage` gets them."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, events: list[dict[str, Any]]) -> None:
        frames = [b"id: %d\ndata: %b\n\n" % (event["seq"], orjson.dumps(event)) for event in events]
        await self._send({"type": "http.response.body", "body": b"".join(frames), "more_body": True})

    async def keep_alive(self) -> None:
        await self._send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})


class _SocketEnd:
    """Writes one text message an event; the protocol below sends its own pings."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await self._send({"type": "websocket.send", "text": orjson.dumps(event).decode()})

    async def keep_alive(self) -> None:
        return


_SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy must not hold frames back
]


async def _first_of(
    following: asyncio.Task[Any], gone: asyncio.Task[None], closing: asyncio.Task[Any], end: _SseEnd | _SocketEnd
) -> None:
    """Wait for what comes first; say now and then that the stream lives."""
    waited = (following, gone, closing)
    while not (await asyncio.wait(waited, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED))[0]:
        await asyncio.wait_for(end.keep_alive(), SEND_TIMEOUT_S)


async def _following(frames: AsyncIterator[list[dict[str, Any]]]) -> list[dict[str, Any]] | None:
    return await anext(frames, None)


async def _disconnected(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            return


def _after(scope: Scope) -> int:
    """Return the number after which to go on: `Last-Event-ID`, else `?after=`, else 0."""
    text = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[-1]
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value:
            text = value.decode("latin-1")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Malformed(f"Expected the number of an event in Last-Event-ID or ?after=, found: {text[:60]!r}")
    return int(text)
