"""Puts the application together: hot routes, streams and the rest over one service."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp

from stagewright import __version__
from stagewright.accounts.directory import Directory
from stagewright.accounts.requests import Requests
from stagewright.engine.service import Service
from stagewright.ports.clock import Chance
from stagewright.server.front import Front
from stagewright.server.openapi import describe
from stagewright.server.routes import (
    accounts,
    agents,
    artifacts,
    declared,
    executions,
    master_templates,
    pipelines,
    requests,
    runs,
    system,
    workflows,
)


class _Routes(FastAPI):
    """FastAPI without its layers of error handling: what a route raises is told by `front` alone."""

    def build_middleware_stack(self) -> ASGIApp:
        """Keep only what closes the resources of a request."""
        return AsyncExitStackMiddleware(self.router)


def build_app(service: Service, chance: Chance, data: Path) -> Front:
    """Return the ASGI application; `data` is the folder whose disk `/health/detailed` looks at."""
    routes = _Routes(
        title="Stagewright",
        version=__version__,
        summary="Durable pipelines: submit, watch, steer, fetch what they produced.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        generate_unique_id_function=lambda route: route.name,
    )
    engine = service.engine
    rows = (engine.store, engine.clock, engine.ids)
    for router in (
        declared.router(),
        executions.router(service),
        pipelines.router(service),
        artifacts.router(service),
        accounts.router(Directory("client", *rows), Directory("project", *rows)),
        requests.router(service, Requests(*rows)),
        master_templates.router(service),
        runs.router(service),
        workflows.router(service),
        agents.router(service, Directory("agent", *rows)),
        system.router(service, data),
    ):
        routes.include_router(router)
    describe(routes)
    return Front(service, chance, routes)
