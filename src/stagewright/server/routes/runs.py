"""Front door for plans: a run is an execution, told in the words of its clients."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.definitions import load_value
from stagewright.engine.service import Service
from stagewright.engine.views import ListFilter
from stagewright.protocol.bodies import ExecuteBody
from stagewright.protocol.doors import PlanBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.door_shapes import STATUS, run_events, run_item, run_step, step_names
from stagewright.server.routes.accounts import PAGE_MAX
from stagewright.server.routes.reply import Json, body_of, listed

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/RunEvent"}}}},
    204: {"description": "The final event has been seen"},
}


def router(service: Service) -> APIRouter:
    """Return the routes; `front` answers `/runs/{id}/stream`."""
    routes = APIRouter(tags=["runs"])
    views = service.views

    @routes.post("/runs", status_code=201, response_model=answers.RunStarted, openapi_extra=body_of(PlanBody))
    async def start_run(request: Request) -> Response:
        """Execute a plan."""
        body = parse_body(PlanBody, await request.body())
        plan = load_value(body.plan).document
        submitted = await service.execute(ExecuteBody.model_validate({"pipeline": plan, "project_id": body.project_id}))
        status = (await views.status(submitted.execution_id))[0]
        answer = Json({"id": submitted.execution_id, "status": STATUS.get(status, status)}, 201)
        answer.headers["location"] = f"/runs/{submitted.execution_id}"
        return answer

    @routes.get("/runs", response_model=answers.RunList)
    async def list_runs(
        project_id: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """List runs, the newest first: all executions, as each can be told as one."""
        page = await views.executions(ListFilter(limit=limit, before=cursor, project=project_id))
        return listed([run_item(each, each["pipeline"]) for each in page["items"]], page["next_cursor"])

    @routes.get("/runs/{id}", response_model=answers.RunShown)
    async def get_run(id: str) -> Response:
        """Show a run with its steps and what they made."""
        shown = await views.execution(id)
        document = (await views.graph(id))[0].pipeline.document
        names = step_names(document)
        steps = [run_step(names.get(stage["stage_id"], stage["stage_id"]), stage) for stage in shown["stages"]]
        item = run_item(shown, document.get("goal") or shown["pipeline"])
        return Json({**item, "steps": steps, "artifacts": await views.artifacts(id), "error": shown["error"]})

    @routes.get("/runs/{id}/events", response_model=answers.RunEvents)
    async def list_run_events(
        id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
        cursor: Annotated[int | None, Query(ge=0)] = None,
    ) -> Response:
        """List what happened in a run; a page may be short, `next_cursor` says whether there is more."""
        page = await views.event_page(id, after if cursor is None else cursor, limit)
        tell = await run_events(service, id)
        return listed([told for event in page["items"] if (told := tell(event))], page["next_cursor"])

    @routes.get("/runs/{id}/stream", response_class=Response, responses=_STREAM)
    async def stream_run(id: str) -> Response:
        """Stream the events of a run as they happen (SSE); resumes behind `Last-Event-ID`."""
        raise AssertionError("server.front answers this")

    return routes
