"""The feed: whoever watches hears what was committed, until it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagewright.engine.feed import Feed

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
