"""Registering, listing, showing, drawing and checking pipelines over HTTP."""

from __future__ import annotations

import pytest

from stagewright.server import answers
from tests.http.site import Api, echo

YAML = """
name: from_yaml
description: Two steps   # a comment
stages:
  - id: a
    worker: probe
  - id: b
    worker: probe
    needs: [a]
"""


@pytest.mark.parametrize("content_type", ["application/yaml", "text/plain", "application/json", None])
def test_a_yaml_document_is_registered_whatever_it_is_called(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}

    answer = api.post("/api/pipelines", content=YAML, headers=headers)

    assert answer.status_code in (200, 201)
    shown = answers.PipelineDocument.model_validate(answer.json())
    assert (shown.name, shown.version, shown.description) == ("from_yaml", 1, "Two steps")
    assert answer.headers["location"] == "/api/pipelines/from_yaml?version=1"


def test_a_changed_document_is_a_new_version_and_the_same_one_is_not(api: Api) -> None:
    first = api.post("/api/pipelines", json=echo("versions", n=1))
    same = api.post("/api/pipelines", json=echo("versions", n=1))
    changed = api.post("/api/pipelines", json=echo("versions", n=2))

    assert [answer.status_code for answer in (first, same, changed)] == [201, 200, 201]
    assert [answer.json()["version"] for answer in (first, same, changed)] == [1, 1, 2]
    assert api.get("/api/pipelines/versions").json()["version"] == 2
    old = answers.PipelineDocument.model_validate(api.get("/api/pipelines/versions", params={"version": 1}).json())
    assert old.document["stages"][0]["inputs"] == {"n": 1}


def test_pipelines_are_listed_by_name_page_by_page(api: Api) -> None:
    for name in ("zz_a", "zz_b", "zz_c"):
        api.post("/api/pipelines", json=echo(name))

    first = api.get("/api/pipelines", params={"limit": 2, "cursor": "zz"}).json()
    second = api.get("/api/pipelines", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [item["name"] for item in answers_of(first) + answers_of(second)] == ["zz_a", "zz_b", "zz_c"]
    assert second["next_cursor"] is None


def answers_of(page: dict[str, object]) -> list[dict[str, object]]:
    answers.PipelineList.model_validate(page)
    items = page["items"]
    assert isinstance(items, list)
    return items


def test_a_deleted_pipeline_is_gone_but_its_execution_stays(api: Api) -> None:
    api.post("/api/pipelines", json=echo("short_lived"))
    execution_id = api.post("/execute", json={"template_name": "short_lived"}).json()["execution_id"]

    answer = api.delete("/api/pipelines/short_lived")

    assert (answer.status_code, answer.content) == (204, b"")
    api.problem("GET", "/api/pipelines/short_lived", 404, "unknown_pipeline")
    api.problem("DELETE", "/api/pipelines/short_lived", 404, "unknown_pipeline")
    api.problem("POST", "/execute", 404, "unknown_pipeline", json={"template_name": "short_lived"})
    assert api.finished(execution_id)["status"] == "completed"


def test_pipelines_of_one_project_are_not_seen_in_another(api: Api) -> None:
    api.post("/api/pipelines", params={"project": "p1"}, json=echo("only_p1"))

    api.problem("GET", "/api/pipelines/only_p1", 404, "unknown_pipeline")
    assert api.get("/api/pipelines/only_p1", params={"project": "p1"}).status_code == 200


def test_a_graph_is_drawn_as_mermaid_and_svg(api: Api) -> None:
    api.post("/api/pipelines", content=YAML)

    text = api.get("/api/pipelines/from_yaml/graph")
    picture = api.get("/api/pipelines/from_yaml/graph", params={"format": "svg"})

    assert text.headers["content-type"].startswith("text/plain") and text.text.startswith("flowchart LR")
    assert picture.headers["content-type"] == "image/svg+xml" and picture.text.startswith("<svg")
    wrong = api.problem("GET", "/api/pipelines/from_yaml/graph?format=png", 400, "malformed")
    assert wrong["errors"][0]["pointer"] == "#/query/format" and "mermaid" in wrong["detail"]


def test_a_bad_document_is_refused_with_all_its_problems_at_once(api: Api) -> None:
    text = """
name: bad
stages:
  - id: a
    worker: probe
    needs: [b, c]
  - id: b
    worker: probe
    needs: [a]
    timeout: soon
"""

    body = api.problem("POST", "/api/pipelines", 422, "invalid_document", content=text)

    assert len(body["errors"]) >= 3
    assert all(item["line"] >= 3 for item in body["errors"])
    assert {"#/stages/1/timeout"} <= {item["pointer"] for item in body["errors"]}


def test_a_document_with_an_unknown_worker_names_the_stage_and_what_there_is(api: Api) -> None:
    document = {"name": "lost", "stages": [{"id": "a", "worker": "prob"}]}

    for method, path, body in (("POST", "/api/pipelines", document), ("POST", "/execute", {"pipeline": document})):
        problem = api.problem(method, path, 422, "invalid", json=body)
        assert problem["errors"][0]["pointer"].endswith("#/stages/0/worker")
        assert "'prob'" in problem["errors"][0]["detail"] and "probe" in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("name: x\nstages: [{id: a, worker: nobody}]", "#/stages/0/worker"),
        ("name: x\nstages: []", "#/stages"),
        ("{", "#"),
        ("a: [", "#"),
        ("", "#"),
        ("[]", "#"),
    ],
)
def test_validating_says_what_is_wrong_and_never_fails(api: Api, text: str, pointer: str) -> None:
    answer = api.post("/api/pipelines/validate", content=text)

    assert answer.status_code == 200
    checked = answers.Validated.model_validate(answer.json())
    assert not checked.valid and checked.problems[0].pointer == pointer and checked.problems[0].detail


def test_validating_registers_nothing(api: Api) -> None:
    answer = api.post("/api/pipelines/validate", content=YAML.replace("from_yaml", "only_checked"))

    assert answer.json() == {"valid": True, "name": "only_checked", "problems": []}
    api.problem("GET", "/api/pipelines/only_checked", 404, "unknown_pipeline")


def test_the_schema_of_documents_is_served_for_editors(api: Api) -> None:
    answer = api.get("/schemas/pipeline/v1.json")

    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "stages" in answer.json()["properties"]


def test_workers_are_listed_with_their_actions(api: Api) -> None:
    page = answers.WorkerList.model_validate(api.get("/api/workers").json())

    by_name = {item.worker_name: item for item in page.items}
    assert by_name["probe"].capacity is None and "echo" in by_name["probe"].actions
    assert {"rss-source-finder", "feed-fetcher", "content-classifier", "report-builder"} <= set(by_name)
    one = answers.WorkerShown.model_validate(api.get("/api/workers/probe").json())
    assert one.worker_name == "probe"
    assert "probe" in api.problem("GET", "/api/workers/nobody", 404, "not_found")["detail"]
