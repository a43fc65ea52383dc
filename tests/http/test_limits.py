"""Bodies that are large, slow or in pieces; connections that are too many."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import orjson
import pytest

from tests.http.site import WAIT_S, Api, Site, check_problem, echo, raw_call, until

MIB = 1024 * 1024
BODY_BYTES_MAX = 10 * MIB


def large(size: int) -> bytes:
    """Return a submission of exactly so many bytes."""
    body = orjson.dumps({"pipeline": echo("large_body", keep="no"), "parameters": {"text": ""}})
    return body.replace(b'"text":""', b'"text":"' + b"x" * (size - len(body)) + b'"')


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


def test_a_body_of_exactly_ten_mib_is_taken_and_a_byte_more_is_not(api: Api) -> None:
    fits, too_large = large(BODY_BYTES_MAX), large(BODY_BYTES_MAX + 1)

    taken = api.post("/execute", content=fits)
    refused = api.post("/execute", content=too_large)

    assert taken.status_code == 202, taken.text
    assert "10485760" in check_problem(refused, 413, "too_large")["detail"]
    assert api.finished(taken.json()["execution_id"])["status"] == "completed"


@pytest.mark.parametrize("path", ["/execute", "/execute/batch", "/api/pipelines", "/api/executions/x/cancel"])
def test_a_body_in_chunks_is_bounded_while_it_is_read(api: Api, path: str) -> None:
    answer = api.post(path, content=pieces(b" " * (BODY_BYTES_MAX + 1)))

    check_problem(answer, 413, "too_large")


def test_a_body_in_chunks_is_taken_like_any_other(api: Api) -> None:
    answer = api.post("/execute", content=pieces(large(300_000)))

    assert answer.status_code == 202
    assert api.finished(answer.json()["execution_id"])["status"] == "completed"


def test_a_body_that_says_it_is_huge_is_refused_unread(site: Site) -> None:
    head = b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\nexpect: 100-continue\r\n\r\n"

    got = raw_call(site, head)

    assert got.startswith(b"HTTP/1.1 413 ") and b"connection: close" in got and b"100 Continue" not in got


def test_a_body_that_does_not_come_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagewright.server.body.BODY_TIMEOUT_S", 0.05)

    got = raw_call(site, b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")

    assert got.startswith(b"HTTP/1.1 408 ") and b'"code":"slow_body"' in got


def test_a_client_that_leaves_in_the_middle_of_its_body_submits_nothing(api: Api, site: Site) -> None:
    before = len(api.get("/api/executions", params={"limit": 200}).json()["items"])

    raw_call(site, b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", reads=False)

    until(lambda: not site.door._server.server_state.tasks)
    assert len(api.get("/api/executions", params={"limit": 200}).json()["items"]) == before


def test_requests_in_one_packet_are_answered_in_order(site: Site) -> None:
    one = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /nope HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    got = raw_call(site, one + one + last)

    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"200", b"404"]


def test_one_connection_too_many_is_told_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagewright.server.wire.CONNECTIONS_MAX", 0)

    with socket.create_connection((site.host, site.port), WAIT_S) as connection:
        got = connection.recv(65536)

    assert got.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in got and b'"detail"' in got
