"""Puts the application together: hot routes, streams and the rest over one service."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp

from stagewright import __version__
from stagewright.engine.service import Service
from stagewright.ports.clock import Chance
from stagewright.server.front import Front
from stagewright.server.openapi import describe
from stagewright.server.routes import artifacts, declared, executions, pipelines, system


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
    for router in (
        declared.router(),
        executions.router(service),
        pipelines.router(service),
        artifacts.router(service),
        system.router(service, data),
    ):
        routes.include_router(router)
    describe(routes)
    return Front(service, chance, routes)
