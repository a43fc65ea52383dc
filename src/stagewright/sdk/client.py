"""A client of the HTTP API: each refusal of the server is raised as the error that it was there.

Layer `sdk`. Values are JSON as the API shows them. `Client` is asynchronous and made for one event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urljoin

import httpx2

from stagewright.model import errors
from stagewright.model.errors import Malformed, NotFound, Problem, StagewrightError, Trouble

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
STREAM_SILENCE_S = 60.0  # a stream is taken up anew after this long without a byte
RECONNECT_S = 30.0  # how long a stream is tried again without an event
PAUSE_S, PAUSE_MAX_S = 0.1, 2.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FINAL_EVENTS = ("execution.completed", "execution.failed", "execution.cancelled")


class Unreachable(Trouble):
    """No server answers at the address, or it stopped answering."""

    code, status, title = "unreachable", 503, "The server cannot be reached"


class Client:
    """Calls one server: `async with Client(url) as client`. All methods raise `model.errors` or `Unreachable`."""

    is_server = True

    def __init__(self, url: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        try:
            parsed = httpx2.URL(self.url)
        except httpx2.InvalidURL as error:
            raise Malformed(f"The server's address cannot be read: {url}: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise Malformed(f"Expected the server's address as http://HOST:PORT, found: {url}")
        self.place = f"server {self.url}"
        self.on_lost: Callable[[str], None] = lambda _: None
        self.on_back: Callable[[], None] = lambda: None
        # A proxy of the environment must not stand between a command and the server on the same machine.
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=parsed.host not in LOOPBACK,
            headers={"User-Agent": "stagewright"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._http.aclose()

    def absolute(self, url: str) -> str:
        """Make an address that the server gave one that can be opened from here."""
        return urljoin(self.url + "/", url)

    # --- executions -----------------------------------------------------------------------------------------

    async def execute(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Submit an execution; returns after it is durable."""
        return await self._json("POST", "/execute", body)

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return one execution with its stages and deliverables."""
        return await self._json("GET", f"/api/executions/{_part(execution_id)}")

    async def executions(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page `{items, next_cursor}`, the newest first; filters as in the API."""
        return await self._json("GET", "/api/executions", params=filters)

    async def event_page(self, execution_id: str, after: int, limit: int) -> dict[str, Any]:
        """Return `{items, next_cursor}` of events with numbers above `after`."""
        params = {"after": after, "limit": limit}
        return await self._json("GET", f"/api/executions/{_part(execution_id)}/events", params=params)

    async def cancel(self, execution_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel an open execution."""
        return await self._json("POST", f"/api/executions/{_part(execution_id)}/cancel", {"reason": reason})

    async def resume(self, execution_id: str) -> None:
        """Nothing is to be done: a server goes on with what is open by itself."""

    async def retry(self, execution_id: str, from_stage: str | None = None) -> dict[str, Any]:
        """Go on with an ended execution from the stage that failed, or from a named one."""
        return await self._json("POST", f"/api/executions/{_part(execution_id)}/retry", {"from_stage": from_stage})

    async def watch(self, execution_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield events with numbers above `after` until the execution has ended; survives a restart of the server.

        `on_lost` is called with the reason when the connection breaks, `on_back` when events come again.
        """
        loop = asyncio.get_running_loop()
        pause, alive_at, ended, is_lost = PAUSE_S, loop.time(), False, False
        while True:
            trouble = "the stream ended early"
            try:
                async for event in self._stream(execution_id, after):
                    yield event
                    after, ended = event["seq"], event["type"] in FINAL_EVENTS
                    pause, alive_at = PAUSE_S, loop.time()
                    if is_lost:
                        is_lost = False
                        self.on_back()
            except _Finished:
                return
            except httpx2.HTTPError as error:
                trouble = _words(error)
            if ended and trouble != "the stream ended early":
                return
            if not is_lost and not ended:
                is_lost, alive_at = True, loop.time()
                self.on_lost(trouble)
            if loop.time() - alive_at > RECONNECT_S:
                raise self._given_up(execution_id, trouble)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)

    async def _stream(self, execution_id: str, after: int) -> AsyncIterator[dict[str, Any]]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx2.Timeout(STREAM_SILENCE_S, connect=CONNECT_TIMEOUT_S)
        path = f"/progress/{_part(execution_id)}"
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.status_code == 204:
                raise _Finished
            if response.status_code != 200:
                await response.aread()
                raise error_from(response.status_code, response.content, response.headers.get("Retry-After"))
            data: list[str] = []
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and data:
                    event = json.loads("\n".join(data))
                    data.clear()
                    if isinstance(event, dict) and isinstance(event.get("seq"), int):
                        yield event  # frames without a number are live only

    # --- pipelines and workers ------------------------------------------------------------------------------

    async def pipelines(self) -> list[dict[str, Any]]:
        """Return all registered pipelines by name, the latest version of each."""
        return await self._all("/api/pipelines")

    async def pipeline(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return a registered pipeline with its `document`."""
        params = {} if version is None else {"version": version}
        return await self._json("GET", f"/api/pipelines/{_part(name)}", params=params)

    async def register(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Register a pipeline; a changed document becomes the next version."""
        return await self._json("POST", "/api/pipelines", document)

    async def validate(self, document: Mapping[str, Any]) -> None:
        """Have the server check a document and that its workers are there; raises what is wrong."""
        told = await self._json("POST", "/api/pipelines/validate", document)
        if not told.get("valid", True):
            problems = _problems(told.get("problems"))
            raise errors.InvalidDocument(f"The document has {len(problems)} problem(s)", problems)

    async def workers(self) -> list[dict[str, Any]]:
        """Return the workers that the server reaches."""
        return await self._all("/api/workers")

    # --- artifacts ------------------------------------------------------------------------------------------

    async def artifacts(self, execution_id: str) -> list[dict[str, Any]]:
        """Return what an execution has produced."""
        return await self._all(f"/api/executions/{_part(execution_id)}/artifacts")

    async def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact."""
        try:
            async with self._http.stream("GET", f"/api/artifacts/{_part(artifact_id)}") as response:
                if response.status_code != 200:
                    await response.aread()
                    raise error_from(response.status_code, response.content, response.headers.get("Retry-After"))
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx2.HTTPError as error:
            raise self._unreachable(_words(error)) from error

    # --- calls ----------------------------------------------------------------------------------------------

    async def _all(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._json("GET", path, params={"limit": 200} | ({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return items

    async def _json(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        known = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            if method == "GET":
                response = await self._http.request(method, path, params=known)
            else:
                response = await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise self._unreachable(_words(error)) from error
        if response.status_code >= 300:
            raise error_from(response.status_code, response.content, response.headers.get("Retry-After"))
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._unreachable("what answers there is another service")
        return answer

    def _given_up(self, execution_id: str, why: str) -> Unreachable:
        return Unreachable(
            f"The connection to {self.url} was lost and did not come back within {RECONNECT_S:g} s ({why}): nobody "
            f"serves execution {execution_id} there now. What completed is kept, and it goes on when its server is "
            f"started again with `stagewright up`"
        )

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f"No Stagewright server answers at {self.url}: {why}. "
            "Start one with `stagewright up`, or name its address with --server or STAGEWRIGHT_SERVER"
        )


class _Finished(Exception):
    """The server says that there is nothing left to stream."""


def error_from(status: int, content: bytes, retry_after: str | None = None) -> StagewrightError:
    """Make the error that a problem document (RFC 9457) tells of."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"detail": f"The server answered with status {status}: {content[:200].decode('utf-8', 'replace')}"}
    kind = _kinds().get(str(body.get("code"))) or _kind_of(status)
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    detail = str(body.get("detail") or body.get("title") or f"The server answered with status {status}")
    error = kind(detail, _problems(body.get("errors")), retry_after_s=seconds)
    if body.get("trace_id"):
        error.add_note(f"trace_id: {body['trace_id']}")
    return error


def _problems(items: Any) -> list[Problem]:
    return [
        Problem(str(item.get("detail", "")), str(item.get("pointer", "")), item.get("line"))
        for item in items or ()
        if isinstance(item, dict)
    ]


def _kinds() -> dict[str, type[StagewrightError]]:
    kinds = (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StagewrightError))
    return {kind.code: kind for kind in kinds}


def _kind_of(status: int) -> type[StagewrightError]:
    by_status: dict[int, type[StagewrightError]] = {
        400: Malformed, 404: NotFound, 409: errors.WrongState, 413: errors.TooLarge, 422: errors.Invalid,
        503: errors.Stalled,
    }  # fmt: skip
    return by_status.get(status, errors.Refusal if status < 500 else Trouble)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _part(text: str) -> str:
    return quote(text, safe="")
