"""Watching an execution: SSE that resumes by number, the same over a WebSocket, clients that come and go."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import websockets

from stagewright.server import answers
from tests.http.site import WAIT_S, Api, Site, echo, frames, sleeper, until

EVENTS = {"accept": "text/event-stream"}


def chain(length: int) -> dict[str, Any]:
    """Return a document of stages one after another."""
    stages = [{"id": f"s{n}", "worker": "probe", **({"needs": [f"s{n - 1}"]} if n else {})} for n in range(length)]
    return {"name": "chain", "stages": stages}


def read(api: Api, execution_id: str, **headers: str) -> list[dict[str, Any]]:
    with api.stream("GET", f"/progress/{execution_id}", headers=EVENTS | headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        got = []
        for number, event in frames(answer.iter_lines()):
            assert number == str(event["seq"])
            answers.EventFrame.model_validate(event)
            got.append(event)
        return got


def test_a_stream_tells_everything_and_ends_after_the_final_event(api: Api) -> None:
    events = read(api, api.submit(chain(4)))

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "execution.created" and events[0]["status"] == "pending"
    done = [event for event in events if event["type"] == "stage.completed"]
    assert [(event["stage"], event["progress"]) for event in done] == [
        ("s0", 25.0),
        ("s1", 50.0),
        ("s2", 75.0),
        ("s3", 100.0),
    ]
    last = events[-1]
    assert (last["type"], last["status"], last["progress"]) == ("execution.completed", "completed", 100.0)
    assert last["estimated_remaining_ms"] == 0 and all(event["message"] for event in events)


def test_a_stream_begins_while_the_execution_is_open(api: Api) -> None:
    stage = {"id": "slow", "worker": "probe", "action": "sleep", "inputs": {"seconds": 60}}
    execution_id = api.submit({"name": "slow", "stages": [stage]})

    with api.stream("GET", f"/progress/{execution_id}", headers=EVENTS) as answer:
        stream = frames(answer.iter_lines())
        seen = [next(stream)[1]["type"] for _ in range(4)]
        api.post(f"/api/executions/{execution_id}/cancel")
        rest = [event["type"] for _, event in stream]

    assert seen[-1] == "stage.started"
    assert rest == ["stage.cancelled", "execution.cancelled"]


@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_a_stream_resumes_after_a_number_with_the_very_same_frames(api: Api, after: int) -> None:
    execution_id = api.submit(chain(4))
    whole = read(api, execution_id)

    assert read(api, execution_id, **{"last-event-id": str(after)}) == whole[after:]


def test_a_stream_may_begin_where_the_address_says(api: Api) -> None:
    execution_id = api.submit(echo())
    api.finished(execution_id)

    with api.stream("GET", f"/progress/{execution_id}?after=5", headers=EVENTS) as answer:
        assert [number for number, _ in frames(answer.iter_lines())] == ["6"]


@pytest.mark.parametrize("beyond", [0, 1, 1000])
def test_who_has_seen_the_final_event_gets_204(api: Api, beyond: int) -> None:
    execution_id = api.submit(echo())
    last = read(api, execution_id)[-1]["seq"]

    answer = api.get(f"/progress/{execution_id}", headers=EVENTS | {"last-event-id": str(last + beyond)})

    assert (answer.status_code, answer.content) == (204, b"")


def test_a_retried_execution_streams_on_after_its_first_end(api: Api) -> None:
    fails = {"times": 1, "retryable": False}
    execution_id = api.submit(
        {"name": "again", "stages": [{"id": "a", "worker": "probe", "action": "fail", "inputs": fails}]}
    )
    first = read(api, execution_id)
    assert first[-1]["status"] == "failed" and "fails because" in first[-1]["message"]

    api.post(f"/api/executions/{execution_id}/retry")
    more = read(api, execution_id, **{"last-event-id": str(first[-1]["seq"])})

    assert more[0]["type"] == "execution.resumed" and more[-1]["status"] == "completed"
    assert [event["seq"] for event in more] == list(range(len(first) + 1, len(first) + len(more) + 1))


def test_a_stream_of_nothing_is_404_and_a_wrong_number_400(api: Api) -> None:
    execution_id = api.submit(echo())

    api.problem("GET", "/progress/exec_nope", 404, "not_found", headers=EVENTS)
    api.problem("GET", f"/progress/{execution_id}", 400, "malformed", headers=EVENTS | {"last-event-id": "abc"})
    api.problem("GET", f"/progress/{execution_id}?after=-1", 400, "malformed", headers=EVENTS)


def test_a_client_that_leaves_frees_its_stream_and_its_watcher(api: Api, site: Site) -> None:
    execution_id = api.submit(sleeper())
    feed = site.runtime.engine.feed

    with api.stream("GET", f"/progress/{execution_id}", headers=EVENTS) as answer:
        next(frames(answer.iter_lines()))
        assert site.door.streams == 1 and execution_id in feed._of_one

    until(lambda: site.door.streams == 0)
    assert execution_id not in feed._of_one
    api.post(f"/api/executions/{execution_id}/cancel")


def test_a_client_that_takes_nothing_holds_nobody_up(api: Api, site: Site) -> None:
    execution_id = api.submit(chain(400))
    with socket.create_connection((site.host, site.port), WAIT_S) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(f"GET /progress/{execution_id} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n".encode())

        assert api.finished(execution_id)["status"] == "completed"
        assert len(read(api, execution_id)) == 3 + 2 * 400 + 1

    until(lambda: site.door.streams == 0)


def test_no_more_streams_are_served_than_the_bound(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagewright.server.streams.STREAMS_MAX", 0)

    answer = api.get(f"/progress/{api.submit(sleeper())}", headers=EVENTS)

    assert answer.status_code == 503 and int(answer.headers["retry-after"]) == 5


def test_a_silent_stream_is_kept_alive_by_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagewright.server.streams.KEEP_ALIVE_S", 0.02)
    execution_id = api.submit(sleeper())

    with api.stream("GET", f"/progress/{execution_id}", headers=EVENTS) as answer:
        assert next(line for line in answer.iter_lines() if line.startswith(":")) == ": keep-alive"


async def listen(site: Site, path: str) -> tuple[list[dict[str, Any]], int]:
    got = []
    async with websockets.connect(f"ws://{site.host}:{site.port}{path}", proxy=None) as connection:
        try:
            while True:
                got.append(
                    answers.EventFrame.model_validate_json(await connection.recv()).model_dump(exclude_unset=True)
                )
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd is not None
            return got, closed.rcvd.code


def test_a_websocket_tells_the_same_and_closes_with_1000(api: Api, site: Site) -> None:
    execution_id = api.submit(chain(3))
    streamed = read(api, execution_id)

    whole, code = asyncio.run(listen(site, f"/progress/{execution_id}"))
    rest, _ = asyncio.run(listen(site, f"/progress/{execution_id}?after=4"))

    assert code == 1000 and whole == streamed and rest == streamed[4:]
    assert asyncio.run(listen(site, f"/progress/{execution_id}?after={len(streamed)}")) == ([], 1000)


@pytest.mark.parametrize(
    ("path", "status"), [("/progress/exec_nope", 404), ("/other", 404), ("/progress/x?after=y", 400)]
)
def test_a_websocket_to_nothing_is_refused_with_a_problem(site: Site, path: str, status: int) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        asyncio.run(listen(site, path))

    answer = refused.value.response
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert answer.body is not None and b'"detail"' in answer.body


def test_a_websocket_client_that_leaves_frees_its_stream(api: Api, site: Site) -> None:
    execution_id = api.submit(sleeper())

    async def leave() -> None:
        async with websockets.connect(
            f"ws://{site.host}:{site.port}/progress/{execution_id}", proxy=None
        ) as connection:
            await connection.recv()

    asyncio.run(leave())

    until(lambda: site.door.streams == 0)
    assert execution_id not in site.runtime.engine.feed._of_one
