"""What a watcher costs: the database is asked to catch up, not at every event; slow ones catch up without a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.site import Api, Site, frames, until

EVENTS = {"accept": "text/event-stream"}
LENGTH = 100


def chain(length: int) -> dict[str, Any]:
    """Return a document of stages one after another, the first of which waits a moment."""
    first = {"id": "s0", "worker": "probe", "action": "sleep", "inputs": {"seconds": 0.3}}
    rest = [{"id": f"s{n}", "worker": "probe", "needs": [f"s{n - 1}"]} for n in range(1, length)]
    return {"name": "chain", "stages": [first, *rest]}


@pytest.fixture
def asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the queries by name."""
    counted: Counter[str] = Counter()
    store = site.runtime.store
    read = store.read

    async def counting(query: str, *params: Any) -> Any:
        counted[query] += 1
        return await read(query, *params)

    monkeypatch.setattr(store, "read", counting)
    yield counted


def streamed(api: Api, execution_id: str, after: int = 0) -> list[dict[str, Any]]:
    with api.stream("GET", f"/progress/{execution_id}?after={after}", headers=EVENTS) as answer:
        assert answer.status_code == 200
        return [event for _, event in frames(answer.iter_lines())]


def test_events_come_from_the_engine_and_the_database_is_asked_to_catch_up(api: Api, asked: Counter[str]) -> None:
    events = streamed(api, api.submit(chain(LENGTH)))

    assert [event["seq"] for event in events] == list(range(1, 3 + 2 * LENGTH + 2))
    assert events[-1]["status"] == "completed"
    assert asked["execution"] == 0  # it reads every step with its output
    assert asked["events_after"] <= 6 and asked["execution_status"] <= 6


def test_a_watcher_that_fell_behind_catches_up_without_gap_or_repeat(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagewright.engine.service.STREAM_EVENTS_MAX", 1)

    events = streamed(api, api.submit(chain(LENGTH)))

    assert [event["seq"] for event in events] == list(range(1, 3 + 2 * LENGTH + 2))


def test_a_number_beyond_the_last_event_gives_nothing_and_ends(api: Api, site: Site) -> None:
    assert streamed(api, api.submit(chain(3)), after=1_000) == []
    until(lambda: site.door.streams == 0)
