"""The calls that `server.front` answers before any router, declared for OpenAPI and for `wrong_method`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from stagewright.protocol.bodies import BatchBody, ExecuteBody
from stagewright.server import answers


def router() -> APIRouter:
    """Return the declarations; `front` never lets a request come this far."""
    declared = APIRouter(tags=["executions"])

    @declared.post(
        "/execute",
        status_code=202,
        response_model=answers.Accepted,
        responses={200: {"model": answers.Accepted, "description": "The first execution with this key"}},
    )
    async def execute(body: ExecuteBody) -> Response:
        """Submit an execution; it is durable when the answer comes."""
        raise AssertionError("server.front answers this")

    @declared.post(
        "/execute/batch",
        status_code=202,
        response_model=answers.BatchAnswer,
        responses={200: {"model": answers.BatchAnswer, "description": "All of them were there before"}},
    )
    async def execute_batch(body: BatchBody) -> Response:
        """Submit many executions; each is accepted or refused by itself, in order."""
        raise AssertionError("server.front answers this")

    @declared.get("/api/executions/{execution_id}", response_model=answers.ExecutionShown)
    async def get_execution(execution_id: str) -> Response:
        """Show one execution with its stages, output and deliverables."""
        raise AssertionError("server.front answers this")

    return declared
