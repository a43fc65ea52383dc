"""A stored request has at most one open execution, whoever asks and whatever breaks between asking and answering."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stagewright.accounts.requests import Requests
from stagewright.model.errors import Invalid, StoreTrouble
from stagewright.model.ids import IdSource
from stagewright.ports.store import NodeIdentity
from stagewright.store.sqlite import SqliteStore


class Ticks:
    """A clock that moves when it is looked at."""

    def __init__(self) -> None:
        self._times = count(1_000_000)

    def now_us(self) -> int:
        """Return the next microsecond."""
        return next(self._times)


class Engine:
    """Accepts bodies by their request id as the engine does; `broken` is raised, after accepting or instead of it."""

    def __init__(self) -> None:
        self.accepted: dict[str, dict[str, Any]] = {}
        self.open: set[str] = set()
        self.broken: Exception | None = None
        self.loses_answer = False

    async def submit(self, body: dict[str, Any]) -> tuple[str, bool]:
        """Submit a body."""
        key = body["request_id"]
        is_new = key not in self.accepted
        if self.broken is None or self.loses_answer:
            assert is_new or self.accepted[key] == body, "another body under the same key"
            self.accepted[key] = body
            self.open.add(key)
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken
        return key, is_new

    async def is_open(self, execution_id: str) -> bool:
        """Say whether an execution has not ended."""
        return execution_id in self.open


@pytest.fixture
async def requests(tmp_path: Path) -> AsyncIterator[Requests]:
    clock = Ticks()
    store = SqliteStore(tmp_path / "db", clock)
    await store.start(NodeIdentity("n", "i"), clock.now_us())
    yield Requests(store, clock, IdSource(clock.now_us, lambda _: 7))
    await store.stop()


async def test_an_ended_execution_is_followed_by_a_new_one_with_the_parameters_laid_over(requests: Requests) -> None:
    engine = Engine()
    await requests.add({"request_id": "r", "template_name": "t", "client_id": "c", "parameters": {"a": 1, "b": 1}})

    assert await requests.execute("r", {"b": 2}, engine.submit, engine.is_open) == ("r", True)
    assert await requests.execute("r", {"b": 3}, engine.submit, engine.is_open) == ("r", False)
    engine.open.clear()
    assert await requests.execute("r", {}, engine.submit, engine.is_open) == ("r#2", True)

    assert engine.accepted["r"] == {
        "template_name": "t",
        "client_id": "c",
        "parameters": {"a": 1, "b": 2},
        "request_id": "r",
    }
    assert engine.accepted["r#2"]["parameters"] == {"a": 1, "b": 1}
    assert (await requests.get("r"))["execution_id"] == "r#2"


@pytest.mark.parametrize("loses_answer", [True, False])
async def test_what_was_begun_before_a_crash_is_what_the_next_caller_gets(
    requests: Requests, loses_answer: bool
) -> None:
    engine = Engine()
    await requests.add({"request_id": "r", "template_name": "t"})
    engine.broken, engine.loses_answer = StoreTrouble("gone"), loses_answer
    with pytest.raises(StoreTrouble):
        await requests.execute("r", {"first": True}, engine.submit, engine.is_open)

    execution_id, is_new = await requests.execute("r", {"second": True}, engine.submit, engine.is_open)

    assert (execution_id, is_new) == ("r", not loses_answer)
    assert list(engine.accepted) == ["r"]
    assert engine.accepted["r"]["parameters"] == {"first": True}


async def test_what_was_refused_is_not_tried_again(requests: Requests) -> None:
    engine = Engine()
    await requests.add({"request_id": "r", "template_name": "t"})
    engine.broken = Invalid("no topic")
    with pytest.raises(Invalid):
        await requests.execute("r", {"bad": True}, engine.submit, engine.is_open)

    assert await requests.execute("r", {"good": True}, engine.submit, engine.is_open) == ("r#2", True)
    assert engine.accepted["r#2"]["parameters"] == {"good": True}
