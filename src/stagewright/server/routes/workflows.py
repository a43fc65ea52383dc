"""Front door for workflows: pipelines that were written as nodes, triggered by their id."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.definitions import dialect_of, load_text
from stagewright.engine.service import Service
from stagewright.engine.views import ListFilter
from stagewright.model.errors import InvalidDocument, Problem, UnknownPipeline
from stagewright.model.pipeline import Pipeline
from stagewright.protocol.bodies import ExecuteBody
from stagewright.protocol.doors import TriggerBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.door_shapes import version_id, workflow_execution, workflow_item
from stagewright.server.routes.accounts import PAGE_MAX
from stagewright.server.routes.reply import Json, body_of, listed

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str, Query(max_length=200)]


def router(service: Service) -> APIRouter:
    """Return the routes. The id of a workflow is `name@version`; the name alone means the newest version."""
    routes = APIRouter(tags=["workflows"])
    registry = service.registry

    async def found(id: str) -> Pipeline:
        pipeline = await registry.named(id)
        if dialect_of(pipeline.document) != "workflow":
            raise UnknownPipeline(f"'{id}' is no workflow: see GET /api/pipelines/{pipeline.name}")
        return pipeline

    @routes.post("/workflows", status_code=201, response_model=answers.WorkflowShown, openapi_extra=_DOCUMENT)
    async def add_workflow(request: Request) -> Response:
        """Register a workflow; a changed one of the same name becomes the next version, with an id of its own."""
        pipeline = load_text(await request.body())
        if dialect_of(pipeline.document) != "workflow":
            detail = "Expected a workflow with name and nodes; register other documents with POST /api/pipelines"
            raise InvalidDocument(detail, (Problem(detail, "#/nodes"),))
        registered, _ = await service.register(pipeline)
        item = workflow_item(await registry.describe(registered.name, registered.version))
        answer = Json(item, 201)
        answer.headers["location"] = f"/workflows/{item['id']}"
        return answer

    @routes.get("/workflows", response_model=answers.WorkflowList)
    async def list_workflows(limit: Limit = 50, cursor: Cursor = "") -> Response:
        """List workflows by name; a page may be short, `next_cursor` says whether there is more."""
        page = await registry.documents(cursor, limit + 1)
        items = [workflow_item(each) for each in page[:limit] if dialect_of(each["document"]) == "workflow"]
        return listed(items, page[limit - 1]["name"] if len(page) > limit else None)

    @routes.get("/workflows/{id}", response_model=answers.WorkflowShown)
    async def get_workflow(id: str) -> Response:
        """Show a workflow as it was written."""
        pipeline = await found(id)
        return Json(workflow_item(await registry.describe(pipeline.name, pipeline.version)))

    @routes.post(
        "/workflows/{id}/trigger", status_code=202, response_model=answers.WorkflowStarted,
        openapi_extra=body_of(TriggerBody),
    )  # fmt: skip
    async def trigger_workflow(request: Request, id: str) -> Response:
        """Execute a workflow."""
        body, pipeline = parse_body(TriggerBody, await request.body() or b"{}"), await found(id)
        name = version_id(pipeline.name, pipeline.version)
        project = pipeline.document.get("projectId") or None
        asked = {"template_name": name, "parameters": body.inputs, "project_id": project}
        execution_id = (await service.execute(ExecuteBody.model_validate(asked))).execution_id
        status = (await service.views.status(execution_id))[0]
        return Json({"executionId": execution_id, "workflowId": name, "status": status}, 202)

    @routes.get("/workflows/{id}/executions", response_model=answers.WorkflowExecutionList)
    async def list_workflow_executions(id: str, limit: Limit = 50, cursor: Cursor = "") -> Response:
        """List the executions of a workflow, the newest first; of one version where the id names one."""
        pipeline = await found(id)
        page = await service.views.executions(ListFilter(limit=limit, before=cursor or None, pipeline=pipeline.name))
        wanted = [each for each in page["items"] if "@" not in id or each["version"] == pipeline.version]
        return listed([workflow_execution(each) for each in wanted], page["next_cursor"])

    return routes


_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A workflow document: `{name, projectId?, nodes: [{id, agent, dependsOn, config}]}`",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
