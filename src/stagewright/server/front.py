"""The ASGI application: hot routes first, streams, then everything else; every exception ends in one place."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from stagewright.engine.service import Service
from stagewright.model.errors import Stalled
from stagewright.ports.clock import Chance
from stagewright.server.body import Receive, Scope, Send, Vanished, key_of, read_body
from stagewright.server.door_shapes import run_events
from stagewright.server.hot import HotRoutes
from stagewright.server.problem import problem_response
from stagewright.server.replies import Replies
from stagewright.server.streams import Streams

App = Callable[[Scope, Receive, Send], Awaitable[None]]

EXECUTIONS, PROGRESS = "/api/executions/", "/progress/"
_STREAM_OF_RUN = re.compile(r"/runs/([^/]+)/stream")
SUBMISSIONS = ("/execute", "/execute/batch")
STOP_RETRY_AFTER_S = 2.0
_STOPS = (
    "The server stops, and it is not known whether this was made durable: send it again with the same request id or key"
)
_MUTATIONS = ("POST", "PUT", "PATCH", "DELETE")


class _Broken(Exception):
    """An answer failed after it had begun."""


class Front:
    """Dispatches requests; `routes` answers what is neither hot nor a stream."""

    def __init__(self, service: Service, chance: Chance, routes: App) -> None:
        self._service, self._chance, self._routes = service, chance, routes
        self._replies = Replies(service.engine)
        self._hot = HotRoutes(service, self._replies, chance)
        self.streams = Streams(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "websocket":
            await self._answer_socket(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        try:
            if method == "POST" and path == "/execute":
                await self._hot.execute(scope, receive, send)
            elif method == "GET" and path.startswith(EXECUTIONS) and "/" not in path[16:]:
                await self._hot.execution(path[16:], send)
            else:
                await self._answer_other(path, method, scope, receive, send)
        except Vanished:
            return
        except _Broken:
            raise  # the answer has begun: only a closed connection tells that it is not whole
        except asyncio.CancelledError:
            if path not in SUBMISSIONS or not self.streams.is_closing:
                raise
            await self._refuse(Stalled(_STOPS, retry_after_s=STOP_RETRY_AFTER_S), scope, send)
        except Exception as error:
            await self._refuse(error, scope, send)

    async def _answer_other(self, path: str, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        if method == "POST" and path == "/execute/batch":
            await self._hot.execute_batch(scope, receive, send)
        elif method == "GET" and path.startswith(PROGRESS) and "/" not in path[10:] and _wants_stream(scope):
            await self.streams.events(path[10:], scope, receive, send)
        elif method == "GET" and (match := _STREAM_OF_RUN.fullmatch(path)):
            tell = await run_events(self._service, match[1])
            await self.streams.events(match[1], scope, receive, send, tell)
        elif method in _MUTATIONS:
            await self._mutate(scope, receive, send)
        else:
            await self._route(scope, receive, send)

    async def _mutate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body before the routes do: bounded, and known to the idempotency key."""
        body = await read_body(scope, receive)
        key = key_of(scope)
        again = _replayed(body, receive)
        if key is None:
            await self._route(scope, again, send)
        else:
            await self._replies.answer_once(key, scope, again, send, body, self._route)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._routes(scope, receive, sending)
        except Exception as error:
            if started:
                raise _Broken(scope["path"]) from error
            await self._refuse(error, scope, send)

    async def _answer_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.streams.socket(scope, receive, send)
        except Exception as error:
            status, headers, content = problem_response(error, scope, self._chance)
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": content})

    async def _refuse(self, error: Exception, scope: Scope, send: Send) -> None:
        status, headers, content = problem_response(error, scope, self._chance)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _wants_stream(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/event-stream" in value.lower() for name, value in scope["headers"])


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read to whoever reads it next; what follows it comes from the client."""
    is_given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
