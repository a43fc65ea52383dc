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


# --- for_each -------------------------------------------------------------------------------------------------------


def mapped(items: Any, *, inputs: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a stage `m` that gives back each item with its number."""
    return {
        "id": "m", "worker": "probe", "for_each": items,
        "inputs": {"item": "${{ item }}", "index": "${{ index }}"} if inputs is None else inputs, **fields,
    }  # fmt: skip


def test_the_outputs_of_items_are_a_list_in_their_order(api: Api) -> None:
    pipeline = document(mapped("${{ parameters.go }}", max_parallel=2))

    execution = api.finished(api.submit(pipeline, parameters={"go": ["a", {"b": 1}, None]}))

    assert execution["output"] == [
        {"item": "a", "index": 0}, {"item": {"b": 1}, "index": 1}, {"item": None, "index": 2},
    ]  # fmt: skip
    assert stage_of(execution, "m")["steps"] == {"total": 3, "completed": 3, "failed": 0}


def test_steps_of_items_come_in_pages_in_their_order(api: Api) -> None:
    pipeline = document(mapped(list(range(25)), inputs={"x": 1}), {"id": "after", "worker": "probe", "needs": ["m"]})
    execution_id = api.submit(pipeline)
    api.finished(execution_id)

    names, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/api/executions/{execution_id}/steps", params={"limit": 7, "cursor": cursor}).json()
        names += [(step["stage_id"], step["step"]) for step in page["items"]]
        assert len(page["items"]) <= 7
        cursor = page["next_cursor"]

    assert names == [("after", "after"), ("m", "m"), *(("m", f"m[{item}]") for item in range(25))]


def test_no_item_is_a_map_that_completes(api: Api) -> None:
    execution = api.finished(api.submit(document(mapped([]))))

    assert (execution["status"], execution["output"]) == ("completed", [])


@pytest.mark.parametrize(
    ("tolerate", "status", "output"),
    [({"failed": 2}, "completed", [None, None, {"attempts": 1}]), ({"failed_ratio": 0.5}, "failed", None)],
)
def test_so_many_items_may_fail(api: Api, tolerate: dict[str, Any], status: str, output: Any) -> None:
    inputs = {"times": "${{ index < 2 ? 9 : 0 }}"}
    retry = {"max_attempts": 1}
    pipeline = document(mapped([1, 2, 3], inputs=inputs, action="fail", tolerate=tolerate, retry=retry, max_parallel=1))

    execution = api.finished(api.submit(pipeline))

    assert (execution["status"], execution["output"]) == (status, output)
    assert stage_of(execution, "m")["steps"]["failed"] == 2
    if status == "failed":
        assert execution["error"]["stage_id"] == "m"
        assert "2 of 3 items" in execution["error"]["message"] and "m[1]" in execution["error"]["message"]


def test_a_retry_runs_only_the_items_that_did_not_complete(api: Api) -> None:
    inputs = {"times": "${{ index == 1 ? 1 : 0 }}"}
    pipeline = document(mapped([1, 2, 3], inputs=inputs, action="fail", retry={"max_attempts": 1}, max_parallel=1))
    execution_id = api.submit(pipeline)
    assert stage_of(api.finished(execution_id), "m")["steps"] == {"total": 3, "completed": 1, "failed": 1}

    assert api.post(f"/api/executions/{execution_id}/retry").status_code == 202

    execution = api.finished(execution_id)
    assert execution["output"] == [{"attempts": 1}, {"attempts": 2}, {"attempts": 2}]
    assert stage_of(execution, "m")["steps"] == {"total": 3, "completed": 3, "failed": 0}


def test_outputs_too_large_to_be_inline_pass_by_reference(api: Api) -> None:
    pipeline = document(
        mapped([30_000, 20_000, 1_500_000], inputs={"bytes": "${{ item }}"}, action="produce"),
        {"id": "after", "worker": "probe", "inputs": {"count": "${{ stages.m.summary.completed }}"}},
    )

    execution = api.finished(api.submit(pipeline))

    ref = stage_of(execution, "m")["data_ref"]
    assert ref["storage_type"] == "object" and ref["size_bytes"] > 1_550_000
    assert [len(output["text"]) for output in api.get(ref["url"]).json()] == [30_000, 20_000, 1_500_000]
    assert execution["output"] == {"count": 3}


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ("${{ parameters.go }}", '{"no":"list"}'),
        ("${{ parameters.go.no }}", '"list"'),
        ("${{ size(parameters.go) }}", "1"),
    ],
)
def test_what_is_no_list_fails_with_the_expression_that_gave_it(api: Api, items: str, found: str) -> None:
    execution = api.finished(api.submit(document(mapped(items)), parameters={"go": {"no": "list"}}))

    assert execution["error"]["code"] == "expression_failed"
    assert items in execution["error"]["message"] and found in execution["error"]["message"]


def test_a_map_that_fails_where_the_rest_goes_on_has_null_for_its_outputs(api: Api) -> None:
    pipeline = document(
        mapped(list(range(5)), inputs={"x": "${{ item.gone }}"}, on_error="continue"),
        {"id": "after", "worker": "probe", "inputs": {"outputs": "${{ stages.m.outputs }}"}},
    )

    execution = api.finished(api.submit(pipeline))

    assert execution["output"] == {"outputs": None}
    assert stage_of(execution, "m")["status"] == "failed"
    assert "m[0]" in stage_of(execution, "m")["error"]["message"]


@pytest.mark.parametrize(
    ("stage", "place", "said"),
    [
        (mapped("no list"), "for_each", "one expression"),
        (mapped(7), "for_each", "text"),
        (mapped([1], max_parallel=0), "max_parallel", "at least 1"),
        (mapped([1], max_parallel=10**9), "max_parallel", "at most 1000"),
        (mapped([1], tolerate={"failed": -1}), "tolerate/failed", "at least 0"),
        (mapped([1], tolerate={"failed_ratio": 1.5}), "tolerate/failed_ratio", "at most 1"),
        (mapped("${{ item }}"), "for_each", "item is known only"),
        ({"id": "m", "worker": "probe", "inputs": {"x": "${{ index }}"}}, "inputs/x", "index is known only"),
        ({"id": "m", "worker": "probe", "tolerate": {"failed": 1}}, "tolerate", "only in a stage with for_each"),
        ({"id": "m", "sleep": 1, "for_each": [1]}, "for_each", "needs a worker"),
    ],
)
def test_a_map_that_cannot_be_is_refused_at_once(api: Api, stage: dict[str, Any], place: str, said: str) -> None:
    problem = api.problem("POST", "/execute", 422, "invalid_document", json={"pipeline": document(stage)})

    found = {item["pointer"]: item["detail"] for item in problem["errors"]}
    assert said in found[f"#/stages/0/{place}"], found


@pytest.mark.parametrize(("stages", "mend"), [("a.outputs", "a.output"), ("m.output", "m.outputs")])
def test_output_and_outputs_are_told_apart(api: Api, stages: str, mend: str) -> None:
    last = {"id": "last", "worker": "probe", "inputs": {"x": f"${{{{ stages.{stages} }}}}"}}

    problem = api.problem(
        "POST", "/execute", 422, "invalid_document",
        json={"pipeline": document({"id": "a", "worker": "probe"}, mapped([1]), last)},
    )  # fmt: skip

    assert f"write stages.{mend}" in problem["detail"]


def test_a_cursor_that_is_none_is_refused(api: Api) -> None:
    execution_id = api.submit(document(mapped([1])))

    api.problem("GET", f"/api/executions/{execution_id}/steps", 400, "malformed", params={"cursor": "m[x]"})
