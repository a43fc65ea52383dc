"""Front door for master templates: pipelines that were written as such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.definitions import dialect_of, load_value
from stagewright.engine.service import Service
from stagewright.model.errors import InvalidDocument, Problem, UnknownPipeline
from stagewright.protocol.doors import MasterTemplateBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.routes.accounts import PAGE_MAX
from stagewright.server.routes.reply import Json, body_of, listed

Project = Annotated[str, Query(min_length=1, max_length=200)]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["master templates"])
    registry = service.registry

    @routes.get("/api/master-templates", response_model=answers.MasterTemplateList)
    async def list_master_templates(
        project: Project = "default",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """List master templates by name; a page may be short, `next_cursor` says whether there is more."""
        found = await registry.documents(cursor, limit + 1, project)
        templates = [each for each in found[:limit] if dialect_of(each["document"]) == "master_template"]
        items = [shown(each["document"], each["version"]) for each in templates]
        return listed(items, found[limit - 1]["name"] if len(found) > limit else None)

    @routes.get("/api/master-templates/{name}", response_model=answers.MasterTemplateShown)
    async def get_master_template(name: str, project: Project = "default") -> Response:
        """Show a master template; `name@version` names a version."""
        pipeline = await registry.named(name, project)
        if dialect_of(pipeline.document) != "master_template":
            raise UnknownPipeline(f"'{name}' is no master template: see GET /api/pipelines/{pipeline.name}")
        return Json(shown(pipeline.document, pipeline.version))

    @routes.put(
        "/api/master-templates/{name}",
        response_model=answers.MasterTemplateShown,
        responses={201: {"model": answers.MasterTemplateShown, "description": "The first or a changed version"}},
        openapi_extra=body_of(MasterTemplateBody),
    )
    async def put_master_template(request: Request, name: str, project: Project = "default") -> Response:
        """Register a master template; a changed one becomes the next version."""
        body = parse_body(MasterTemplateBody, await request.body())
        if body.template_name not in (None, name):
            detail = f"Expected the name of the path, {name}, found: {body.template_name}"
            raise InvalidDocument(detail, (Problem(detail, "#/template_name"),))
        document = body.model_dump(exclude_unset=True) | {"template_name": name}
        pipeline, is_new = await service.register(load_value(document), project)
        return Json(shown(pipeline.document, pipeline.version), 201 if is_new else 200)

    return routes


def shown(document: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Show a master template with its stages as a text."""
    stages = document["pipeline_stages"]
    text = stages if isinstance(stages, str) else orjson.dumps(stages).decode()
    name = document["template_name"]
    template_id = document.get("template_id") or name
    return {**document, "template_id": template_id, "template_name": name, "pipeline_stages": text, "version": version}
