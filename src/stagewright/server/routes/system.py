"""The service itself: workers, health, what is stuck, what problems mean, the description of the API."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright import __version__
from stagewright.definitions.durations import parse_duration
from stagewright.engine.service import Service
from stagewright.model.errors import Malformed, NotFound, Problem, StagewrightError, Stalled, Trouble
from stagewright.ports.channel import WorkerFacts
from stagewright.server import answers, problem
from stagewright.server.routes.reply import Json, listed

CHECK_TIMEOUT_S = 5.0
DISK_FREE_WARN_BYTES = 1024**3
DISK_FREE_FAIL_BYTES = 64 * 1024**2
STUCK_MAX = 200

Checked = tuple[str, str]
"""Status and detail of a check."""


class NotHealthy(Stalled):
    """Some part of the service does not answer as it should."""

    code, title = "not_healthy", "The service is not healthy"


def router(service: Service, data: Path) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    _add_workers(routes, service)
    _add_health(routes, service, Checks(service, data))
    _add_texts(routes)
    return routes


def _add_workers(routes: APIRouter, service: Service) -> None:
    dispatcher = service.engine.dispatcher

    def shown(facts: WorkerFacts) -> dict[str, Any]:
        return {
            "worker_name": facts.name,
            "version": facts.version,
            "description": facts.description,
            "actions": list(facts.actions),
            "capacity": None if facts.is_direct else facts.slots,
            "in_use": dispatcher.slots.in_use(dispatcher.slot_pool(facts.name)),
        }

    @routes.get("/api/workers", tags=["workers"], response_model=answers.WorkerList)
    async def list_workers() -> Response:
        """List the workers that pipelines can use."""
        found = (dispatcher.facts(name) for name in sorted(dispatcher.names()))
        return listed([shown(facts) for facts in found if facts is not None])

    @routes.get("/api/workers/{name}", tags=["workers"], response_model=answers.WorkerShown)
    async def get_worker(name: str) -> Response:
        """Show one worker."""
        facts = dispatcher.facts(name)
        if facts is None:
            raise NotFound(f"There is no worker {name}. There are: {', '.join(sorted(dispatcher.names()))}")
        return Json(shown(facts))


class Checks:
    """Asks each part of the service; the answers are bounded in time."""

    def __init__(self, service: Service, data: Path) -> None:
        self._engine, self._data = service.engine, data

    async def all(self) -> dict[str, dict[str, Any]]:
        """Check every part."""
        parts: dict[str, Callable[[], Awaitable[Checked]]] = {
            "database": self._database, "objects": self._objects, "workers": self._workers, "disk": self._disk,
        }  # fmt: skip
        found = await asyncio.gather(*(self._timed(check) for check in parts.values()))
        return dict(zip(parts, found, strict=True))

    async def ready(self) -> dict[str, dict[str, Any]]:
        """Check what work cannot be accepted without."""
        return {"database": await self._timed(self._database)}

    async def _timed(self, check: Callable[[], Awaitable[Checked]]) -> dict[str, Any]:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                status, detail = await check()
        except TimeoutError:
            status, detail = "fail", f"no answer within {CHECK_TIMEOUT_S:g} s"
        except (Trouble, OSError) as error:
            status, detail = "fail", f"{type(error).__name__}: {error}"
        return {"status": status, "latency_ms": round((time.perf_counter() - begun) * 1000, 3), "detail": detail}

    async def _database(self) -> Checked:
        if not self._engine.is_open:
            return "fail", "the engine is not open"
        if self._engine.journal.is_stalled:
            return "fail", f"{self._engine.journal.pending_rows} rows wait: the journal cannot write"
        await self._engine.store.flushed()  # passes through the writer, behind whatever holds it up
        await self._engine.store.read("count_open")
        return "pass", f"{len(self._engine.actors)} executions are active"

    async def _objects(self) -> Checked:
        await self._engine.objects.check()
        return "pass", "an object was written and read"

    async def _workers(self) -> Checked:
        names = self._engine.dispatcher.names()
        return ("pass", f"{len(names)} workers are known") if names else ("fail", "no worker is known")

    async def _disk(self) -> Checked:
        usage = await asyncio.to_thread(shutil.disk_usage, self._data)
        detail = f"{usage.free} of {usage.total} bytes are free"
        if usage.free < DISK_FREE_FAIL_BYTES:
            return "fail", detail
        return ("warn" if usage.free < DISK_FREE_WARN_BYTES else "pass"), detail


def _add_health(routes: APIRouter, service: Service, checks: Checks) -> None:
    @routes.get("/health", tags=["health"], response_model=answers.Health)
    async def get_health() -> Response:
        """Say whether the service can accept work."""
        return _health(await checks.ready(), shows_checks=False)

    @routes.get("/health/live", tags=["health"], response_model=answers.Health)
    async def get_liveness() -> Response:
        """Answer at all: the process lives."""
        return Json({"status": "pass", "version": __version__})

    @routes.get("/health/ready", tags=["health"], response_model=answers.Health)
    async def get_readiness() -> Response:
        """Say whether work can be accepted and made durable now."""
        return _health(await checks.ready(), shows_checks=False)

    @routes.get("/health/detailed", tags=["health"], response_model=answers.Health)
    async def get_detailed_health() -> Response:
        """Ask every part, and say how long each took to answer."""
        return _health(await checks.all(), shows_checks=True)

    @routes.get("/dev/stuck-steps", tags=["health"], response_model=answers.StuckList)
    async def list_stuck_steps(
        older_than: Annotated[str, Query(examples=["5m"], max_length=64)] = "5m",
        limit: Annotated[int, Query(ge=1, le=STUCK_MAX)] = 50,
    ) -> Response:
        """List steps of open executions that have been as they are for long, and why."""
        before = service.engine.clock.now_us() - _duration(older_than)
        return listed(await service.views.stuck_steps(before, limit))


def _health(checked: dict[str, dict[str, Any]], *, shows_checks: bool) -> Response:
    failed = [f"{name}: {check['detail']}" for name, check in checked.items() if check["status"] == "fail"]
    if failed:
        raise NotHealthy("; ".join(failed), [Problem(text, f"#/checks/{text.split(':')[0]}") for text in failed])
    status = "warn" if any(check["status"] == "warn" for check in checked.values()) else "pass"
    return Json({"status": status, "version": __version__} | ({"checks": checked} if shows_checks else {}))


def _add_texts(routes: APIRouter) -> None:
    kinds = {kind.code: kind for kind in _below(StagewrightError)}

    @routes.get("/openapi.json", tags=["about"], response_model=dict[str, Any])
    async def get_openapi(request: Request) -> Response:
        """Describe this API, in OpenAPI 3.1."""
        return Json(request.app.openapi())

    @routes.get("/problems/{code}", tags=["about"], response_model=answers.ProblemType)
    async def get_problem_type(code: str) -> Response:
        """Say what the `type` and `code` of a problem mean."""
        kind = kinds.get(code)
        if kind is None:
            if code != problem.INTERNAL_CODE:
                raise NotFound(f"There is no problem type {code}. There are: {', '.join(sorted(kinds))}")
            text = "The server met something that nobody expected; its log has the trace under the trace_id."
            return Json({"code": code, "status": 500, "title": problem.INTERNAL_TITLE, "description": text})
        text = inspect.getdoc(kind) or kind.title
        return Json({"code": code, "status": kind.status, "title": kind.title, "description": text})


def _below(kind: type[StagewrightError]) -> list[type[StagewrightError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _below(child))]


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        detail = f"Expected a duration such as 30s, 5m or 1h, found {text!r}: {error}"
        problems = [Problem(detail, "#/query/older_than")]
        raise Malformed(f"The query older_than parameter cannot be read: {detail}", problems) from None
