"""Front door of key accounts: requests, which are kept and executed as often as their client asks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from stagewright.accounts.requests import Requests
from stagewright.definitions import load_value
from stagewright.engine.service import Service
from stagewright.model.errors import NotFound
from stagewright.model.execution import FINAL_STATUSES
from stagewright.protocol.bodies import ExecuteBody
from stagewright.protocol.doors import RequestBody, RequestExecuteBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.hot import accepted
from stagewright.server.problem import refusal_of
from stagewright.server.routes.accounts import PAGE_MAX, timed
from stagewright.server.routes.reply import Json, body_of, listed

_FIELDS = tuple(name for name in answers.RequestShown.model_fields if name != "status")


def router(service: Service, requests: Requests) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["accounts"])

    async def status_of(execution_id: str) -> str | None:
        try:
            return (await service.views.status(execution_id))[0]
        except NotFound:
            return None  # it is not kept any more

    async def shown(item: dict[str, Any]) -> dict[str, Any]:
        status = None if item["execution_id"] is None else await status_of(item["execution_id"])
        return {**{name: timed(item).get(name) for name in _FIELDS}, "status": status}

    async def submit(body: dict[str, Any]) -> tuple[str, bool]:
        try:
            submitted = await service.execute(ExecuteBody.model_validate(body))
        except ValidationError as error:
            raise refusal_of(error) from None
        return submitted.execution_id, submitted.is_new

    async def is_open(execution_id: str) -> bool:
        return await status_of(execution_id) not in (None, *FINAL_STATUSES)

    @routes.get("/api/requests", response_model=answers.RequestList)
    async def list_requests(
        client: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """List requests by their ids."""
        found = await requests.page(cursor, limit + 1, client)
        items = [await shown(item) for item in found[:limit]]
        return listed(items, items[-1]["request_id"] if len(found) > limit else None)

    @routes.post(
        "/api/requests", status_code=201, response_model=answers.RequestShown, openapi_extra=body_of(RequestBody)
    )
    async def add_request(request: Request) -> Response:
        """Keep a request; nothing is executed yet."""
        fields = parse_body(RequestBody, await request.body()).model_dump(exclude_none=True)
        stages = fields.pop("pipeline_stages", None)
        if stages is not None:
            name = fields.pop("template_name", None) or fields.get("title") or "request"
            fields["pipeline"] = {"template_name": name, "pipeline_stages": stages}
        if "pipeline" in fields:
            load_value(fields["pipeline"])
        item = await shown(await requests.add(fields))
        return Json(item, 201)

    @routes.get("/api/requests/{request_id}", response_model=answers.RequestShown)
    async def get_request(request_id: str) -> Response:
        """Show a request with its latest execution."""
        return Json(await shown(await requests.get(request_id)))

    async def execute_request(request: Request, request_id: str) -> Response:
        """Execute a stored request: the answer is its open execution (200), else a new one (202)."""
        body = parse_body(RequestExecuteBody, await request.body() or b"{}")
        execution_id, is_new = await requests.execute(request_id, body.parameters, submit, is_open)
        status = await status_of(execution_id) or "running"
        return Json({**accepted(execution_id, status), "request_id": request_id}, 202 if is_new else 200)

    for number, path in enumerate(("/api/requests/{request_id}/execute", "/requests/{request_id}/execute")):
        routes.add_api_route(
            path, execute_request, methods=["POST"], status_code=202, response_model=answers.RequestAccepted,
            responses={200: {"model": answers.RequestAccepted, "description": "Its open execution"}},
            name="execute_request" + ("_by_short_path" if number else ""), openapi_extra=body_of(RequestExecuteBody),
        )  # fmt: skip
    return routes
