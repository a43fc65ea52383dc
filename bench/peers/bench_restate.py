"""Restate: its server, and one Python service over HTTP/2 that performs each stage as an awaited, journaled `ctx.run`.

npm install @restatedev/restate-server; pip install restate-sdk granian uvloop
Its log is synced (the default), with 4 partitions, which suits two cores better than 24. A fan is `ctx.run` many times
in one handler. Submissions are `/send?delay=1h`, so that nothing is performed. The load is a small asyncio client.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import restate
from common import (
    IDLE_S,
    STAGES,
    SUBMITTERS,
    Http,
    end,
    fresh,
    gather,
    options,
    payload,
    refuse_busy_ports,
    rss_mb,
    seconds_or_why,
    spawn,
    stage_p50_ms,
    tell,
    wait_for_port,
    wait_for_url,
)  # fmt: skip

INGRESS, ADMIN, NODE, SERVICE = 18080, 19070, 15122, 19080
PARTITIONS = 4
IN_FLIGHT = 200

bench = restate.Service("bench")


async def stage(number: int) -> dict[str, Any]:
    return payload(number)


@bench.handler()
async def chain(ctx: restate.Context, number: int) -> dict[str, Any]:
    output: dict[str, Any] = {}
    for one in range(STAGES):
        output = await ctx.run_typed(f"s{one}", stage, number=one)
    return output


@bench.handler()
async def fan(ctx: restate.Context, width: int) -> int:
    futures = [ctx.run_typed(f"s{one}", stage, number=one) for one in range(width)]
    await restate.gather(*futures)
    return len([await future for future in futures])


app = restate.app(services=[bench])


class Cluster:
    """The server and the service, on a fresh folder."""

    def __init__(self, home: Path, name: str) -> None:
        refuse_busy_ports(INGRESS, ADMIN, NODE, SERVICE)
        self.folder = fresh(home, name)
        binary = next(
            (home / "restate-npm" / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server")
        )
        self.server = spawn(
            [str(binary), "--base-dir", str(self.folder), "--node-name", "n1", "--no-logo", "--listen-mode", "tcp"],
            home / "restate-server.log", _SERVER_SETTINGS,
        )  # fmt: skip
        self.service = spawn(
            [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(SERVICE),
             "--http", "2", "--workers", "1", "--loop", "uvloop", "--log-level", "warning", "bench_restate:app"],
            home / "restate-service.log", {"PYTHONPATH": str(Path(__file__).parent)},
        )  # fmt: skip

    def __enter__(self) -> Cluster:
        wait_for_port(SERVICE, self.service)
        wait_for_url(f"http://127.0.0.1:{ADMIN}/health", self.server)
        wait_for_url(f"http://127.0.0.1:{INGRESS}/restate/health", self.server)
        body = json.dumps({"uri": f"http://127.0.0.1:{SERVICE}", "force": True}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{ADMIN}/deployments", body, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).read()
        return self

    def __exit__(self, *_: object) -> None:
        end(self.service)
        end(self.server)


_SERVER_SETTINGS = {
    "RESTATE_DISABLE_TELEMETRY": "true", "RESTATE_BIND_IP": "127.0.0.1", "RESTATE_BIND_PORT": str(NODE),
    "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{INGRESS}", "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{ADMIN}",
    "RESTATE_DEFAULT_NUM_PARTITIONS": str(PARTITIONS), "RESTATE_LOG_FILTER": "error", "RUST_LOG": "error",
}  # fmt: skip


class Clients:
    """Connections that are used again, one call at a time each."""

    def __init__(self) -> None:
        self._free: list[Http] = []

    async def call(self, path: str, argument: int) -> Any:
        http = self._free.pop() if self._free else Http(INGRESS)
        answer = await http.post(f"/bench/{path}", argument)
        self._free.append(http)
        return answer


async def ready(clients: Clients) -> None:
    """The leaders of all partitions come up only after the health check."""
    for _ in range(60):
        try:
            await asyncio.wait_for(clients.call("chain", 0), 5)
        except (TimeoutError, RuntimeError, OSError):
            await asyncio.sleep(0.1)


async def measure(quick: bool) -> dict[str, float | str]:
    clients = Clients()
    await ready(clients)
    chains, submissions = (20, 64) if quick else (3_000, 20_000)
    await gather(chains // 10, 50, lambda number: clients.call("chain", number))
    chains_s = await gather(chains, IN_FLIGHT, lambda number: clients.call("chain", number))
    p50_ms = await stage_p50_ms(5 if quick else 100, lambda number: clients.call("chain", number))
    submit_s = await gather(submissions, SUBMITTERS, lambda number: clients.call("chain/send?delay=1h", number))
    return {
        "chains.stages_per_s": chains * STAGES / chains_s,
        "latency.stage_p50_ms": p50_ms,
        "submit.http_per_s": submissions / submit_s,
        "fanout.1000_s": await seconds_or_why(clients.call("fan", 20 if quick else 1_000)),
    }


def measure_start(home: Path, quick: bool) -> dict[str, float | str]:
    begin = time.perf_counter()
    with Cluster(home, "restate-start") as cluster:
        asyncio.run(_first())
        first_s = time.perf_counter() - begin
        time.sleep(0.1 if quick else IDLE_S)
        return {"start.first_finished_s": first_s, "start.idle_rss_mb": rss_mb([cluster.server, cluster.service])}


async def _first() -> None:
    while True:
        try:
            await Clients().call("chain", 0)
            return
        except (RuntimeError, OSError):
            await asyncio.sleep(0.01)


def main() -> None:
    chosen = options()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    with Cluster(chosen.home, "restate"):
        figures = asyncio.run(measure(chosen.quick))
    tell(figures | measure_start(chosen.home, chosen.quick))


if __name__ == "__main__":
    main()
