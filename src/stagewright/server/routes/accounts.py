"""Front door of key accounts: clients and projects."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from stagewright.accounts.directory import Directory
from stagewright.engine.shapes import time_text
from stagewright.protocol.doors import ClientBody, ProjectBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.routes.reply import Json, body_of, listed

PAGE_MAX = 200


def router(clients: Directory, projects: Directory) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["accounts"])
    _add(routes, clients, ClientBody, answers.ClientShown, answers.ClientList)
    _add(routes, projects, ProjectBody, answers.ProjectShown, answers.ProjectList)
    return routes


def _add(
    routes: APIRouter, directory: Directory, body: type[BaseModel], one: type[BaseModel], many: type[BaseModel]
) -> None:
    kind, path = directory.kind, f"/api/{directory.kind}s"

    @routes.get(path, name=f"list_{kind}s", description=f"List {kind}s by their ids.", response_model=many)
    async def list_items(
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        found = await directory.page(cursor, limit + 1)
        items = [timed(item) for item in found[:limit]]
        return listed(items, items[-1][directory.key] if len(found) > limit else None)

    @routes.post(
        path, name=f"add_{kind}", description=f"Add a {kind}.", status_code=201, response_model=one,
        openapi_extra=body_of(body),
    )  # fmt: skip
    async def add_item(request: Request) -> Response:
        fields = parse_body(body, await request.body()).model_dump(exclude_none=True)
        added = await directory.add(fields)
        answer = Json(timed(added), 201)
        answer.headers["location"] = f"{path}/{added[directory.key]}"
        return answer

    @routes.get(path + "/{id}", name=f"get_{kind}", description=f"Show a {kind}.", response_model=one)
    async def get_item(id: str) -> Response:
        return Json(timed(await directory.get(id)))

    @routes.put(
        path + "/{id}", name=f"put_{kind}", description=f"Make a {kind} what it shall be from now on.",
        response_model=one, responses={201: {"model": one, "description": "It is new"}}, openapi_extra=body_of(body),
    )  # fmt: skip
    async def put_item(request: Request, id: str) -> Response:
        fields = parse_body(body, await request.body()).model_dump(exclude_none=True)
        put, is_new = await directory.put(id, fields)
        return Json(timed(put), 201 if is_new else 200)


def timed(item: dict[str, Any]) -> dict[str, Any]:
    """Show the times of an item as texts."""
    return item | {name: time_text(item[name]) for name in ("created_at", "updated_at")}
