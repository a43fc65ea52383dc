"""Celery with Redis: canvas chains and chords, one process of two children. Less durable than the others.

pip install "celery[redis]"; a redis-server must be installed
Messages and results lie in Redis with an append-only file that is synced each second; there is no journal of a
pipeline. Acknowledged late, so that a lost worker's stage is performed again. Submissions go into a queue without
workers.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from celery import Celery, chord
from celery import chain as sequence
from common import (
    FAN_TIMEOUT_S,
    IDLE_S,
    STAGES,
    SUBMITTERS,
    end,
    fresh,
    options,
    payload,
    refuse_busy_ports,
    rss_mb,
    seconds_or_why,
    spawn,
    stage_p50_ms,
    tell,
    wait_for_port,
)

PORT = 16379
CLIENTS = 4  # threads that submit chains
RESULT_TIMEOUT_S = 120.0

app = Celery("bench_celery", broker=f"redis://127.0.0.1:{PORT}/0", backend=f"redis://127.0.0.1:{PORT}/1")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
    broker_pool_limit=64,
    redis_max_connections=200,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="stage")
def stage(before: Any, number: int) -> dict[str, Any]:
    return payload(number)


@app.task(name="join")
def join(outputs: list[Any]) -> int:
    return len(outputs)


def chain(queue: str = "celery") -> Any:
    first, *others = range(STAGES)
    return sequence(stage.s({}, first).set(queue=queue), *(stage.s(number).set(queue=queue) for number in others))


class Cluster:
    """Redis and a worker, on a fresh folder."""

    def __init__(self, home: Path) -> None:
        refuse_busy_ports(PORT)
        settings = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        where = ["--port", str(PORT), "--bind", "127.0.0.1", "--dir", str(fresh(home, "celery"))]
        self.redis: subprocess.Popen[bytes] = spawn(["redis-server", *where, *settings], home / "redis.log")
        wait_for_port(PORT, self.redis)
        switches = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", "celery", "-l", "ERROR"]
        self.worker: subprocess.Popen[bytes] = spawn(
            [sys.executable, "-m", "celery", "-A", "bench_celery", "worker", "-P", "prefork", "-c", "2", *switches],
            home / "celery.log",
            {"PYTHONPATH": str(Path(__file__).parent)},
        )

    def __enter__(self) -> Cluster:
        chain().apply_async().get(timeout=RESULT_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        end(self.worker)
        end(self.redis)


async def finish(_: int) -> None:
    chain().apply_async().get(timeout=RESULT_TIMEOUT_S)


def fan(width: int) -> None:
    chord((stage.s({}, number) for number in range(width)), join.s()).apply_async().get(timeout=FAN_TIMEOUT_S)


def chains_s(number: int) -> float:
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for result in list(pool.map(lambda _: chain().apply_async(), range(number))):
            result.get(timeout=RESULT_TIMEOUT_S)
    return time.perf_counter() - begin


def submit_s(number: int) -> float:
    begin = time.perf_counter()
    with ThreadPoolExecutor(SUBMITTERS) as pool:
        list(pool.map(lambda _: chain("nobody").apply_async(), range(number)))
    return time.perf_counter() - begin


def main() -> None:
    chosen = options()
    quick = chosen.quick
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    chains, submissions, width = (5, 32, 20) if quick else (500, 2_000, 1_000)
    begin = time.perf_counter()
    with Cluster(chosen.home) as cluster:
        first_s = time.perf_counter() - begin
        time.sleep(0.1 if quick else IDLE_S)
        tell(
            {
                "start.first_finished_s": first_s,
                "start.idle_rss_mb": rss_mb([cluster.redis, cluster.worker]),
                "chains.stages_per_s": chains * STAGES / chains_s(chains),
                "latency.stage_p50_ms": asyncio.run(stage_p50_ms(5 if quick else 50, finish)),
                "fanout.1000_s": asyncio.run(seconds_or_why(asyncio.to_thread(fan, width))),
                "submit.in_process_per_s": submissions / submit_s(submissions),
            }
        )


if __name__ == "__main__":
    main()
