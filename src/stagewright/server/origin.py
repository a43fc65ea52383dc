"""Refuses what other web pages make a browser send: this release has no keys, so a browser must not be the key.

A page may send simple requests and open WebSockets to any address, this one too; browsers then name the page in
`Origin`. And a page may let its own name point to this machine (DNS rebinding); then `Host` is that name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from stagewright.definitions.words import printable
from stagewright.model.errors import Refusal
from stagewright.ports.clock import Chance
from stagewright.server.body import Receive, Scope, Send
from stagewright.server.front import App, refuse
from stagewright.server.problem import problem_response

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class CrossOrigin(Refusal):
    """A page of another site asked, or the server was asked by a name that is not its own."""

    code, status, title = "cross_origin", 403, "The request comes from another site"


class OwnSite:
    """Lets through what no other site's page can have sent; `names` are host names of the server besides loopback."""

    def __init__(self, app: App, chance: Chance, names: Iterable[str] = ()) -> None:
        self._app, self._chance = app, chance
        self._named = frozenset(name.lower().encode() for name in names)
        self._own = self._named | frozenset(name.encode() for name in LOOPBACK)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it."""
        host = origin = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.lower()
            elif name == b"origin":
                origin = value.lower()
        if host and _name_of(host) not in self._own:
            return self._refuse(_foreign_host(host), scope, send)
        is_change = scope["type"] == "websocket" or scope.get("method") not in _SAFE
        if origin and is_change and not self._is_own(origin, host):
            return self._refuse(_foreign_origin(origin), scope, send)
        return self._app(scope, receive, send)

    def _is_own(self, origin: bytes, host: bytes) -> bool:
        place = origin.partition(b"://")[2]
        return place != b"" and (place == host or _name_of(place) in self._named)

    async def _refuse(self, error: CrossOrigin, scope: Scope, send: Send) -> None:
        if scope["type"] == "http":
            await refuse(error, scope, send, self._chance)
            return
        status, headers, content = problem_response(error, scope, self._chance)
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": content})


def _name_of(host: bytes) -> bytes:
    """Return `Host` without its port and brackets."""
    if host[:1] == b"[":
        return host[1:].partition(b"]")[0]
    return host.partition(b":")[0]


def _foreign_host(host: bytes) -> CrossOrigin:
    return CrossOrigin(
        f"The server was asked as {_shown(host)}, which is not its name: ask it as 127.0.0.1 or localhost, or list the "
        "name in the setting `names`"
    )


def _foreign_origin(origin: bytes) -> CrossOrigin:
    return CrossOrigin(
        f"A page of {_shown(origin)} must not change anything here: serve it from this server's own address, or list "
        "its host in the setting `names`"
    )


def _shown(value: bytes) -> Any:
    return printable(value.decode("latin-1"))[:200]
