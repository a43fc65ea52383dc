"""`kill -9` of the real server at any moment under load: nothing accepted is lost, nothing committed is run again.

KILLS=200 makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.kill.server import ServerProcess, doctor

KILLS = int(os.environ.get("KILLS", "5"))
SUBMITTERS = 6
END_S = 60.0

MIXED = {
    "name": "mixed",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "stages": [
        {"id": "first", "worker": "probe", "inputs": {"n": "${{ parameters.n }}"}},
        {"id": "noted", "worker": "noting", "needs": ["first"], "inputs": {"seconds": 0.02, "bytes": 100}},
        {"id": "large", "worker": "noting", "needs": ["first"], "inputs": {"bytes": 40_000}},
        {"id": "larger", "worker": "noting", "needs": ["first"], "inputs": {"bytes": 1_200_000}},
        {
            "id": "flaky",
            "worker": "probe",
            "action": "fail",
            "inputs": {"times": 2},
            "retry": {"max_attempts": 50, "initial": "10ms", "max": "50ms"},
        },
        {"id": "nap", "sleep": "200ms", "needs": ["noted"]},
        {
            "id": "join",
            "worker": "noting",
            "inputs": {"of": "${{ stages.large.output }}", "n": "${{ stages.first.output.n }}", "seconds": 0.01},
            "needs": ["noted", "large", "larger", "flaky", "nap"],
        },
    ],
}


class Load:
    """Clients that go on submitting, whatever happens to the server, and remember what they were promised."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.accepted: dict[str, str] = {}  # execution id by request id
        self.unknown: set[str] = set()  # request ids whose answer never came
        self.stopping = False
        self.count = 0

    async def run(self) -> None:
        """Submit one after another; an unanswered request is asked again with the same request id."""
        while not self.stopping:
            self.count += 1
            await self.submit(f"r{self.count}")
            await asyncio.sleep(0.01)

    async def submit(self, request_id: str) -> None:
        """Submit once; the same request id must always name the same execution."""
        body = {"pipeline": MIXED, "parameters": {"n": 7}, "request_id": request_id}
        try:
            async with httpx2.AsyncClient(base_url=self.server.url, timeout=5) as client:
                answer = await client.post("/execute", json=body)
        except httpx2.HTTPError:
            self.unknown.add(request_id)
            return
        if answer.status_code == 503:
            return
        assert answer.status_code in (200, 202), answer.text
        execution_id = answer.json()["execution_id"]
        assert self.accepted.setdefault(request_id, execution_id) == execution_id
        self.unknown.discard(request_id)


@pytest.mark.timeout(60 + 15 * KILLS)
async def test_a_server_that_is_killed_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", tmp_path / "notes")
    chance = random.Random(20261121)
    await server.start()
    load = Load(server)
    submitters = [asyncio.create_task(load.run()) for _ in range(SUBMITTERS)]

    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        await server.kill()
        verdict = await asyncio.to_thread(doctor, server.data)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        await server.start()
    load.stopping = True
    await asyncio.gather(*submitters)
    for request_id in sorted(load.unknown):
        await load.submit(request_id)

    assert len(load.accepted) > KILLS
    await _all_end(server, set(load.accepted.values()))
    await _check_histories(server, set(load.accepted.values()))
    assert await server.stop() == 0
    verdict = await asyncio.to_thread(doctor, server.data)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


async def _all_end(server: ServerProcess, accepted: set[str]) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=10) as client, asyncio.timeout(END_S):
        for execution_id in sorted(accepted):
            # Another process is asked: it can set no event here.
            while (shown := (await client.get(f"/api/executions/{execution_id}")).json())["status"] == "running":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert shown["status"] == "completed", shown["error"]


async def _check_histories(server: ServerProcess, accepted: set[str]) -> None:
    ran: dict[tuple[str, str], set[int]] = defaultdict(set)
    for line in server.notes.read_text().splitlines():
        execution_id, step, attempt = line.split()
        assert int(attempt) not in ran[execution_id, step], f"attempt {line} ran twice"
        ran[execution_id, step].add(int(attempt))
    async with httpx2.AsyncClient(base_url=server.url, timeout=10) as client:
        for execution_id in sorted(accepted):
            page = (await client.get(f"/api/executions/{execution_id}/events", params={"limit": 1000})).json()
            _check_history(page["items"], execution_id, ran)


def _check_history(events: list[dict[str, Any]], execution_id: str, ran: dict[tuple[str, str], set[int]]) -> None:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "execution.completed"
    completed: dict[str, int] = {}
    for event in events:
        if event["type"] == "stage.completed":
            assert event["step"] not in completed, f"{execution_id} committed {event['step']} twice"
            completed[event["step"]] = event.get("attempt", 0)
        if event["type"] == "stage.started":
            assert event["step"] not in completed, f"{execution_id} ran {event['step']} after its result"
    assert set(completed) == {stage["id"] for stage in MIXED["stages"]}
    for step in ("noted", "large", "larger", "join"):
        assert max(ran[execution_id, step]) == completed[step], f"{execution_id}: {step} ran after its commit"
