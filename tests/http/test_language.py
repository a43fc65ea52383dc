"""The pipeline language over HTTP, on a real server with the built-in worker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.site import Api


def document(*stages: dict[str, Any]) -> dict[str, Any]:
    """Return a pipeline that takes any `go`."""
    parameters = {"type": "object", "properties": {"go": {}}}
    return {"name": "language", "parameters": parameters, "stages": list(stages)}


def stage_of(execution: dict[str, Any], id: str) -> dict[str, Any]:
    """Return one stage of a shown execution."""
    return next(stage for stage in execution["stages"] if stage["stage_id"] == id)


# --- when -----------------------------------------------------------------------------------------------------------


def test_a_branch_is_skipped_and_what_joins_it_runs(api: Api) -> None:
    pipeline = document(
        {"id": "a", "worker": "probe", "when": "${{ parameters.go }}", "inputs": {"from": "a"}},
        {"id": "b", "worker": "probe", "when": "${{ !parameters.go }}", "inputs": {"from": "b"}},
        {"id": "c", "worker": "probe", "inputs": {"a": "${{ stages.a.output }}", "b": "${{ stages.b.output }}"}},
    )

    execution = api.finished(api.submit(pipeline, parameters={"go": False}))

    assert execution["output"] == {"a": None, "b": {"from": "b"}}
    assert (stage_of(execution, "a")["status"], stage_of(execution, "a")["attempt"]) == ("skipped", 0)
    assert execution["progress"] == 100.0
    events = api.get(f"/api/executions/{execution['execution_id']}/events").json()["items"]
    assert [event["data"] for event in events if event["type"] == "stage.skipped"] == [{"reason": "when"}]


def test_a_condition_that_is_none_fails_with_its_name(api: Api) -> None:
    pipeline = document({"id": "a", "worker": "probe", "when": "${{ parameters.go }}"})

    execution = api.finished(api.submit(pipeline, parameters={"go": "maybe"}))

    assert (execution["status"], execution["error"]["code"]) == ("failed", "expression_failed")
    assert "stage 'a'" in execution["error"]["message"] and '"maybe"' in execution["error"]["message"]


def test_a_stage_that_may_fail_hands_on_null(api: Api) -> None:
    pipeline = document(
        {"id": "a", "worker": "probe", "action": "fail", "on_error": "continue", "retry": {"max_attempts": 1}},
        {"id": "b", "worker": "probe", "when": "${{ stages.a.status == 'failed' }}",
         "inputs": {"a": "${{ stages.a.output }}"}},
    )  # fmt: skip

    assert api.finished(api.submit(pipeline))["output"] == {"a": None}


@pytest.mark.parametrize(
    ("when", "said"),
    [("maybe", "one expression"), ("${{ a }} and ${{ b }}", "one expression"), (3, "true or false or text"),
     ("${{ stages.zero.status }}", "There is no stage"), ("${{ parameters.gone }}", "gone")],
)  # fmt: skip
def test_a_condition_that_can_never_hold_is_refused_at_once(api: Api, when: Any, said: str) -> None:
    pipeline = document({"id": "a", "worker": "probe", "when": when})

    problem = api.problem("POST", "/execute", 422, "invalid_document", json={"pipeline": pipeline})

    assert any(item["pointer"] == "#/stages/0/when" and said in item["detail"] for item in problem["errors"]), problem
