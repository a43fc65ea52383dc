"""Executions: list, look into, watch and steer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.engine.service import Service
from stagewright.engine.views import ListFilter
from stagewright.protocol.bodies import CancelBody, RetryBody
from stagewright.server import answers
from stagewright.server.body import parse_body
from stagewright.server.routes.reply import Json, body_of, listed

PAGE_MAX = 200
EVENTS_PAGE_MAX = 1_000
STEPS_PAGE_MAX = 1_000
NUMBER_MAX = 10**15
"""Of events; beyond what rows can hold, a number would be an error of the database."""

Text = Annotated[str | None, Query(max_length=200)]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["executions"])
    _add_reads(routes, service)
    _add_mutations(routes, service)
    return routes


def _add_reads(routes: APIRouter, service: Service) -> None:
    views = service.views

    @routes.get("/api/executions", response_model=answers.ExecutionList)
    async def list_executions(
        status: answers.ExecutionStatus | None = None,
        pipeline: Text = None,
        client: Text = None,
        project: Text = None,
        tag: Text = None,
        text: Annotated[str | None, Query(max_length=200, description="Part of an id, a pipeline or a request")] = None,
        created_from: Annotated[datetime | None, Query(alias="from")] = None,
        created_to: Annotated[datetime | None, Query(alias="to")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Text = None,
    ) -> Response:
        """List executions, the newest first."""
        wanted = ListFilter(
            limit=limit, before=cursor, status=status, pipeline=pipeline, client=client, project=project,
            created_from=_micros(created_from), created_to=_micros(created_to), tag=tag, text=text,
        )  # fmt: skip
        return Json(await views.executions(wanted))

    @routes.get("/api/executions/{execution_id}/steps", response_model=answers.StepList)
    async def list_steps(
        execution_id: str,
        limit: Annotated[int, Query(ge=1, le=STEPS_PAGE_MAX)] = 200,
        cursor: Text = None,
    ) -> Response:
        """List the steps that have begun, by stage; the step of a mapped stage comes before those of its items."""
        return Json(await views.steps(execution_id, cursor, limit))

    @routes.get("/api/executions/{execution_id}/events", response_model=answers.EventList)
    async def list_events(
        execution_id: str,
        after: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="Number of the last event that is known")] = 0,
        limit: Annotated[int, Query(ge=1, le=EVENTS_PAGE_MAX)] = 200,
        cursor: Annotated[int | None, Query(ge=0, le=NUMBER_MAX)] = None,
    ) -> Response:
        """List events in their order."""
        return Json(await views.event_page(execution_id, after if cursor is None else cursor, limit))

    @routes.get("/api/executions/{execution_id}/artifacts", response_model=answers.ArtifactList)
    async def list_artifacts(execution_id: str) -> Response:
        """List what the execution produced."""
        return listed(await views.artifacts(execution_id))

    @routes.get("/api/executions/{execution_id}/deliverables", response_model=answers.DeliverableList)
    async def list_deliverables(execution_id: str) -> Response:
        """List what answers the request."""
        return listed(await views.deliverables(execution_id))

    @routes.get("/api/executions/{execution_id}/explain", response_model=answers.Explained)
    async def explain_execution(execution_id: str) -> Response:
        """Say why the execution is where it is: what it waits for, and for how long it has."""
        return Json(await service.explain(execution_id))

    @routes.get("/progress/{execution_id}", response_model=answers.ProgressShown)
    async def get_progress(execution_id: str) -> Response:
        """Show how far the execution is; `Accept: text/event-stream` or a WebSocket gives events as they happen."""
        return Json(await views.progress(execution_id))


def _add_mutations(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/api/executions/{execution_id}/cancel", response_model=answers.Changed, openapi_extra=body_of(CancelBody)
    )
    async def cancel_execution(request: Request, execution_id: str) -> Response:
        """Cancel an open execution; what runs is taken back."""
        body = parse_body(CancelBody, await request.body() or b"{}")
        return Json(await service.cancel(execution_id, body.reason))

    @routes.post(
        "/api/executions/{execution_id}/retry",
        status_code=202,
        response_model=answers.Changed,
        openapi_extra=body_of(RetryBody),
    )
    async def retry_execution(request: Request, execution_id: str) -> Response:
        """Open a new round of an ended execution: what completed is kept, unless it is behind `from_stage`."""
        body = parse_body(RetryBody, await request.body() or b"{}")
        return Json(await service.retry(execution_id, body.from_stage), 202)


def _micros(at: datetime | None) -> int | None:
    if at is None:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)
