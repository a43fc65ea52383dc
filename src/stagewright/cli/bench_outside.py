"""Workloads against a server in a process of its own: start, memory, crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from stagewright.cli import bench_documents as documents
from stagewright.cli.bench_figures import Figure
from stagewright.cli.bench_inside import Sizes
from stagewright.cli.bench_place import Place
from stagewright.cli.bench_server import Server, open_client, open_server

CRASH_AT = 0.4
"""Part of the stages that are done when the process is killed."""

POLL_S = 0.005
BUSY_TIMEOUT_MS = 5_000
WAIT_TIMEOUT_S = 120.0


def measure_start(place: Place, sizes: Sizes) -> list[Figure]:
    """Time a start on an empty folder up to the first finished pipeline; then weigh a server that nobody uses."""
    with open_server(place, "start") as server:
        begin = time.perf_counter()
        ready_s = server.start()
        with open_client(server) as client:
            submitted = client.post("/execute", {"pipeline": documents.chain()})
            client.wait(submitted["execution_id"])
        finished_s = time.perf_counter() - begin
        server.stop()
    with open_server(place, "start-idle") as server:
        server.start()
        time.sleep(sizes.idle_s)
        rss_mb = server.rss_mb()
        server.stop()
    return [
        Figure("start", "ready_s", (ready_s,), "s"),
        Figure("start", "first_finished_s", (finished_s,), "s"),
        Figure("start", "idle_rss_mb", (rss_mb,), "MB", {"seconds_after_ready": sizes.idle_s}),
    ]


def measure_crash(place: Place, sizes: Sizes) -> list[Figure]:
    """Kill the server among chains, start it again; all must be going again soon, and nothing be lost or doubled."""
    with open_server(place, "crash") as server:
        server.start()
        with open_client(server, [documents.chain()]) as client:
            accepted = client.submit(documents.CHAIN, sizes.crash_chains)
        stages = len(accepted) * documents.CHAIN_STAGES
        _until(lambda: _count(server, "SELECT count(*) FROM steps WHERE status = 'completed'") >= stages * CRASH_AT)
        server.kill()
        open_at_kill, page = _count(server, _OPEN), _count(server, "SELECT max(page) FROM event_pages")
        assert open_at_kill, "everything had ended before the kill: this shows nothing"
        restart_s = server.start()
        ready_at = time.perf_counter()
        _until(lambda: _going(server, page) >= open_at_kill)
        going_s = time.perf_counter() - ready_at
        _until(lambda: _count(server, _OPEN) == 0)
        finished_s = time.perf_counter() - ready_at
        server.stop()
        faults = find_faults(server.database, accepted, documents.CHAIN_STAGES)
    facts = {"accepted": len(accepted), "open_at_kill": open_at_kill, "stages": stages}
    return [
        Figure("crash", "restart_to_ready_s", (restart_s,), "s", facts),
        Figure("crash", "running_again_s", (going_s,), "s"),
        Figure("crash", "all_finished_s", (finished_s,), "s"),
        Figure("crash", "lost_or_doubled", (float(len(faults)),), "faults", {"first": faults[:10]}),
    ]


def find_faults(database: Path, accepted: list[str], stages: int) -> list[str]:
    """Say what an ended database lacks or has twice: executions, completed stages, event numbers."""
    statuses = dict(read_rows(database, "SELECT execution_id, status FROM executions"))
    completed = dict(read_rows(database, _COMPLETED))
    results = dict(read_rows(database, _RESULTS))
    numbers = {row[0]: row[1:] for row in read_rows(database, _NUMBERS)}
    faults = []
    for one in accepted:
        if statuses.get(one) != "completed":
            faults.append(f"{one} is {statuses.get(one, 'lost')}")
            continue
        for what, found in (("stages completed", completed.get(one)), ("results recorded", results.get(one))):
            if found != stages:
                faults.append(f"{one}: expected {stages} {what}, found {found}")
        count, first, last = numbers[one]
        if first != 1 or count != last:
            faults.append(f"{one}: its {count} events are numbered from {first} to {last}")
    return faults


_OPEN = "SELECT count(*) FROM executions WHERE status IN ('pending', 'running')"
_COMPLETED = "SELECT execution_id, count(*) FROM steps WHERE status = 'completed' GROUP BY 1"
_RESULTS = """
    SELECT execution_id, count(*)
    FROM event_pages, json_each(events)
    WHERE value ->> 'type' = 'stage.completed'
    GROUP BY 1"""
_NUMBERS = """
    SELECT execution_id, sum(last_seq - first_seq + 1), min(first_seq), max(last_seq)
    FROM event_pages
    GROUP BY 1"""


def read_rows(database: Path, statement: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Read from a database beside its server."""
    connection = apsw.Connection(
        f"file:{database.absolute()}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return connection.execute(statement, params).fetchall()
    finally:
        connection.close()


def _going(server: Server, page: int) -> int:
    """Return how many executions have written events since `page`."""
    return _count(server, "SELECT count(DISTINCT execution_id) FROM event_pages WHERE page > ?", page)


def _count(server: Server, statement: str, *params: Any) -> int:
    return int(read_rows(server.database, statement, params)[0][0])


def _until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_TIMEOUT_S
    while not is_so():
        assert time.monotonic() < until, f"not reached within {WAIT_TIMEOUT_S:g} s"
        time.sleep(POLL_S)
