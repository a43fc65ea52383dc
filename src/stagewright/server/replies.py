"""Idempotency-Key on mutations that are not submissions: the first answer is kept for a day and given again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

from stagewright.engine.core import Engine
from stagewright.model.errors import KeyReused
from stagewright.server.body import Receive, Scope, Send
from stagewright.server.problem import MEDIA_TYPE, KeyInUse

REPLY_BYTES_MAX = 256 * 1024
"""A longer answer is not kept; then a repeated request is carried out again."""
CLAIMED = 102
EXPIRED_AT_ONCE = 100

Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


class Replies:
    """First answers by key, in the database; keys that are being answered, in memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._answering: set[str] = set()

    async def claim(self, key: str, raw: bytes) -> None:
        """Bind a key to a payload before anything is done; `KeyReused` if it is bound to another."""
        fingerprint = sha256(raw).hexdigest()
        await self._keep(key, fingerprint, CLAIMED, "")
        found = await self._find(key)
        if found is not None and found[0] != fingerprint:
            raise _reused()

    async def answer_once(self, key: str, scope: Scope, receive: Receive, send: Send, body: bytes, do: Answer) -> None:
        """Answer a mutation, or give again what was answered to the same key and payload."""
        fingerprint = _fingerprint(scope, body)
        found = await self._find(key)
        if found is not None:
            if found[0] != fingerprint:
                raise _reused()
            await _send_again(send, found[1], found[2].encode())
            return
        if key in self._answering:
            raise KeyInUse("The first request with this Idempotency-Key is still being answered: wait, then ask again")
        self._answering.add(key)
        try:
            heard = _Heard(send)
            await do(scope, receive, heard.send)
            if heard.is_final:
                await self._keep(key, fingerprint, heard.status, bytes(heard.content).decode())
            await heard.pass_on()
        finally:
            self._answering.discard(key)

    async def _find(self, key: str) -> tuple[str, int, str] | None:
        rows = await self._engine.store.read("reply", key, self._engine.clock.now_us())
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    async def _keep(self, key: str, fingerprint: str, status: int, body: str) -> None:
        now = self._engine.clock.now_us()
        expires_at = now + self._engine.settings.key_ttl_us
        await self._engine.store.write(
            [
                ("delete_expired_replies", (now, EXPIRED_AT_ONCE)),
                ("add_reply", (key, fingerprint, status, body, expires_at)),
            ]
        )


class _Heard:
    """Holds an answer back until it is kept: a client that has it may rely on hearing it again."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[MutableMapping[str, Any]] = []
        self.status = 0
        self.content = bytearray()

    @property
    def is_final(self) -> bool:
        """True if asking again could not give another answer; trouble of the moment is not kept."""
        return 200 <= self.status < 500 and len(self.content) <= REPLY_BYTES_MAX

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a message of the answer."""
        self._messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.content += message.get("body", b"")

    async def pass_on(self) -> None:
        """Send the answer."""
        for message in self._messages:
            await self._send(message)


async def _send_again(send: Send, status: int, content: bytes) -> None:
    media_type = MEDIA_TYPE if status >= 400 else "application/json"
    headers = [(b"idempotent-replayed", b"true")]
    if content:
        headers += [(b"content-type", media_type.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _fingerprint(scope: Scope, body: bytes) -> str:
    target = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n"
    return sha256(target + body).hexdigest()


def _reused() -> KeyReused:
    return KeyReused("The Idempotency-Key came with another payload within 24 h: use a new key")
