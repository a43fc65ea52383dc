"""Request bodies: read within bounds of bytes and time, decoded and checked once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from stagewright.definitions.values import copy_value
from stagewright.model.errors import Malformed, Problem, TooLarge
from stagewright.server.problem import KNOWN_FIELDS, SlowBody, invalid, refusal_of

BODY_BYTES_MAX = 10 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
DISCARDED_BYTES_MAX = 32 * 1024 * 1024
"""So much of a body that is too large is read and thrown away, so that its sender gets to hear the answer."""
KEY_CHARS_MAX = 255

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

M = TypeVar("M", bound=BaseModel)

_SUSPICIOUS = re.compile(rb"\\u0000|NaN|Infinity|[eE]\+?\d{3}|\d{300}")
_KEY = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"|([\x21\x23-\x7e]+)')


class Vanished(Exception):
    """The client went away before it had sent its whole request; nobody is there to answer."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body. `TooLarge` beyond 10 MiB, `SlowBody` if it takes too long."""
    if _declared_bytes(scope) > BODY_BYTES_MAX + DISCARDED_BYTES_MAX:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                body = await _rest(receive, body)
            elif message["type"] == "http.disconnect":
                raise Vanished
    except TimeoutError:
        raise SlowBody(f"The body was not complete after {BODY_TIMEOUT_S:g} s: send it faster") from None
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return body


async def _rest(receive: Receive, body: bytes) -> bytes:
    parts, size, more = [body], len(body), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Vanished
        part, more = message.get("body", b""), bool(message.get("more_body"))
        size += len(part)
        if size <= BODY_BYTES_MAX:
            parts.append(part)
        elif size > BODY_BYTES_MAX + DISCARDED_BYTES_MAX:
            break
    if size > BODY_BYTES_MAX:
        raise _too_large()
    return b"".join(parts)


def _too_large() -> TooLarge:
    return TooLarge(
        f"The body has more than {BODY_BYTES_MAX} bytes: send less, or put large values where a worker can fetch them"
    )


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def parse_body(model: type[M], raw: bytes, *, is_text_checked: bool = False) -> M:
    """Check a JSON body against its model; `Malformed` or `Invalid` with every problem and its pointer."""
    try:
        body = model.model_validate_json(raw)
    except ValidationError as error:
        raise refusal_of(error) from None
    if not is_text_checked and is_suspicious(raw):
        check_text(raw)
    return body


def is_suspicious(raw: bytes) -> bool:
    """Say whether JSON may hold what models let pass and rows cannot hold: NUL, infinity, not-a-number."""
    return _SUSPICIOUS.search(raw) is not None


def check_text(raw: bytes) -> Any:
    """Return the value of strict JSON that can be stored; `Malformed` or `Invalid` otherwise."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is no JSON: {error}. Send a JSON object", (Problem(str(error), "#"),)) from None
    refuse_unstorable(value)
    return value


def refuse_unstorable(value: Any) -> None:
    """Refuse a value with all the places that hold what cannot be stored."""
    problems = copy_value(value)[1]
    if problems:
        raise invalid(problems)


def key_of(scope: Scope) -> str | None:
    """Return the Idempotency-Key of a request, a quoted string or bare."""
    for name, value in scope["headers"]:
        if name == b"idempotency-key":
            match = _KEY.fullmatch(value.decode("latin-1").strip())
            key = "" if match is None else match[2] or match[1].replace('\\"', '"').replace("\\\\", "\\")
            if not 0 < len(key) <= KEY_CHARS_MAX:
                raise Malformed(
                    f"Expected an Idempotency-Key of 1 to {KEY_CHARS_MAX} printable characters, such as a UUID"
                )
            return key
    return None


def know_fields(*models: type[BaseModel]) -> None:
    """Let messages on unknown fields say which fields these bodies have."""
    KNOWN_FIELDS.update({model.__name__: list(model.model_fields) for model in models})
