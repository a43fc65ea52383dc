"""Every error is a problem document that says what is wrong, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.site import Api, Site, check_problem, echo, raw_call, sleeper

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("path", ["/execute", "/execute/batch"])
@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b'{"a": nope}', b"\xff\xfe", b'{"a": "\\ud800"}', b"nul"])
def test_what_is_no_json_is_malformed(api: Api, path: str, content: bytes) -> None:
    problem = api.problem("POST", path, 400, "malformed", content=content)

    assert problem["instance"] == path and "JSON" in problem["detail"]


@pytest.mark.parametrize("content", [b"{", b"[1", b'{"reason": "\\ud800"}'])
def test_optional_bodies_must_be_json_too(api: Api, content: bytes) -> None:
    execution_id = api.submit(sleeper())

    api.problem("POST", f"/api/executions/{execution_id}/cancel", 400, "malformed", content=content)
    api.problem("POST", f"/api/executions/{execution_id}/retry", 400, "malformed", content=content)


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ([], "#", "object"),
        ({}, "#", "template_name"),
        ({"template_name": "a", "pipeline": echo()}, "#", "either"),
        ({"template_nam": "a"}, "#/template_nam", "did you mean template_name"),
        ({"template_name": ""}, "#/template_name", "1 character"),
        ({"template_name": 7}, "#/template_name", "found: 7"),
        ({"template_name": "a", "parameters": []}, "#/parameters", "object"),
        ({"template_name": "a", "priority": "urgent"}, "#/priority", "'critical'"),
        ({"template_name": "a", "budget_usd": -1}, "#/budget_usd", "found: -1"),
        ({"template_name": "a", "deadline": "soon"}, "#/deadline", '"soon"'),
        ({"template_name": "a", "tags": ["x"] * 21}, "#/tags", "20"),
        ({"template_name": "a", "tags": ["x", 1]}, "#/tags/1", "found: 1"),
        ({"template_name": "a", "client_id": "c\u0000"}, "#/client_id", "NUL"),
        ({"pipeline": {"name": "x", "stages": []}}, "#/stages", ""),
    ],
)
def test_an_invalid_body_is_refused_with_a_pointer(api: Api, body: Any, pointer: str, said: str) -> None:
    problem = check_problem(
        api.post("/execute", json=body), 422, "invalid" if pointer != "#/stages" else "invalid_document"
    )

    item = next(item for item in problem["errors"] if item["pointer"] == pointer)
    assert said in item["detail"]


def test_all_problems_of_a_body_come_at_once(api: Api) -> None:
    body = {"template_name": "", "priority": 1, "tags": "x", "extra": 1}

    problem = api.problem("POST", "/execute", 422, "invalid", json=body)

    pointers = {item["pointer"] for item in problem["errors"]}
    assert pointers == {"#/template_name", "#/priority", "#/tags", "#/extra"}


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [({}, "#/parameters"), ({"topic": 1}, "#/parameters/topic"), ({"topic": "x", "n": 2**70}, "#/parameters/n")],
)
def test_parameters_that_do_not_fit_are_refused(api: Api, parameters: dict[str, Any], pointer: str) -> None:
    schema = {"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string"}}}
    body = {"pipeline": {**echo("typed"), "parameters": schema}, "parameters": parameters}

    problem = api.problem("POST", "/execute", 422, "invalid", json=body)

    assert problem["errors"][0]["pointer"].startswith(pointer)


def test_a_number_that_json_has_not_is_refused(api: Api) -> None:
    for number in (b"NaN", b"-Infinity", b"1e999", b"1" + b"0" * 400 + b".0"):
        content = (
            b'{"pipeline": {"name": "n", "stages": [{"id": "a", "worker": "probe"}]}, "parameters": {"n": %s}}' % number
        )
        answer = api.post("/execute", content=content)
        assert answer.status_code in (400, 422), (number, answer.text)


def test_unknown_names_and_versions_are_404(api: Api) -> None:
    api.post("/api/pipelines", json=echo("known"))

    assert (
        "known" in api.problem("POST", "/execute", 404, "unknown_pipeline", json={"template_name": "knwon"})["detail"]
    )
    api.problem("POST", "/execute", 404, "unknown_pipeline", json={"template_name": "known@99"})
    api.problem("POST", "/execute", 400, "malformed", json={"template_name": "known@newest"})


@pytest.mark.parametrize("digits", [17, 20, 30, 5_000])
def test_numbers_that_no_row_can_hold_are_problems_and_no_failures(api: Api, digits: int) -> None:
    execution_id, number = api.submit(echo()), "9" * digits

    for path in (
        f"/api/executions/{execution_id}/events?after={number}",
        f"/api/executions/{execution_id}/events?cursor={number}",
        f"/api/pipelines/market_research?version={number}",
        f"/api/pipelines/market_research/graph?version={number}",
        f"/progress/{execution_id}?after={number}&x=1",
    ):
        headers = {"accept": "text/event-stream"} if "progress" in path else {}
        api.problem("GET", path, 400, "malformed", headers=headers)
    answer = api.post("/execute", json={"template_name": f"market_research@{number}"})
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/api", "/api/nope/x", "/execute/", "/api/executions/", "/progress", "/runes"]
)
def test_paths_that_are_not_there_are_404(api: Api, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 404 and answer.json()["code"] in ("unknown_path", "not_found")
    check_problem(answer, 404, answer.json()["code"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/execute", "POST"),
        ("PUT", "/execute/batch", "POST"),
        ("DELETE", "/api/executions/exec_1", "GET"),
        ("POST", "/progress/exec_1", "GET"),
        ("PATCH", "/api/workers", "GET"),
        ("GET", "/api/executions/exec_1/cancel", "POST"),
        ("POST", "/health", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_says_what_is_taken(api: Api, method: str, path: str, allowed: str) -> None:
    answer = api.request(method, path)

    assert allowed in check_problem(answer, 405, "wrong_method")["detail"]
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=odd", "from=yesterday", "to=", "text=" + "x" * 201]
)
def test_a_query_that_cannot_be_read_is_400_and_named(api: Api, query: str) -> None:
    problem = api.problem("GET", f"/api/executions?{query}", 400, "malformed")

    name = query.split("=")[0]
    assert problem["errors"][0]["pointer"] == f"#/query/{name}" and f"'{name}'" in problem["detail"]


def test_the_trace_of_the_caller_is_the_trace_of_the_problem(api: Api) -> None:
    good = api.get("/nope", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    bad = api.get("/nope", headers={"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})

    assert good.json()["trace_id"] == TRACE
    assert len(bad.json()["trace_id"]) == 32 and bad.json()["trace_id"] != "0" * 32


def test_what_nobody_expected_is_a_500_with_a_trace_and_a_log_line(
    api: Api, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(site.runtime.service.views, "execution", broken)
    monkeypatch.setattr(site.runtime.service.views, "steps", broken)

    for path in ("/api/executions/exec_1", "/api/executions/exec_1/steps"):
        problem = api.problem(
            "GET", path, 500, "internal_error", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        )
        assert "secret" not in str(problem) and problem["trace_id"] == TRACE
    logged = [record for record in caplog.records if record.msg == "request.failed"]
    assert len(logged) == 2
    assert all(record.__dict__["fields"]["trace_id"] == TRACE and record.exc_info for record in logged)


def test_a_stalled_journal_is_a_503_that_says_when_to_come_back(
    api: Api, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.runtime.engine.journal, "_failing_since", 1)

    answer = api.post("/execute", json={"pipeline": echo()})
    health = api.get("/health/ready")

    assert check_problem(answer, 503, "stalled")["retry_after"] == 1
    assert answer.headers["retry-after"] == "1"
    assert "database" in check_problem(health, 503, "not_healthy")["detail"]
    assert api.get("/health/live").status_code == 200


def test_bytes_that_are_no_http_get_a_problem(site: Site) -> None:
    got = raw_call(site, b"HELLO\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in got and b'"code":"malformed"' in got


def test_a_head_without_end_is_cut(site: Site) -> None:
    head = b"GET /health HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(80))

    got = raw_call(site, head, b"\r\n")

    assert got.startswith(b"HTTP/1.1 400 ") and b"65536" in got


def test_each_problem_type_can_be_looked_up(api: Api) -> None:
    for code in ("not_found", "stalled", "wrong_method", "internal_error", "idempotency_key_reused"):
        told = api.get(f"/problems/{code}").json()
        assert told["code"] == code and told["title"] and told["description"]
    api.problem("GET", "/problems/none_such", 404, "not_found")
