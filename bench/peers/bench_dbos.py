"""DBOS Transact for Python: one process, async workflows and steps checkpointed in SQLite.

pip install dbos uvloop
The database is put into write-ahead logging before DBOS opens it, which makes it faster than out of the box; its
syncs stay as DBOS sets them (full). 200 chains in flight, 20 connections: more were no better. Submissions are put
into a queue that nobody listens to, so that nothing is performed.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import (
    IDLE_S,
    STAGES,
    SUBMITTERS,
    end,
    fresh,
    gather,
    options,
    payload,
    rss_mb,
    seconds_or_why,
    spawn,
    stage_p50_ms,
    tell,
)  # fmt: skip
from dbos import DBOS, DBOSConfig, SetWorkflowID

IN_FLIGHT = 200
POOL = 20
POLL_S = 0.05


@DBOS.step()
async def stage(number: int) -> dict[str, Any]:
    return payload(number)


@DBOS.workflow()
async def chain(name: str) -> dict[str, Any]:
    output: dict[str, Any] = {}
    for one in range(STAGES):
        output = await stage(one)
    return output


@DBOS.workflow()
async def fan(width: int) -> int:
    return len(await asyncio.gather(*(stage(one) for one in range(width))))


def launch(folder: Path) -> None:
    database = folder / "dbos.sqlite"
    connection = sqlite3.connect(database)
    connection.execute("pragma journal_mode = wal")
    connection.close()
    config = DBOSConfig(
        name="bench", system_database_url=f"sqlite:///{database}", log_level="ERROR", sys_db_pool_size=POOL,
        executor_id="bench", application_version="1", enable_otlp=False,
    )  # fmt: skip
    DBOS(config=config)
    DBOS.listen_queues(["another"])  # than the one that submissions go into
    DBOS.launch()
    DBOS.register_queue("bench")


async def finish(name: str) -> None:
    with SetWorkflowID(name):
        handle = await DBOS.start_workflow_async(chain, name)
    await handle.get_result(polling_interval_sec=POLL_S)


async def measure(quick: bool) -> dict[str, float | str]:
    chains, submissions = (10, 32) if quick else (400, 2_000)
    await gather(10, 10, lambda number: finish(f"warm{number}"))
    chains_s = await gather(chains, IN_FLIGHT, lambda number: finish(f"chain{number}"))
    p50_ms = await stage_p50_ms(5 if quick else 50, lambda number: chain(f"latency{number}"))
    fan_s = await seconds_or_why(fan(20 if quick else 1_000))
    submit_s = await gather(
        submissions, SUBMITTERS, lambda number: DBOS.enqueue_workflow_async("bench", chain, f"submitted{number}")
    )
    return {
        "chains.stages_per_s": chains * STAGES / chains_s,
        "latency.stage_p50_ms": p50_ms,
        "fanout.1000_s": fan_s,
        "submit.in_process_per_s": submissions / submit_s,
    }


def measure_start(home: Path, quick: bool) -> dict[str, float]:
    """Start this script as a program that finishes one chain, leaves a mark and stays."""
    mark = fresh(home, "dbos-start") / "done"
    begin = time.perf_counter()
    process: subprocess.Popen[bytes] = spawn(
        [sys.executable, __file__, "--home", str(home), "--mark", str(mark)], home / "dbos-start.log"
    )
    try:
        while not mark.exists():
            if process.poll() is not None or time.perf_counter() - begin > 60:
                raise SystemExit(f"DBOS did not start; see {home / 'dbos-start.log'}")
            time.sleep(0.002)
        first_s = time.perf_counter() - begin
        time.sleep(0.1 if quick else IDLE_S)
        return {"start.first_finished_s": first_s, "start.idle_rss_mb": rss_mb([process])}
    finally:
        end(process)


def main() -> None:
    chosen = options(mark="")
    if chosen.mark:
        launch(Path(chosen.mark).parent)
        asyncio.run(finish("first"))
        Path(chosen.mark).touch()
        time.sleep(600)
        return
    launch(fresh(chosen.home, "dbos"))
    figures = asyncio.run(measure(chosen.quick))
    DBOS.destroy()
    tell(figures | measure_start(chosen.home, chosen.quick))


if __name__ == "__main__":
    main()
