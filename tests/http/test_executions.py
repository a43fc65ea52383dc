"""Submitting, reading and steering executions over HTTP."""

from __future__ import annotations

import pytest

from stagewright.server import answers
from tests.http.site import Api, echo, sleeper, until


def test_a_submission_is_accepted_and_ends_with_its_output(api: Api) -> None:
    answer = api.post("/execute", json={"pipeline": echo(word="hi"), "parameters": {}, "tags": ["t1"]})

    assert answer.status_code == 202
    accepted = answers.Accepted.model_validate(answer.json())
    assert accepted.progress_url == f"/progress/{accepted.execution_id}"
    execution = api.finished(accepted.execution_id)
    answers.ExecutionShown.model_validate(execution)
    assert execution["status"] == "completed"
    assert execution["output"] == {"word": "hi"}
    assert execution["stages"][0]["steps"] == {"total": 1, "completed": 1, "failed": 0}
    assert execution["tags"] == ["t1"]


def test_a_registered_pipeline_is_executed_by_name_and_version(api: Api) -> None:
    api.post("/api/pipelines", json=echo("by_name", word="first"))
    api.post("/api/pipelines", json=echo("by_name", word="second"))

    newest = api.post("/execute", json={"template_name": "by_name"}).json()["execution_id"]
    first = api.post("/execute", json={"template_name": "by_name@1"}).json()["execution_id"]

    assert api.finished(newest)["output"] == {"word": "second"}
    assert api.finished(first)["output"] == {"word": "first"}
    assert api.finished(first)["version"] == 1


def test_a_batch_answers_in_order_with_executions_and_problems(api: Api) -> None:
    bodies = [
        {"pipeline": echo(n=0)},
        {"template_name": "not_there"},
        {"pipeline": echo(n=2), "priority": "urgent"},
        {"pipeline": echo(n="\u0000")},
        {"pipeline": echo(n=4)},
    ]

    answer = api.post("/execute/batch", json={"executions": bodies})

    assert answer.status_code == 202
    items = answers.BatchAnswer.model_validate(answer.json()).items
    assert [type(item).__name__ for item in items] == [
        "Accepted", "BatchProblem", "BatchProblem", "BatchProblem", "Accepted",
    ]  # fmt: skip
    codes = [item.problem.code for item in items if isinstance(item, answers.BatchProblem)]
    assert codes == ["unknown_pipeline", "invalid", "invalid"]
    last = answer.json()["items"][4]["execution_id"]
    assert api.finished(last)["output"] == {"n": 4}


def test_a_thousand_are_accepted_in_one_call_and_one_more_is_not(api: Api) -> None:
    api.post("/api/pipelines", json=echo("thousand"))
    body = {"template_name": "thousand"}

    items = api.post("/execute/batch", json={"executions": [body] * 1000}).json()["items"]

    assert len({item["execution_id"] for item in items}) == 1000
    problem = api.problem("POST", "/execute/batch", 422, "invalid", json={"executions": [body] * 1001})
    assert problem["errors"][0]["pointer"] == "#/executions"


def test_the_parts_of_an_execution_can_be_listed(api: Api) -> None:
    execution_id = api.submit(echo())
    api.finished(execution_id)
    path = f"/api/executions/{execution_id}"

    steps = answers.StepList.model_validate(api.get(f"{path}/steps").json())
    events = answers.EventList.model_validate(api.get(f"{path}/events").json())
    answers.ArtifactList.model_validate(api.get(f"{path}/artifacts").json())
    answers.DeliverableList.model_validate(api.get(f"{path}/deliverables").json())

    assert [(step.step, step.status, step.attempt) for step in steps.items] == [("say", "completed", 1)]
    assert [event.seq for event in events.items] == list(range(1, len(events.items) + 1))
    assert events.items[0].type == "execution.created" and events.items[-1].type == "execution.completed"


def test_events_are_read_page_by_page_without_gap_or_repeat(api: Api) -> None:
    execution_id = api.submit(echo())
    api.finished(execution_id)
    path = f"/api/executions/{execution_id}/events"
    seen, cursor = [], "0"

    while cursor is not None:
        page = api.get(path, params={"limit": 2, "cursor": cursor}).json()
        seen += [event["seq"] for event in page["items"]]
        cursor = page["next_cursor"]

    assert seen == [1, 2, 3, 4, 5, 6]
    assert [event["seq"] for event in api.get(path, params={"after": 4}).json()["items"]] == [5, 6]


def test_executions_are_listed_newest_first_and_filtered(api: Api) -> None:
    ids = [api.submit(echo("listed"), client_id="c-list", tags=[f"n{n}", "all"]) for n in range(3)]
    for execution_id in ids:
        api.finished(execution_id)

    def found(**filters: str) -> list[str]:
        page = answers.ExecutionList.model_validate(api.get("/api/executions", params=filters).json())
        return [item.execution_id for item in page.items]

    assert found(client="c-list") == ids[::-1]
    assert found(client="c-list", pipeline="listed", status="completed") == ids[::-1]
    assert found(client="c-list", tag="n1") == [ids[1]]
    assert found(client="c-list", tag="n9") == []
    assert found(text=ids[0][5:]) == [ids[0]]
    assert found(client="c-list", status="failed") == []
    assert found(client="c-list", project="other") == []
    assert found(client="c-list", to="2020-01-01T00:00:00Z") == []
    assert found(client="c-list", **{"from": "2020-01-01T00:00:00Z"}) == ids[::-1]


def test_a_list_goes_on_at_its_cursor(api: Api) -> None:
    ids = [api.submit(echo("paged"), client_id="c-page") for _ in range(5)]

    first = api.get("/api/executions", params={"client": "c-page", "limit": 3}).json()
    second = api.get("/api/executions", params={"client": "c-page", "limit": 3, "cursor": first["next_cursor"]}).json()

    assert [item["execution_id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_an_open_execution_is_cancelled_and_a_cancelled_one_is_not(api: Api) -> None:
    execution_id = api.submit(sleeper())

    answer = api.post(f"/api/executions/{execution_id}/cancel", json={"reason": "not needed"})

    assert (answer.status_code, answer.json()) == (200, {"execution_id": execution_id, "status": "cancelled"})
    execution = api.get(f"/api/executions/{execution_id}").json()
    assert execution["status"] == "cancelled" and execution["error"]["message"] == "not needed"
    again = api.problem("POST", f"/api/executions/{execution_id}/cancel", 409, "wrong_state")
    assert "cancelled" in again["detail"]


def test_cancelling_needs_no_body_and_no_content_type(api: Api) -> None:
    execution_id = api.submit(sleeper())

    answer = api.post(
        f"/api/executions/{execution_id}/cancel", content=b'{"reason": "x"}', headers={"content-type": "a/b"}
    )

    assert answer.status_code == 200
    assert api.get(f"/api/executions/{execution_id}").json()["error"]["message"] == "x"


def test_a_failed_execution_says_why_and_goes_on_where_it_failed(api: Api) -> None:
    fails_once = {"times": 1, "code": "flaky", "retryable": False}
    execution_id = api.submit(
        {
            "name": "two",
            "stages": [
                {"id": "a", "worker": "probe"},
                {"id": "b", "worker": "probe", "action": "fail", "needs": ["a"], "inputs": fails_once},
            ],
        }
    )
    failed = api.finished(execution_id)
    assert (failed["status"], failed["error"]["code"], failed["error"]["stage_id"]) == ("failed", "flaky", "b")
    assert "flaky" in str(api.get(f"/api/executions/{execution_id}/events").json())

    answer = api.post(f"/api/executions/{execution_id}/retry")

    assert answer.status_code == 202 and answer.json()["execution_id"] == execution_id
    done = until(lambda: (e := api.finished(execution_id))["status"] == "completed" and e)
    assert [stage["attempt"] for stage in done["stages"]] == [1, 2]
    assert done["round"] == 2


def test_a_completed_execution_is_done_again_from_a_named_stage_only(api: Api) -> None:
    execution_id = api.submit(echo())
    api.finished(execution_id)
    path = f"/api/executions/{execution_id}/retry"

    assert "from_stage" in api.problem("POST", path, 409, "wrong_state")["detail"]
    assert "say" in api.problem("POST", path, 404, "not_found", json={"from_stage": "nope"})["detail"]
    wrong = api.problem("POST", path, 422, "invalid", json={"from_stag": "say"})
    assert "did you mean from_stage" in wrong["errors"][0]["detail"]
    assert api.post(path, json={"from_stage": "say"}).status_code == 202


def test_an_open_execution_cannot_be_retried(api: Api) -> None:
    execution_id = api.submit(sleeper())

    assert "running" in api.problem("POST", f"/api/executions/{execution_id}/retry", 409, "wrong_state")["detail"]


def test_what_an_execution_waits_for_is_explained(api: Api) -> None:
    execution_id = api.submit(sleeper())

    explained = answers.Explained.model_validate(api.get(f"/api/executions/{execution_id}/explain").json())

    assert explained.status == "running" and explained.waiting is not None
    assert [(step.step, step.status, step.reason) for step in explained.steps] == [("nap", "waiting", "sleep")]
    assert explained.steps[0].eta is not None and "nap" in explained.explanation


def test_a_step_that_runs_is_explained_and_shows_its_progress(api: Api) -> None:
    stage = {"id": "slow", "worker": "probe", "action": "sleep", "inputs": {"seconds": 60}}
    execution_id = api.submit({"name": "slow", "stages": [stage]})

    steps = until(lambda: api.get(f"/api/executions/{execution_id}/explain").json()["steps"])
    progress = answers.ProgressShown.model_validate(api.get(f"/progress/{execution_id}").json())

    assert steps[0]["status"] == "running" and "probe" in steps[0]["reason"]
    assert (progress.status, progress.stage, progress.progress) == ("running", "slow", 0.0)
    assert api.post(f"/api/executions/{execution_id}/cancel").status_code == 200


def test_stuck_steps_are_listed_with_their_reason(api: Api) -> None:
    execution_id = api.submit(sleeper())

    page = answers.StuckList.model_validate(api.get("/dev/stuck-steps", params={"older_than": "0s"}).json())

    mine = [item for item in page.items if item.execution_id == execution_id]
    assert [(item.step, item.reason) for item in mine] == [("nap", "sleep")]
    assert api.get("/dev/stuck-steps", params={"older_than": "1h"}).json()["items"] == []


@pytest.mark.parametrize("path", ["", "/steps", "/events", "/artifacts", "/deliverables", "/explain"])
def test_an_unknown_execution_is_a_404_everywhere(api: Api, path: str) -> None:
    api.problem("GET", f"/api/executions/exec_00000000000000000000000000{path}", 404, "not_found")
    api.problem("GET", f"/api/executions/what{path}", 404, "not_found")


def test_a_value_that_is_too_large_to_stand_inline_is_given_by_reference(api: Api) -> None:
    stage = {"id": "make", "worker": "probe", "action": "produce", "inputs": {"bytes": 2_000_000}}
    execution = api.finished(api.submit({"name": "large", "stages": [stage]}))

    answers.ExecutionShown.model_validate(execution)
    ref = execution["stages"][0]["data_ref"]
    assert ref["storage_type"] == "object" and execution["stages"][0]["output"] is None
    content = api.get(ref["url"])
    assert content.json() == {"text": "x" * 2_000_000}
    assert content.headers["etag"] == f'"{ref["checksum"]}"'
