"""The same request twice does its work once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.http.site import Api, Site, echo, sleeper


def test_the_same_request_id_gives_the_first_execution(api: Api) -> None:
    body = {"pipeline": echo(), "request_id": "r-1", "client_id": "c"}

    first = api.post("/execute", json=body)
    again = api.post("/execute", json=dict(reversed(body.items())))

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["execution_id"] == again.json()["execution_id"]
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers


def test_a_request_id_is_of_its_client_and_project(api: Api) -> None:
    body = {"pipeline": echo(), "request_id": "r-2"}

    ids = {
        api.post("/execute", json={**body, **scope}).json()["execution_id"]
        for scope in ({}, {"client_id": "a"}, {"client_id": "b"}, {"client_id": "a", "project_id": "p"})
    }

    assert len(ids) == 4


def test_the_same_request_id_with_another_body_is_a_conflict(api: Api) -> None:
    api.post("/execute", json={"pipeline": echo(n=1), "request_id": "r-3"})

    problem = api.problem(
        "POST", "/execute", 409, "request_conflict", json={"pipeline": echo(n=2), "request_id": "r-3"}
    )

    assert "r-3" in problem["detail"] and "exec_" in problem["detail"]


def test_a_repeated_request_tells_what_became_of_the_first(api: Api) -> None:
    body = {"pipeline": echo(), "request_id": "r-4"}
    api.finished(api.post("/execute", json=body).json()["execution_id"])

    assert api.post("/execute", json=body).json()["status"] == "completed"


@pytest.mark.parametrize(
    ("first", "again"), [('"k-quoted"', "k-quoted"), ("k-bare", '"k-bare"'), ('"a \\" b"', '"a \\" b"')]
)
def test_the_same_key_gives_the_first_execution_quoted_or_bare(api: Api, first: str, again: str) -> None:
    body = {"pipeline": echo(key=first)}

    one = api.post("/execute", json=body, headers={"idempotency-key": first})
    two = api.post("/execute", json=body, headers={"idempotency-key": again})

    assert (one.status_code, two.status_code) == (202, 200)
    assert one.json()["execution_id"] == two.json()["execution_id"]
    assert two.headers["idempotent-replayed"] == "true"


def test_a_key_with_another_payload_is_refused(api: Api) -> None:
    headers = {"idempotency-key": "k-reused"}
    api.post("/execute", json={"pipeline": echo(n=1)}, headers=headers)

    api.problem("POST", "/execute", 422, "idempotency_key_reused", json={"pipeline": echo(n=2)}, headers=headers)


@pytest.mark.parametrize("key", ['"', '""', "a b", '"unfinished', "k" * 256, "\u00e4"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]

    api.problem("POST", "/execute", 400, "malformed", json={"pipeline": echo()}, headers=headers)


def test_many_at_once_with_one_request_id_make_one_execution(site: Site) -> None:
    body = {"pipeline": echo("crowd"), "request_id": "r-crowd"}

    def submit(_: int) -> tuple[int, str]:
        with Api(base_url=site.url, timeout=20.0, trust_env=False) as client:
            answer = client.post("/execute", json=body)
            return answer.status_code, answer.json()["execution_id"]

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(submit, range(36)))

    assert len({execution_id for _, execution_id in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 35 + [202]


def test_a_batch_with_a_key_is_accepted_once(api: Api) -> None:
    body = {"executions": [{"pipeline": echo(n=n)} for n in range(3)]}
    headers = {"idempotency-key": "b-1"}

    first = api.post("/execute/batch", json=body, headers=headers)
    again = api.post("/execute/batch", json=body, headers=headers)

    def ids(answer: object) -> list[str]:
        return [item["execution_id"] for item in answer.json()["items"]]  # type: ignore[attr-defined]

    assert (first.status_code, again.status_code) == (202, 200)
    assert ids(first) == ids(again) and len(set(ids(first))) == 3
    assert again.headers["idempotent-replayed"] == "true"
    longer = {"executions": [*body["executions"], {"pipeline": echo(n=9)}]}
    api.problem("POST", "/execute/batch", 422, "idempotency_key_reused", json=longer, headers=headers)


def test_other_mutations_with_a_key_are_done_once_and_answered_again(api: Api) -> None:
    execution_id = api.submit(sleeper())
    headers = {"idempotency-key": f"c-{execution_id}"}
    path = f"/api/executions/{execution_id}/cancel"

    first = api.post(path, json={"reason": "x"}, headers=headers)
    again = api.post(path, json={"reason": "x"}, headers=headers)

    assert (first.status_code, again.status_code) == (200, 200)  # without the key the second would be a 409
    assert first.json() == again.json() and again.headers["idempotent-replayed"] == "true"
    api.problem("POST", path, 422, "idempotency_key_reused", json={"reason": "y"}, headers=headers)
    api.problem("POST", path.replace("cancel", "retry"), 422, "idempotency_key_reused", headers=headers)


def test_a_refusal_with_a_key_is_given_again_as_it_was(api: Api) -> None:
    headers = {"idempotency-key": "c-refused"}

    first = api.problem("DELETE", "/api/pipelines/never", 404, "unknown_pipeline", headers=headers)
    api.post("/api/pipelines", json=echo("never"))

    assert api.problem("DELETE", "/api/pipelines/never", 404, "unknown_pipeline", headers=headers) == first
    assert api.delete("/api/pipelines/never").status_code == 204


def test_registering_with_a_key_is_answered_again(api: Api) -> None:
    headers = {"idempotency-key": "p-1"}

    first = api.post("/api/pipelines", json=echo("keyed"), headers=headers)
    again = api.post("/api/pipelines", json=echo("keyed"), headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
