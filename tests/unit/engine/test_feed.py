"""The feed: whoever watches hears what was committed, until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stagewright.engine.feed import Feed, Heard

EVENTS = [{"seq": 1}]


def heard(log: list[Any], name: str) -> Callable[[str, list[dict[str, Any]]], None]:
    return lambda execution_id, events: log.append((name, execution_id, events))


def test_watchers_of_one_and_of_all_hear_what_is_theirs() -> None:
    feed, log = Feed(), list[Any]()
    feed.watch("exec_1", heard(log, "one"))
    feed.watch(None, heard(log, "all"))

    feed.publish("exec_1", EVENTS)
    feed.publish("exec_2", EVENTS)

    assert log == [("all", "exec_1", EVENTS), ("one", "exec_1", EVENTS), ("all", "exec_2", EVENTS)]


def test_who_stopped_hears_nothing_and_leaves_nothing() -> None:
    feed, log = Feed(), list[Any]()
    stops = [feed.watch("exec_1", heard(log, "one")), feed.watch(None, heard(log, "all"))]
    for stop in (*stops, *stops):
        stop()

    feed.publish("exec_1", EVENTS)

    assert log == []
    assert (feed._of_one, feed._of_all) == ({}, [])


def test_stopping_twice_does_not_silence_who_came_later() -> None:
    feed, log = Feed(), list[Any]()
    stop = feed.watch("exec_1", heard(log, "first"))
    stop()
    feed.watch("exec_1", heard(log, "second"))
    stop()

    feed.publish("exec_1", EVENTS)

    assert log == [("second", "exec_1", EVENTS)]


def test_a_watcher_may_stop_while_it_is_called() -> None:
    feed, log = Feed(), list[Any]()
    for execution_id in ("exec_1", None):
        stops: list[Callable[[], None]] = []
        stops.append(feed.watch(execution_id, lambda *_, stops=stops: stops[0]()))
        feed.watch(execution_id, heard(log, "stays"))

    feed.publish("exec_1", EVENTS)

    assert log == [("stays", "exec_1", EVENTS)] * 2


def numbered(*numbers: int, last: str = "stage.completed") -> list[dict[str, Any]]:
    return [{"seq": number, "type": "stage.started"} for number in numbers[:-1]] + [{"seq": numbers[-1], "type": last}]


async def test_a_watcher_takes_what_follows_and_drops_what_it_knows() -> None:
    heard = Heard(events_max=10)
    heard.take("exec_1", numbered(1, 2, 3))

    assert await heard.after(1) == numbered(1, 2, 3)[1:]


async def test_a_watcher_waits_for_the_next_events() -> None:
    heard = Heard(events_max=10)
    waiting = asyncio.ensure_future(heard.after(3))
    await asyncio.sleep(0)
    assert not waiting.done()

    heard.take("exec_1", numbered(4))

    assert await waiting == numbered(4)


async def test_a_watcher_with_a_gap_or_too_far_behind_must_ask_the_database_once() -> None:
    heard = Heard(events_max=3)
    heard.take("exec_1", numbered(5))
    assert await heard.after(3) is None

    heard.take("exec_1", numbered(6, 7, 8))  # one more than the bound
    assert len(heard._events) == 0
    assert await heard.after(5) is None

    heard.take("exec_1", numbered(9))
    assert await heard.after(8) == numbered(9)


async def test_an_end_that_is_known_already_must_be_checked() -> None:
    heard = Heard(events_max=10)
    heard.take("exec_1", numbered(4, last="execution.completed"))

    assert await heard.after(1_000) is None
