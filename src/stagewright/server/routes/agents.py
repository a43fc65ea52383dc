"""Front door for agents: names that nodes of workflows use for workers, and what these did."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from stagewright.accounts.directory import Directory
from stagewright.engine.service import Service
from stagewright.engine.shapes import time_text
from stagewright.engine.views import ListFilter
from stagewright.model.errors import WrongState
from stagewright.protocol.doors import AgentBody
from stagewright.server import door_answers as answers
from stagewright.server.body import parse_body
from stagewright.server.routes.accounts import PAGE_MAX
from stagewright.server.routes.reply import Json, body_of, listed

EXECUTIONS_MAX = 50
"""Executions that one page of what agents did looks into."""


def router(service: Service, agents: Directory) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["workflows"])
    dispatcher = service.engine.dispatcher

    def meant(name: str) -> str:
        facts = dispatcher.facts(name)
        return name if facts is None else facts.name

    def shown(item: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in item.items() if not key.endswith("_at")}
        worker = own.get("worker") or meant(item["name"])
        is_there = dispatcher.facts(worker) is not None
        return {**own, "worker": worker, "available": is_there, "createdAt": time_text(item["created_at"])}

    @routes.post("/agents", status_code=201, response_model=answers.AgentShown, openapi_extra=body_of(AgentBody))
    async def put_agent(request: Request) -> Response:
        """Register an agent, or change it (200)."""
        body = parse_body(AgentBody, await request.body())
        if body.worker not in (None, body.name) and body.name in dispatcher.names():
            raise WrongState(f"'{body.name}' is a worker, and a name that exists is always itself: use another name")
        item, is_new = await agents.put(body.name, body.model_dump(exclude_none=True))
        dispatcher.aliases.agents.pop(body.name, None)
        if body.worker is not None:
            dispatcher.aliases.agents[body.name] = body.worker
        dispatcher.look()
        return Json(shown(item), 201 if is_new else 200)

    @routes.get("/agents", response_model=answers.AgentList)
    async def list_agents(
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """List agents by name."""
        found = await agents.page(cursor, limit + 1)
        return listed([shown(item) for item in found[:limit]], found[limit - 1]["name"] if len(found) > limit else None)

    @routes.get("/agent-runs", response_model=answers.AgentRunList)
    async def list_agent_steps(
        agent: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=EXECUTIONS_MAX, description="Executions to look into")] = 20,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """List what agents did in the newest executions; a page may be empty, `next_cursor` says if there is more."""
        page = await service.views.executions(ListFilter(limit=limit, before=cursor))
        items: list[dict[str, Any]] = []
        for item in page["items"]:
            execution = await service.views.execution(item["execution_id"])
            for stage in execution["stages"]:
                worker = stage["worker"]
                if worker and stage["attempt"] and (agent is None or meant(worker) == meant(agent)):
                    items.append(_step(execution["execution_id"], stage))
        return listed(items, page["next_cursor"])

    return routes


def _step(execution_id: str, stage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{execution_id}/{stage['stage_id']}",
        "agent": stage["worker"],
        "executionId": execution_id,
        "nodeId": stage["stage_id"],
        "status": stage["status"],
        "attempt": stage["attempt"],
        "startedAt": stage["started_at"],
        "completedAt": stage["completed_at"],
        "error": stage["error"],
    }
