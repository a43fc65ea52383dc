"""A server that dies while somebody watches: it is said at once, and at the end that nobody serves."""

from __future__ import annotations

import asyncio

import pytest

from stagewright.cli.follow import follow
from stagewright.cli.screen import Screen
from stagewright.sdk import client as clients
from stagewright.sdk.client import Client, Unreachable
from tests.cli.command import SLEEPY, Place


def test_a_lost_connection_is_told_at_once_and_nobody_serving_when_it_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given somebody who watches an execution at a server
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "60"))
    monkeypatch.setattr(clients, "RECONNECT_S", 0.5)
    server = place.begin("up", "--port", "0")
    assert server.stdout is not None

    async def watch(url: str, execution_id: str) -> None:
        async with Client(url) as client:
            watching = asyncio.create_task(follow(client, Screen(is_plain=True), execution_id))
            said = ""
            while "nap started" not in said:
                await asyncio.sleep(0.01)
                said += capsys.readouterr().err
            # when the server dies
            server.kill()
            with pytest.raises(Unreachable, match="nobody serves"):
                await watching

    try:
        url = server.stdout.readline().split()[-1]
        execution_id = place.call("run", "sleepy.yaml", "--detach").out.strip()
        asyncio.run(watch(url, execution_id))
    finally:
        server.kill()
        server.communicate()
    # then
    assert capsys.readouterr().err.count(f"the connection to server {url} is lost; trying again") == 1
