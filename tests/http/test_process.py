"""The server as a process: ready line, signals with open streams, a folder in use, log lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagewright.app.lock import serving_url
from tests.http.site import WAIT_S, Api, check_problem, echo, frames, sleeper, until

STOP_S = 5.0
SERVE = """
import asyncio, sys, uvloop
from pathlib import Path
from stagewright.app.serve import serve
from stagewright.app.settings import load_settings
from stagewright.model.errors import StagewrightError

settings = load_settings({}, {"data": Path(sys.argv[1]), "port": int(sys.argv[2])})
try:
    sys.exit(uvloop.run(serve(settings, verbose="-v" in sys.argv)))
except StagewrightError as error:
    sys.exit(f"refused: {error}")
"""


class Server:
    """A server in a process of its own."""

    def __init__(self, data: Path, port: int = 0, *options: str) -> None:
        self.log = data.parent / f"{data.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(data), str(port), *options],
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip

    def url(self) -> str:
        """Wait for the ready line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("stagewright ready at http://127.0.0.1:"), line + self.log.read_text()
        return line.split()[-1]

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; return the exit code and how long the end took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(WAIT_S), time.monotonic() - begun


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start_one(*options: str, data: str = "data", port: int = 0) -> Server:
        servers.append(Server(tmp_path / data, port, *options))
        return servers[-1]

    yield start_one
    for server in servers:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(WAIT_S)
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_zero_even_with_open_streams(start: Callable[..., Server], number: int) -> None:
    server = start()
    with Api(base_url=server.url(), timeout=WAIT_S, trust_env=False) as api:
        execution_id = api.submit(sleeper())
        with api.stream("GET", f"/progress/{execution_id}", headers={"accept": "text/event-stream"}) as answer:
            stream = frames(answer.iter_lines())
            next(stream)

            code, took_s = server.end(number)

            list(stream)  # ends in order: the client comes back with its number
    assert (code, server.log.read_text()) == (0, "")
    assert took_s <= STOP_S


def test_work_goes_on_at_the_next_start(start: Callable[..., Server]) -> None:
    server = start()
    stage = {"id": "slow", "worker": "probe", "action": "sleep", "inputs": {"seconds": 0.3}}
    with Api(base_url=server.url(), timeout=WAIT_S, trust_env=False) as api:
        execution_id = api.submit({"name": "slow", "stages": [stage]})
    assert server.end(signal.SIGTERM)[0] == 0

    with Api(base_url=start().url(), timeout=WAIT_S, trust_env=False) as api:
        assert api.finished(execution_id)["status"] == "completed"


def test_a_second_server_on_the_folder_is_refused_and_told_where_the_first_is(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    url = start().url()

    for port in (0, int(url.rsplit(":", 1)[1])):
        second = start(port=port)
        assert second.process.wait(WAIT_S) == 1
        said = second.process.stdout and second.process.stdout.read()
        assert said == ""
        with Api(base_url=url, timeout=WAIT_S, trust_env=False) as api:
            assert api.get("/health").status_code == 200
    assert serving_url(tmp_path / "data") == url


def test_a_port_in_use_is_a_clear_message(start: Callable[..., Server]) -> None:
    url = start().url()

    other = start(data="elsewhere", port=int(url.rsplit(":", 1)[1]))

    assert other.process.wait(WAIT_S) == 1
    said = other.log.read_text()
    assert (
        said.startswith("refused: Cannot listen on 127.0.0.1:") and "another port" in said and "Traceback" not in said
    )


def test_a_database_that_is_lost_ends_the_process_with_one_clear_message(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    server = start()
    url = server.url()
    # Another incarnation takes the node's row: this process is fenced and must not write any more.
    subprocess.run([sys.executable, "-c", FENCE, str(tmp_path / "data" / "stagewright.db")], check=True, timeout=WAIT_S)

    with Api(base_url=url, timeout=WAIT_S, trust_env=False) as api:
        answer = api.post("/execute", json={"pipeline": echo()})

    assert check_problem(answer, 503, "stalled")["retry_after"] == 2
    assert server.process.wait(WAIT_S) == 1
    said = server.log.read_text().splitlines()
    assert [line for line in said if line.startswith("stagewright stopped: Fenced: ")], said
    assert "Traceback" not in server.log.read_text()


FENCE = """
import sys, apsw
apsw.Connection(sys.argv[1]).execute("UPDATE nodes SET incarnation = 'inc_other'").fetchall()
"""


def test_with_v_one_can_read_the_way_of_an_execution(start: Callable[..., Server]) -> None:
    server = start("-v")
    with Api(base_url=server.url(), timeout=WAIT_S, trust_env=False) as api:
        execution_id = api.submit(echo("read_me"))
        api.finished(execution_id)

    lines = until(
        lambda: (
            (found := way_of(server.log, execution_id))[-1:] and found[-1]["event"] == "execution.completed" and found
        )
    )

    assert [line["event"] for line in lines] == [
        "execution.created", "execution.admitted", "execution.started", "stage.started", "stage.completed",
        "execution.completed",
    ]  # fmt: skip
    created, admitted, started, processing, completed, ended = lines
    assert created["state"] == "queued" and created["pipeline"] == "read_me@0"
    assert admitted["picked_up"] and admitted["template_resolved"] == "read_me@0"
    assert admitted["estimated"] == "none" and admitted["reserved"] == "none"
    assert started["state"] == "running"
    assert (processing["stage"], processing["worker"], processing["attempt"]) == ("say", "probe", 1)
    assert completed["duration_ms"] >= 0 and ended["duration_ms"] >= completed["duration_ms"]


def way_of(log: Path, execution_id: str) -> list[dict[str, object]]:
    lines = log.read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [line for line in found if line["execution"] == execution_id]


def test_without_v_only_trouble_is_logged(start: Callable[..., Server]) -> None:
    server = start()
    with Api(base_url=server.url(), timeout=WAIT_S, trust_env=False) as api:
        api.finished(api.submit(echo()))
        stage = {"id": "a", "worker": "probe", "action": "fail", "inputs": {"retryable": False}}
        failed = api.submit({"name": "bad", "stages": [stage]})
        api.finished(failed)
    assert server.end(signal.SIGTERM)[0] == 0

    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "stage.failed"),
        ("error", "execution.failed"),
    ]
    assert lines[0]["code"] == "probe_failed" and lines[0]["execution"] == failed
