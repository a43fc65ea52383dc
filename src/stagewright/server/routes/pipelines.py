"""Pipelines: register, list, show, draw, check."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.definitions import load_text, mermaid, pipeline_schema, svg
from stagewright.engine.service import LOADED_AT_ONCE_BYTES, Service
from stagewright.engine.shapes import time_text
from stagewright.model.errors import Invalid, Malformed, Problem
from stagewright.model.pipeline import Pipeline
from stagewright.server import answers
from stagewright.server.routes.reply import Json, listed

PAGE_MAX = 200
VERSION_MAX = 10**15

Project = Annotated[str, Query(min_length=1, max_length=200)]
Version = Annotated[int | None, Query(ge=1, le=VERSION_MAX, description="The newest one if none is named")]

_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A pipeline document",
        "content": {
            "application/json": {"schema": {"$ref": "/schemas/pipeline/v1.json"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}
_DRAWING: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}, "image/svg+xml": {"schema": {"type": "string"}}}}
}


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["pipelines"])
    _add_reads(routes, service)
    _add_mutations(routes, service)
    return routes


def _add_reads(routes: APIRouter, service: Service) -> None:
    registry = service.registry

    @routes.get("/api/pipelines", response_model=answers.PipelineList)
    async def list_pipelines(
        project: Project = "default",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """List the newest version of each pipeline, by name."""
        found = await registry.page(cursor, limit + 1, project)
        items = [_shown(pipeline) for pipeline in found[:limit]]
        return listed(items, items[-1]["name"] if len(found) > limit else None)

    @routes.get("/api/pipelines/{name}", response_model=answers.PipelineDocument)
    async def get_pipeline(name: str, version: Version = None, project: Project = "default") -> Response:
        """Show a pipeline with its document."""
        return Json(_shown(await registry.describe(name, version, project)))

    @routes.get("/api/pipelines/{name}/graph", response_class=Response, responses=_DRAWING)
    async def draw_pipeline(
        name: str,
        form: Annotated[Literal["mermaid", "svg"], Query(alias="format")] = "mermaid",
        version: Version = None,
        project: Project = "default",
    ) -> Response:
        """Draw the stages and what each needs."""
        pipeline = await registry.get(name, version, project)
        if form == "svg":
            return Response(svg(pipeline), media_type="image/svg+xml")
        return Response(mermaid(pipeline), media_type="text/plain")

    @routes.get("/schemas/pipeline/v1.json", response_model=dict[str, Any])
    async def get_pipeline_schema() -> Response:
        """Give the JSON Schema of pipeline documents, for editors."""
        answer = Json(pipeline_schema())
        answer.headers["content-type"] = "application/schema+json"
        return answer


def _add_mutations(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/api/pipelines",
        status_code=201,
        response_model=answers.PipelineDocument,
        responses={200: {"model": answers.PipelineDocument, "description": "The newest version is the same"}},
        openapi_extra=_DOCUMENT,
    )
    async def register_pipeline(request: Request, project: Project = "default") -> Response:
        """Register a document, YAML or JSON; a changed one becomes the next version."""
        pipeline, is_new = await service.register(await _loaded(request), project)
        answer = Json(
            _shown(await service.registry.describe(pipeline.name, pipeline.version, project)), 201 if is_new else 200
        )
        answer.headers["location"] = f"/api/pipelines/{pipeline.name}?version={pipeline.version}"
        return answer

    @routes.delete("/api/pipelines/{name}", status_code=204, response_class=Response)
    async def delete_pipeline(name: str, project: Project = "default") -> Response:
        """Take a pipeline out of use; executions keep their snapshot of it."""
        await service.registry.delete(name, project)
        return Response(status_code=204)

    @routes.post("/api/pipelines/validate", response_model=answers.Validated, openapi_extra=_DOCUMENT)
    async def validate_pipeline(request: Request) -> Response:
        """Say whether a document could be registered, and all that speaks against it."""
        try:
            pipeline = await _loaded(request)
            service.engine.binder.check_workers(pipeline)
        except (Invalid, Malformed) as error:
            problems = error.problems or (Problem(error.detail, "#"),)
            return Json({"valid": False, "name": None, "problems": [problem.as_json() for problem in problems]})
        return Json({"valid": True, "name": pipeline.name, "problems": []})


async def _loaded(request: Request) -> Pipeline:
    """Load the document that a request carries; a long one beside the loop, as YAML takes its time."""
    text = await request.body()
    return load_text(text) if len(text) <= LOADED_AT_ONCE_BYTES else await asyncio.to_thread(load_text, text)


def _shown(pipeline: dict[str, Any]) -> dict[str, Any]:
    return pipeline | {"created_at": time_text(pipeline["created_at"])}
