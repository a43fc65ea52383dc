"""The calls of other systems, with the documents that their clients send, from the first to the last word."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from stagewright.app.settings import load_settings
from stagewright.server import door_answers
from tests.http.site import Api, Site, frames, until

STAGES = '[{"stage": 1, "worker": "bitware-content-granulator", "template_ref": "course_v1"}]'
PLAN = {
    "goal": "Generate test documentation",
    "steps": [
        {
            "name": "generate_hello_world",
            "tool": "codegen",
            "inputs": {"prompt": "Write a simple Hello World README.md file", "topic": "Test Documentation"},
        }
    ],
}
WORKFLOW = {
    "name": "Scan and tell",
    "projectId": "acme",
    "nodes": [
        {
            "id": "notify-node",
            "agent": "notify-agent",
            "dependsOn": ["scan-node"],
            "config": {"action": "send", "text": "{{nodes.scan-node.output.found}}"},
        },
        {"id": "scan-node", "agent": "scan-agent", "config": {"action": "scan", "target": "{{inputs.target}}"}},
    ],
}
LONG = {"name": "long", "stages": [{"id": "wait", "sleep": "10m"}]}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("doors")
    site = Site(data)
    workers = {"modules": ["scripted_workers"], "folder": Path(__file__).parent}
    site._settings = load_settings({}, {"data": data, "port": 0, "workers": workers})
    site.start()
    yield site
    site.stop()


@pytest.fixture
def api(doors: Site) -> Iterator[Api]:
    with Api(base_url=doors.url, timeout=20.0, trust_env=False) as client:
        yield client


def ended(api: Api, path: str, *statuses: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown: dict[str, Any] = api.get(path).json()
        return shown if shown["status"] in statuses else None

    return until(look)


# --- key accounts ---------------------------------------------------------------------------------------------------


def test_a_course_is_created_by_a_request_to_its_master_template(api: Api) -> None:
    template = {"template_id": "course-1", "template_name": "course_creation", "pipeline_stages": STAGES}

    assert api.put("/api/master-templates/course_creation", json=template).status_code == 201
    assert api.put("/api/master-templates/course_creation", json=template).status_code == 200
    shown = api.get("/api/master-templates/course_creation").json()
    assert shown == {**template, "version": 1}
    assert shown in api.get("/api/master-templates").json()["items"]
    assert api.post("/api/clients", json={"client_id": "cli-1", "company_name": "Ada & Co"}).status_code == 201
    request = {
        "request_id": "req-1",
        "client_id": "cli-1",
        "template_name": "course_creation",
        "parameters": {"topic": "Test Topic", "targetAudience": "beginners"},
    }
    assert api.post("/api/requests", json=request).json()["status"] is None

    started = api.post("/requests/req-1/execute")

    assert started.status_code == 202
    execution = api.finished(started.json()["execution_id"])
    assert (execution["status"], execution["client_id"], execution["request_id"]) == ("completed", "cli-1", "req-1")
    assert execution["stages"][0]["stage_id"] == "s1-bitware-content-granulator"
    lessons = ["Test Topic for beginners, part 1", "Test Topic for beginners, part 2"]
    assert execution["output"] == {"lessons": lessons, "before": {}}
    stored = door_answers.RequestShown.model_validate(api.get("/api/requests/req-1").json())
    assert (stored.execution_id, stored.status) == (execution["execution_id"], "completed")


def test_a_request_may_bring_the_stages_itself_and_parameters_of_one_execution(api: Api) -> None:
    api.post("/api/requests", json={"request_id": "own", "pipeline_stages": STAGES, "parameters": {"topic": "A"}})

    started = api.post("/api/requests/own/execute", json={"parameters": {"targetAudience": "all", "topic": "B"}})

    assert api.finished(started.json()["execution_id"])["output"]["lessons"][0] == "B for all, part 1"


def test_a_request_answers_with_its_open_execution_else_it_starts_a_new_one(api: Api) -> None:
    api.post("/api/requests", json={"request_id": "slow", "pipeline": LONG})

    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(api.post, "/api/requests/slow/execute", json={"parameters": {"n": number}})
            for number in range(8)
        ]
        answers = [call.result() for call in calls]
    first = {answer.json()["execution_id"] for answer in answers}
    assert len(first) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert api.post("/api/requests/slow/execute").json()["execution_id"] in first

    (execution_id,) = first
    api.post(f"/api/executions/{execution_id}/cancel")
    second = api.post("/api/requests/slow/execute")
    assert second.status_code == 202 and second.json()["execution_id"] not in first
    assert api.get(f"/api/executions/{second.json()['execution_id']}").json()["request_id"] == "slow#2"


def test_a_refused_start_of_a_request_leaves_it_ready_for_the_next(api: Api) -> None:
    api.post("/api/requests", json={"request_id": "early", "template_name": "not_yet"})

    api.problem("POST", "/api/requests/early/execute", 404, "unknown_pipeline")
    api.put("/api/master-templates/not_yet", json={"pipeline_stages": [{"stage": 1, "worker": "probe"}]})
    assert api.post("/api/requests/early/execute").status_code == 202


def test_what_is_wrong_with_key_accounts_is_told(api: Api) -> None:
    api.put("/api/clients/twice", json={})

    api.problem("POST", "/api/clients", 409, "wrong_state", json={"client_id": "twice"})
    api.problem("GET", "/api/clients/nobody", 404, "not_found")
    api.problem("POST", "/api/requests/nothing/execute", 404, "not_found")
    api.problem("POST", "/api/requests", 422, "invalid", json={"template_name": "a", "paramters": {}})
    api.problem("POST", "/api/requests", 422, "invalid", json={})
    api.problem("POST", "/api/requests", 422, "invalid_document", json={"pipeline_stages": "nonsense"})
    api.problem("GET", "/api/master-templates/market_research", 404, "unknown_pipeline")
    told = api.problem("PUT", "/api/master-templates/x", 422, "invalid_document", json={"pipeline_stages": [{}]})
    assert {one["pointer"] for one in told["errors"]} == {
        "#/pipeline_stages/0/stage",
        "#/pipeline_stages/0/worker",
    }
    told = api.problem(
        "PUT", "/api/master-templates/x", 422, "invalid", json={"pipeline_stages": STAGES.replace("bitware", "no")}
    )
    assert [one["pointer"] for one in told["errors"]] == ["#/pipeline_stages"]


def test_clients_and_projects_are_listed_by_the_page_and_changed(api: Api) -> None:
    ids = [api.post("/api/projects", json={"name": f"p{number}"}).json()["project_id"] for number in range(3)]

    page = api.get("/api/projects", params={"limit": 2}).json()
    rest = api.get("/api/projects", params={"cursor": page["next_cursor"]}).json()
    assert [item["project_id"] for item in page["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None
    changed = api.put(f"/api/projects/{ids[0]}", json={"name": "other", "floor": 3})
    assert changed.status_code == 200
    assert changed.json() == api.get(f"/api/projects/{ids[0]}").json()
    assert (changed.json()["name"], changed.json()["floor"]) == ("other", 3)


# --- runs -----------------------------------------------------------------------------------------------------------


def test_the_plan_succeeds_and_tells_its_steps(api: Api) -> None:
    started = api.post("/runs", json={"plan": PLAN, "project_id": "acme"})

    assert started.status_code == 201
    id = started.json()["id"]
    run = door_answers.RunShown.model_validate(ended(api, f"/runs/{id}", "succeeded"))
    (step,) = run.steps
    assert (run.goal, run.project_id) == ("Generate test documentation", "acme")
    assert (step.name, step.tool, step.status) == ("generate_hello_world", "codegen", "succeeded")
    assert step.outputs == {"files": ["README.md"], "prompt": "Write a simple Hello World README.md file"}
    (artifact,) = run.artifacts
    assert api.get(artifact["url"]).text == "# Test Documentation\n"
    events = api.get(f"/runs/{id}/events").json()["items"]
    assert [event["type"] for event in events] == [
        "run.created",
        "step.started",
        "artifact.created",
        "step.finished",
        "run.finished",
    ]
    assert (events[3]["step"], events[3]["data"]["status"]) == ("generate_hello_world", "succeeded")
    with api.stream("GET", f"/runs/{id}/stream", headers={"Last-Event-ID": str(events[1]["seq"])}) as stream:
        assert [event for _, event in frames(stream.iter_lines())] == events[2:]
    assert id in [item.id for item in door_answers.RunList.model_validate(api.get("/runs").json()).items]


def test_a_plan_that_fails_says_why_and_skips_nothing_silently(api: Api) -> None:
    fails = {"name": "try it!", "tool": "probe_", "inputs": {}}
    told = api.problem("POST", "/runs", 422, "invalid", json={"plan": {"goal": "x", "steps": [fails]}})
    assert [one["pointer"] for one in told["errors"]] == ["#/steps/0/tool"]

    broken = {"name": "try it!", "tool": "codegen", "inputs": {}}
    after = {"name": "after", "tool": "probe"}
    id = api.post("/runs", json={"plan": {"goal": "x", "steps": [broken, after]}}).json()["id"]
    run = ended(api, f"/runs/{id}", "failed")
    assert [(step["name"], step["status"]) for step in run["steps"]] == [("try it!", "failed"), ("after", "queued")]
    assert run["steps"][0]["error"]["message"]
    last = api.get(f"/runs/{id}/events").json()["items"][-1]
    assert (last["type"], last["data"]["status"]) == ("run.finished", "failed")
    api.problem("GET", "/runs/exec_nothing/stream", 404, "not_found")


def test_ten_runs_at_once_leave_the_service_answering(api: Api) -> None:
    with ThreadPoolExecutor(11) as pool:
        runs = [pool.submit(api.post, "/runs", json={"plan": PLAN}) for _ in range(10)]
        health = [pool.submit(api.get, "/health") for _ in range(10)]
        ids = {run.result().json()["id"] for run in runs}
    assert [answer.result().status_code for answer in health] == [200] * 10
    assert len(ids) == 10
    for id in ids:
        ended(api, f"/runs/{id}", "succeeded")


# --- workflows ------------------------------------------------------------------------------------------------------


def test_a_workflow_of_two_nodes_runs_in_order(api: Api) -> None:
    added = api.post("/workflows", json=WORKFLOW)
    assert added.status_code == 201
    id = added.json()["id"]
    assert (id, added.json()["nodes"]) == ("scan-and-tell@1", WORKFLOW["nodes"])

    started = api.post(f"/workflows/{id}/trigger", json={"inputs": {"target": "host-1"}})

    assert started.status_code == 202
    execution = api.finished(started.json()["executionId"])
    assert (execution["status"], execution["project_id"]) == ("completed", "acme")
    assert execution["output"] == {"sent": ["host-1", "scan-node"]}
    events = api.get(f"/api/executions/{execution['execution_id']}/events").json()["items"]
    steps = [(event["type"], event["stage_id"]) for event in events if event.get("stage_id")]
    assert steps == [
        ("stage.started", "scan-node"),
        ("stage.completed", "scan-node"),
        ("stage.started", "notify-node"),
        ("stage.completed", "notify-node"),
    ]
    listed = door_answers.WorkflowExecutionList.model_validate(api.get(f"/workflows/{id}/executions").json())
    assert execution["execution_id"] in [item.executionId for item in listed.items]
    assert id in [item["id"] for item in api.get("/workflows").json()["items"]]
    assert api.get("/workflows/scan-and-tell").json() == added.json()
    did = api.get("/agent-runs", params={"agent": "notify_agent"}).json()["items"]
    assert ("notify-node", "completed") in [(item["nodeId"], item["status"]) for item in did]
    assert {item["nodeId"] for item in did} == {"notify-node"}


def test_ten_workflows_at_once_each_come_to_their_own_end(api: Api) -> None:
    def perform(number: int) -> Any:
        document = {**WORKFLOW, "name": "Many", "number": number}
        id = api.post("/workflows", json=document).json()["id"]
        started = api.post(f"/workflows/{id}/trigger", json={"inputs": {"target": number}}).json()
        return id, api.finished(started["executionId"])["output"]["sent"]

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(perform, range(10)))
    assert [sent for _, sent in results] == [[number, "scan-node"] for number in range(10)]
    assert len({id for id, _ in results}) == 10


def test_an_agent_is_a_name_for_a_worker(api: Api) -> None:
    added = api.post("/agents", json={"name": "night-watch", "worker": "scan-agent", "floor": 3})
    assert added.status_code == 201
    shown = door_answers.AgentShown.model_validate(added.json())
    assert (shown.worker, shown.available) == ("scan-agent", True)
    document = {"name": "w", "nodes": [{"id": "a", "agent": "night-watch", "config": {"target": 1}}]}

    id = api.post("/workflows", json=document).json()["id"]

    execution = api.finished(api.post(f"/workflows/{id}/trigger").json()["executionId"])
    assert execution["output"] == {"found": [1, "a"]}
    assert "night-watch" in [item["name"] for item in api.get("/agents").json()["items"]]
    did = api.get("/agent-runs", params={"agent": "night-watch"}).json()["items"]
    assert "a" in [item["nodeId"] for item in did]
    api.problem("POST", "/agents", 409, "wrong_state", json={"name": "codegen", "worker": "probe"})
    assert api.post("/agents", json={"name": "not-yet"}).json()["available"] is False


def test_agents_are_known_again_after_a_restart(tmp_path: Path) -> None:
    document = {"name": "w", "nodes": [{"id": "a", "agent": "echo-agent", "config": {"x": 1}}]}
    for number in range(2):
        site = Site(tmp_path)
        site.start()
        try:
            with Api(base_url=site.url, timeout=20.0, trust_env=False) as api:
                if number == 0:
                    api.post("/agents", json={"name": "echo-agent", "worker": "probe"})
                    assert api.post("/workflows", json=document).status_code == 201
                else:
                    started = api.post("/workflows/w/trigger").json()
                    assert api.finished(started["executionId"])["output"] == {"x": 1}
        finally:
            site.stop()


def test_what_is_wrong_with_a_workflow_is_told_where_it_was_written(api: Api) -> None:
    told = api.problem("POST", "/workflows", 422, "invalid_document", json={"name": "w", "nodes": [{"id": "a"}]})
    assert [one["pointer"] for one in told["errors"]] == ["#/nodes/0/agent"]
    node = {"id": "a", "agent": "nobody-there"}
    told = api.problem("POST", "/workflows", 422, "invalid", json={"name": "w", "nodes": [node]})
    assert [one["pointer"] for one in told["errors"]] == ["#/nodes/0/agent"]
    api.problem("POST", "/workflows", 422, "invalid_document", json=LONG)
    api.problem("GET", "/workflows/market_research", 404, "unknown_pipeline")
    api.problem("POST", "/workflows/nothing@1/trigger", 404, "unknown_pipeline")
    api.problem("POST", "/workflows/nothing@x/trigger", 400, "malformed")


def test_the_documents_go_through_execute_as_they_are(api: Api) -> None:
    template = {"template_id": "t", "template_name": "inline", "pipeline_stages": STAGES}
    parameters = {"topic": "T", "targetAudience": "all"}

    for document in (template, PLAN, WORKFLOW):
        execution = api.finished(api.submit(document, parameters={**parameters, "target": 1}))
        assert execution["status"] == "completed", orjson.dumps(execution)
