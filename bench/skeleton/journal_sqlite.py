"""The skeleton: the engine's shape and nothing else, as the yardstick that tells a slow machine from a slow engine.

Executions in memory, dirty rows coalesced, two events and one row a stage, one transaction a flush on SQLite with full
durability, dispatch only after the commit. No validation, resources, errors, recovery, HTTP. `strict` puts the attempt
into the commit before its dispatch, as the product does; without it a stage costs one commit less of bookkeeping.

    python bench/skeleton/journal_sqlite.py --data FOLDER [--quick]      prints one JSON object
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import orjson
import uvloop

IN_FLIGHT = 1_000
SUBMITTERS = 32
STAGES = 10
PAYLOAD = {"ok": True, "stage": 0, "tokens": 128, "text": "x" * 56}
DIALECT = (
    "pragma journal_mode=wal; pragma synchronous=full; pragma wal_autocheckpoint=20000; pragma cache_size=-200000;"
)
SCHEMA = """
create table executions(execution_id text primary key, pipeline text, status text, parameters text, output text,
  node text, epoch int, created_at int, started_at int, completed_at int) without rowid;
create table steps(execution_id text, step text, status text, attempt int, worker text, output text, cost int,
  started_at int, completed_at int, primary key(execution_id, step)) without rowid;
create table events(execution_id text, seq int, type text, at int, data text, primary key(execution_id, seq))
  without rowid;
"""
WRITES = (
    "insert into executions values(?,?,?,?,?,?,?,?,?,?) on conflict do update set status=excluded.status, "
    "output=excluded.output, started_at=excluded.started_at, completed_at=excluded.completed_at",
    "insert into steps values(?,?,?,?,?,?,?,?,?) on conflict do update set status=excluded.status, "
    "attempt=excluded.attempt, output=excluded.output, cost=excluded.cost, started_at=excluded.started_at, "
    "completed_at=excluded.completed_at",
    "insert into events values(?,?,?,?,?)",
)
Plan = dict[str, tuple[list[str], list[str]]]  # needs and what needs it, by stage


class Journal:
    """Gathers rows while one flush is being written by a thread."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.executescript(DIALECT + SCHEMA)
        self.executions: dict[str, tuple[Any, ...]] = {}
        self.steps: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.events: list[tuple[Any, ...]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._batches: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()
        self._flushing = asyncio.create_task(self._flush())

    def durable(self) -> asyncio.Future[None]:
        """Return a future that is done once all that was added so far is committed."""
        future: asyncio.Future[None] = self.loop.create_future()
        self.waiters.append(future)
        self._wake.set()
        return future

    def _write(self) -> None:
        while True:
            parts, done = self._batches.get()
            self.database.execute("begin immediate")
            for statement, rows in zip(WRITES, parts, strict=True):
                if rows:
                    self.database.executemany(statement, rows)
            self.database.execute("commit")
            self.loop.call_soon_threadsafe(done.set_result, None)

    async def _flush(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            parts = (list(self.executions.values()), list(self.steps.values()), self.events)
            waiters = self.waiters
            self.executions, self.steps, self.events, self.waiters = {}, {}, [], []
            done = self.loop.create_future()
            self._batches.put((parts, done))
            await done
            for waiter in waiters:
                waiter.set_result(None)


class Execution:
    """A pipeline under way."""

    __slots__ = ("done", "id", "journal", "left", "plan", "remaining", "seq", "started", "strict")

    def __init__(self, execution_id: str, plan: Plan, journal: Journal, strict: bool) -> None:
        self.id, self.plan, self.journal, self.strict = execution_id, plan, journal, strict
        self.seq, self.left = 0, len(plan)
        self.remaining = {stage: len(needs) for stage, (needs, _) in plan.items()}
        self.started: dict[str, int] = {}
        self.done: asyncio.Future[None] = journal.loop.create_future()

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.seq += 1
        self.journal.events.append((self.id, self.seq, kind, now_us(), orjson.dumps(data)))

    def start(self, stage: str) -> None:
        """Note the attempt; with `strict` it is committed before `perform` is called."""
        at = self.started[stage] = now_us()
        self.journal.steps[self.id, stage] = (self.id, stage, "running", 1, "noop", None, 0, at, None)
        self.event("stage.started", {"stage": stage})

    async def perform(self, stage: str) -> None:
        if not self.strict:
            self.start(stage)
        output = orjson.dumps(await noop())
        begun, ended = self.started[stage], now_us()
        self.journal.steps[self.id, stage] = (self.id, stage, "completed", 1, "noop", output, 0, begun, ended)
        self.event("stage.completed", {"stage": stage, "us": ended - begun})
        ready = self._ready(stage) if self.strict else []
        for following in ready:
            self.start(following)
        await self.journal.durable()
        self.left -= 1
        for following in ready or self._ready(stage, not self.strict):
            asyncio.create_task(self.perform(following))  # noqa: RUF006 - what it does keeps it
        if self.left == 0:
            row = (self.id, "chain", "completed", "{}", output, "n1", 1, begun, begun, ended)
            self.journal.executions[self.id] = row
            self.event("execution.completed", {})
            await self.journal.durable()
            self.done.set_result(None)

    def _ready(self, stage: str, count: bool = True) -> list[str]:
        ready = []
        for following in self.plan[stage][1] if count else ():
            self.remaining[following] -= 1
            if self.remaining[following] == 0:
                ready.append(following)
        return ready


def now_us() -> int:
    return time.time_ns() // 1000


async def noop() -> dict[str, Any]:
    return PAYLOAD


async def submit(journal: Journal, execution_id: str, plan: Plan, strict: bool) -> Execution:
    at = now_us()
    execution = Execution(execution_id, plan, journal, strict)
    first = [stage for stage, (needs, _) in plan.items() if not needs]
    journal.executions[execution_id] = (execution_id, "chain", "running", "{}", None, "n1", 1, at, at, None)
    execution.event("execution.created", {})
    for stage in first if strict else ():
        execution.start(stage)
    await journal.durable()
    for stage in first:
        asyncio.create_task(execution.perform(stage))  # noqa: RUF006
    return execution


def chain(stages: int) -> Plan:
    return {f"s{i}": ([f"s{i - 1}"] if i else [], [f"s{i + 1}"] if i < stages - 1 else []) for i in range(stages)}


def fan(width: int) -> Plan:
    middle = [f"f{i}" for i in range(width)]
    return {"root": ([], middle), **{name: (["root"], ["join"]) for name in middle}, "join": (middle, [])}


async def timed(awaitable: Coroutine[Any, Any, Any]) -> float:
    begin = time.perf_counter()
    await awaitable
    return time.perf_counter() - begin


async def measure(path: Path, strict: bool, quick: bool) -> dict[str, float]:
    """Return stages a second, milliseconds a stage, seconds a fan and submissions a second."""
    journal, plan = Journal(path), chain(STAGES)
    numbers = iter(range(10**9))

    async def finish(what: Plan) -> None:
        execution = await submit(journal, f"e{next(numbers)}", what, strict)
        await execution.done

    async def chains(count: int) -> None:
        at_once = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> None:
            async with at_once:
                await finish(plan)

        await asyncio.gather(*(one() for _ in range(count)))

    async def submissions(count: int) -> None:
        async def some() -> None:
            for _ in range(count // SUBMITTERS):
                await submit(journal, f"e{next(numbers)}", {}, strict)

        await asyncio.gather(*(some() for _ in range(SUBMITTERS)))

    count = 50 if quick else 5_000
    latencies = sorted([await timed(finish(plan)) for _ in range(20 if quick else 200)])
    await chains(count // 10)
    return {
        "latency.stage_p50_ms": latencies[len(latencies) // 2] * 1e3 / STAGES,
        "chains.stages_per_s": count * STAGES / await timed(chains(count)),
        "fanout.1000_s": await timed(finish(fan(1_000))),
        "fanout.10000_s": await timed(finish(fan(10_000))),
        "submit.in_process_per_s": count // SUBMITTERS * SUBMITTERS / await timed(submissions(count)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path.cwd(), help="folder on the disk to measure")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    options = parser.parse_args()
    sys.setswitchinterval(0.0001)
    found = {}
    for name, strict in (("loose", False), ("strict", True)):
        with tempfile.TemporaryDirectory(prefix="skeleton-", dir=options.data) as folder:
            found[name] = uvloop.run(measure(Path(folder) / "skeleton.db", strict, options.quick))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
