"""The description of the API: problems in place of the routing library's own errors, streams where there are some."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stagewright.protocol.bodies import BatchBody, CancelBody, ExecuteBody, RetryBody
from stagewright.protocol.doors import DOOR_BODIES
from stagewright.server import answers
from stagewright.server.body import know_fields
from stagewright.server.problem import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_MUTATIONS = ("post", "put", "patch", "delete")
_OWN: tuple[type[BaseModel], ...] = (answers.ProblemDocument, answers.EventFrame, CancelBody, RetryBody, *DOOR_BODIES)

_TITLES = {
    "400": "The request cannot be read",
    "404": "There is no such thing",
    "409": "The state does not allow it, or a key is in use",
    "413": "The body is too large",
    "416": "There is no such part",
    "422": "The body is not valid; `errors` names every problem",
    "500": "The server failed; its log has the `trace_id`",
    "503": "Nothing can be made durable now; see Retry-After",
}


def describe(routes: FastAPI) -> None:
    """Make `routes.openapi()` give the whole description; it is built at the first call."""
    know_fields(ExecuteBody, BatchBody, CancelBody, RetryBody, *DOOR_BODIES)

    def openapi() -> dict[str, Any]:
        if routes.openapi_schema is None:
            routes.openapi_schema = _build(routes)
        return routes.openapi_schema

    routes.openapi = openapi  # type: ignore[method-assign]


def _build(routes: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=routes.title, version=routes.version, summary=routes.summary, routes=routes.routes,
        openapi_version="3.1.0", separate_input_output_schemas=False,
    )  # fmt: skip
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    _, own = models_json_schema([(model, "validation") for model in _OWN], ref_template=_REF)
    schemas.update(own["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            _tell_problems(path, method, operation)
    _tell_streams(described["paths"]["/progress/{execution_id}"]["get"])
    return described


def _tell_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    told = operation["responses"]
    told.pop("422", None)
    statuses = ["400", "500", "503"]
    if "{" in path or path == "/execute":
        statuses.append("404")
    if method in _MUTATIONS:
        statuses += ["409", "413", "422"]
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    if path.startswith(("/api/artifacts/", "/api/objects/")):
        statuses.append("416")
    for status in sorted(statuses):
        schema = {"$ref": _REF.format(model="ProblemDocument")}
        told[status] = {"description": _TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}


def _tell_streams(operation: dict[str, Any]) -> None:
    schema = {"$ref": _REF.format(model="EventFrame")}
    text = "Frames `id: NUMBER`, `data: EVENT`; ends after the final event. A WebSocket on this path sends the same."
    operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": {**schema, "description": text}}
    operation["responses"]["204"] = {"description": "As a stream: the final event has been seen"}
    operation["parameters"] += [
        {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"},
         "description": "Number of the last event that is known"},
        {"name": "after", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0},
         "description": "The same, where headers cannot be set"},
    ]  # fmt: skip


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 257},
    "description": "The same key and payload give the first answer again for 24 h; another payload is refused",
}
