"""Polite, bounded HTTP reading: one request at a time for each host, and no server can cost more than the limits.

Reach. Holds no state but the gates of the hosts, which all attempts on one event loop share.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urljoin, urlsplit
from weakref import WeakKeyDictionary

import httpx2

USER_AGENT = "stagewright-feed-reader/1"
_HOSTS_REMEMBERED = 1_000
_TRIES = 2  # the second only where the server names a wait that fits
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost. Times in seconds, sizes in bytes after decompression."""

    body_bytes: int = 5 * 1024 * 1024
    connect_s: float = 10.0
    read_s: float = 15.0  # between two pieces of the answer
    total_s: float = 30.0  # for the whole answer, redirects and the second try apart
    redirects: int = 5
    gap_s: float = 0.5  # from the end of a request to the start of the next at the same host
    retry_after_s: float = 20.0  # the longest wait that a server may ask for and get within an attempt
    failures_of_host: int = 2  # connection failures in a row after which a host is left alone


LIMITS = Limits()


class Trouble(Exception):
    """A request that gave nothing usable. `is_transient`: it may work later, after `after_s` seconds if known."""

    def __init__(self, message: str, *, is_transient: bool, after_s: float | None = None) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with status 200 to 299 or 304; `is_cut` if the body was longer than the limit."""

    url: str  # after redirects
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    is_cut: bool


@dataclass(slots=True)
class _Gate:
    """Lets one request at a time through to a host."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: float = float("-inf")  # loop time at which the last request ended


_GATES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Gate]] = WeakKeyDictionary()


class Reader:
    """Reads addresses within `limits`; use it as an async context manager, from one event loop."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._failures: dict[str, int] = {}
        timeout = httpx2.Timeout(limits.read_s, connect=limits.connect_s)
        headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"}
        self._client = httpx2.AsyncClient(timeout=timeout, headers=headers, follow_redirects=False)

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, url: str, validators: Mapping[str, str] | None = None) -> Reply:
        """Read an address; `validators` are the headers of a conditional request. Raises `Trouble`."""
        for tries in range(1, _TRIES + 1):
            try:
                return await self._follow(url, validators or {})
            except Trouble as trouble:
                wait_s = trouble.after_s
                if tries == _TRIES or wait_s is None or wait_s > self._limits.retry_after_s:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    async def _follow(self, url: str, validators: Mapping[str, str]) -> Reply:
        start = url
        for _ in range(self._limits.redirects + 1):
            reply = await self._once(url, validators)
            if reply.status not in _REDIRECTS:
                return _checked(reply)
            url = _target(reply)
        raise Trouble(f"more than {self._limits.redirects} redirects from {start}", is_transient=False)

    async def _once(self, url: str, validators: Mapping[str, str]) -> Reply:
        host = urlsplit(url).netloc
        async with self._gate(host):
            if self._failures.get(host, 0) >= self._limits.failures_of_host:
                raise Trouble(f"{host} did not answer before; left alone", is_transient=True)
            try:
                async with asyncio.timeout(self._limits.total_s):
                    reply = await self._read(url, validators)
            except (httpx2.TransportError, TimeoutError) as error:
                self._failures[host] = self._failures.get(host, 0) + 1
                raise self._translated(error) from error
            except (httpx2.InvalidURL, httpx2.RequestError, ValueError, zlib.error) as error:
                raise Trouble(f"not readable: {error}", is_transient=False) from error
            self._failures[host] = 0
            return reply

    @asynccontextmanager
    async def _gate(self, host: str) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        gates = _GATES.setdefault(loop, {})
        if len(gates) > _HOSTS_REMEMBERED:
            for name in [name for name, gate in gates.items() if not gate.lock.locked()]:
                del gates[name]
        gate = gates.setdefault(host, _Gate())
        async with gate.lock:
            await asyncio.sleep(max(0.0, gate.ended + self._limits.gap_s - loop.time()))
            try:
                yield
            finally:
                gate.ended = loop.time()

    async def _read(self, url: str, validators: Mapping[str, str]) -> Reply:
        async with self._client.stream("GET", url, headers=dict(validators)) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body, is_cut = b"", False
            if response.status_code == 200:
                body, is_cut = await self._body(response, headers.get("content-encoding", ""))
            return Reply(url, response.status_code, headers, body, is_cut)

    async def _body(self, response: httpx2.Response, encoding: str) -> tuple[bytes, bool]:
        """Return the body and whether it was cut; decompression stops at the limit, whatever the ratio."""
        unpack = _unpacker(encoding)
        body = bytearray()
        async for raw in response.aiter_raw(_PIECE):
            room = self._limits.body_bytes + 1 - len(body)
            body += unpack.decompress(raw, room) if unpack else raw[:room]
            if len(body) > self._limits.body_bytes:
                return bytes(body[: self._limits.body_bytes]), True
        return bytes(body), False

    def _translated(self, error: Exception) -> Trouble:
        if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
            return Trouble(f"no complete answer within {self._limits.total_s:g} s", is_transient=True)
        if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
            return Trouble(f"not readable: {error}", is_transient=False)
        return Trouble(f"connection failed: {error or type(error).__name__}", is_transient=True)


def _unpacker(encoding: str) -> zlib._Decompress | None:
    name = encoding.strip().casefold()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if name == "deflate":
        return zlib.decompressobj()
    raise Trouble(f"the answer is packed as {name}, which was not asked for", is_transient=False)


def _target(reply: Reply) -> str:
    location = reply.headers.get("location", "")
    try:
        target = urljoin(reply.url, location)
        is_http = urlsplit(target).scheme in ("http", "https")
    except ValueError:
        is_http = False
    if not location or not is_http:
        raise Trouble("redirected to something that is no http(s) address", is_transient=False)
    return target


def _checked(reply: Reply) -> Reply:
    if reply.status in (200, 304):
        return reply
    is_transient = reply.status in _TRANSIENT
    after_s = _retry_after(reply.headers) if is_transient else None
    raise Trouble(f"the server answered {reply.status}", is_transient=is_transient, after_s=after_s)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110 §10.2.3: a number or a date)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        wanted = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if wanted.tzinfo is None:
        return None
    return max(0.0, (wanted - datetime.now(UTC)).total_seconds())
