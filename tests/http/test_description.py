"""The description of the API is valid, complete and true; health tells what it should."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from stagewright.server import answers
from tests.http.site import Api

ROUTES = """
POST /execute
POST /execute/batch
GET /progress/{execution_id}
GET /api/executions
GET /api/executions/{execution_id}
GET /api/executions/{execution_id}/steps
GET /api/executions/{execution_id}/events
GET /api/executions/{execution_id}/artifacts
GET /api/executions/{execution_id}/deliverables
GET /api/executions/{execution_id}/explain
POST /api/executions/{execution_id}/cancel
POST /api/executions/{execution_id}/retry
GET /api/pipelines
POST /api/pipelines
GET /api/pipelines/{name}
DELETE /api/pipelines/{name}
GET /api/pipelines/{name}/graph
POST /api/pipelines/validate
GET /schemas/pipeline/v1.json
GET /api/artifacts/{artifact_id}
GET /api/objects/{key}
GET /api/workers
GET /api/workers/{name}
GET /health
GET /health/live
GET /health/ready
GET /health/detailed
GET /dev/stuck-steps
GET /openapi.json
GET /problems/{code}
GET /api/clients
POST /api/clients
GET /api/clients/{id}
PUT /api/clients/{id}
GET /api/projects
POST /api/projects
GET /api/projects/{id}
PUT /api/projects/{id}
GET /api/requests
POST /api/requests
GET /api/requests/{request_id}
POST /api/requests/{request_id}/execute
POST /requests/{request_id}/execute
GET /api/master-templates
GET /api/master-templates/{name}
PUT /api/master-templates/{name}
GET /runs
POST /runs
GET /runs/{id}
GET /runs/{id}/events
GET /runs/{id}/stream
GET /workflows
POST /workflows
GET /workflows/{id}
POST /workflows/{id}/trigger
GET /workflows/{id}/executions
GET /agents
POST /agents
GET /agent-runs
"""


@pytest.fixture
def described(api: Api) -> dict[str, Any]:
    body: dict[str, Any] = api.get("/openapi.json").json()
    return body


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_all_routes_are_described_and_nothing_else(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    assert set(operations(described)) == set(ROUTES.strip().splitlines())


def test_every_reference_resolves_and_every_schema_is_one(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    named = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', str(described).replace("'", '"')))
    assert named <= set(schemas) and {"ExecuteBody", "ProblemDocument", "EventFrame", "RetryBody"} <= named | set(
        schemas
    )
    assert "HTTPValidationError" not in schemas
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_says_what_it_does_and_how_it_refuses(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(described).values()]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(described).items():
        assert operation["description"], name
        told = operation["responses"]
        assert "application/problem+json" in told["500"]["content"], name
        if not name.startswith("GET"):
            assert "application/problem+json" in told["422"]["content"], name
            assert any(one["name"] == "Idempotency-Key" for one in operation["parameters"]), name
        declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", name)), name


def test_streams_are_described(described: dict[str, Any]) -> None:
    operation = described["paths"]["/progress/{execution_id}"]["get"]

    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert "204" in operation["responses"]
    assert {"Last-Event-ID", "after"} <= {one["name"] for one in operation["parameters"]}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_a_healthy_service_says_so(api: Api, path: str) -> None:
    health = answers.Health.model_validate(api.get(path).json())

    assert health.status == "pass" and health.version


def test_health_in_detail_asks_every_part_and_says_how_long_it_took(api: Api) -> None:
    health = answers.Health.model_validate(api.get("/health/detailed").json())

    assert health.checks is not None and set(health.checks) == {"database", "objects", "workers", "disk"}
    assert all(check.latency_ms >= 0 and check.detail for check in health.checks.values())
    assert {check.status for check in health.checks.values()} <= {"pass", "warn"}
