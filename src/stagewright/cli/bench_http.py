"""Workloads over HTTP. The load comes from wrk: a client in Python would need more of the cores than the server."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from stagewright.cli import bench_documents as documents
from stagewright.cli.bench_figures import Figure
from stagewright.cli.bench_inside import SUBMITTERS, Sizes
from stagewright.cli.bench_outside import read_rows
from stagewright.cli.bench_place import Place
from stagewright.cli.bench_server import Client, Server, open_client, open_server

BATCH = 100
BATCH_CONNECTIONS = 8
MIXED_CONNECTIONS = 8
CHAINS_AT_ONCE = 500
"""Chains in each of two batches that are always under way while calls are timed."""

CHAIN_POLL_S = 0.01
NO_WRK = "wrk is not installed (Debian: apt-get install wrk), and a Python client cannot make this load"

_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local number = 0
local ids = { %(ids)s }
local post = %(post)s
function request()
  number = number + 1
  %(request)s
end
function done(summary, latency, requests)
  io.write(string.format(
    '{"requests":%%d,"us":%%d,"refused":%%d,"broken":%%d,"p50_us":%%d,"p99_us":%%d,"max_us":%%d}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
"""

SUBMIT_ONE = """return wrk.format(nil, "/execute", nil, (string.gsub(post, "NUMBER", tostring(number))))"""
SUBMIT_BATCH = f"""
  local bodies = {{}}
  for i = 1, {BATCH} do bodies[i] = (string.gsub(post, "NUMBER", number .. "-" .. i)) end
  return wrk.format(nil, "/execute/batch", nil, '{{"executions":[' .. table.concat(bodies, ",") .. "]}}")"""
MIXED = """
  if number % 10 == 0 then return wrk.format(nil, "/execute", nil, post) end
  return wrk.format("GET", "/api/executions/" .. ids[number % #ids + 1])"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answered calls, of them refused ones, broken connections, latencies of all."""

    requests: int
    us: int
    refused: int
    broken: int
    p50_us: int
    p99_us: int
    max_us: int

    @property
    def accepted_per_s(self) -> float:
        """Calls a second that were answered with success."""
        return (self.requests - self.refused) * 1e6 / self.us


def measure_http_submit(place: Place, sizes: Sizes) -> list[Figure]:
    """Submit one execution a call, then many a call; every accepted one must be in the database."""
    if shutil.which("wrk") is None:
        return [Figure("submit", name, (), "/s", {"why": NO_WRK}) for name in ("http_per_s", "http_batch_per_s")]
    post = orjson.dumps({"template_name": documents.SLEEPER, "parameters": {"n": "NUMBER"}}).decode()
    with open_server(place, "submit-http") as server:
        server.start()
        with open_client(server, [documents.sleeper()]):
            one = press(server, SUBMIT_ONE, post, connections=SUBMITTERS, seconds=sizes.http_s)
            stored = _stored(server)
            many = press(server, SUBMIT_BATCH, post, connections=BATCH_CONNECTIONS, seconds=sizes.http_s)
            stored_by_batches = _stored(server) - stored
    accepted = (one.requests - one.refused, (many.requests - many.refused) * BATCH)
    assert stored >= accepted[0] and stored_by_batches >= accepted[1], "accepted executions are not in the database"
    facts = {"connections": SUBMITTERS, "refused": one.refused, "broken": one.broken, "accepted": accepted[0]}
    batch_facts = {
        "connections": BATCH_CONNECTIONS, "executions_a_call": BATCH, "refused": many.refused, "broken": many.broken,
        "accepted": accepted[1],
    }  # fmt: skip
    return [
        Figure("submit", "http_per_s", (one.accepted_per_s,), "/s", facts),
        Figure("submit", "http_p99_ms", (one.p99_us / 1e3,), "ms"),
        Figure("submit", "http_batch_per_s", (many.accepted_per_s * BATCH,), "/s", batch_facts),
    ]


def measure_api(place: Place, sizes: Sizes) -> list[Figure]:
    """Time calls while chains run at full speed: nine in ten read an execution, one submits a chain."""
    if shutil.which("wrk") is None:
        return [Figure("api", "p99_ms", (), "ms", {"why": NO_WRK})]
    post = orjson.dumps({"template_name": documents.CHAIN}).decode()
    with open_server(place, "api") as server:
        server.start()
        with open_client(server, [documents.chain()]) as client:
            ids = client.submit(documents.CHAIN, 100)
            client.wait(ids[-1])
            chains = _Chains(server)
            with chains:
                load = press(server, MIXED, post, connections=MIXED_CONNECTIONS, seconds=sizes.http_s, ids=ids)
    facts = {"calls": load.requests, "refused": load.refused, "broken": load.broken, "max_ms": load.max_us / 1e3}
    submitted = load.requests // 10
    stages = (chains.finished + submitted) * documents.CHAIN_STAGES
    return [
        Figure("api", "p99_ms", (load.p99_us / 1e3,), "ms", facts),
        Figure("api", "p50_ms", (load.p50_us / 1e3,), "ms"),
        Figure("api", "calls_per_s", (load.requests * 1e6 / load.us,), "/s"),
        Figure("api", "stages_per_s_meanwhile", (stages / chains.seconds,), "stages/s"),
    ]


def press(
    server: Server, request: str, post: str, *, connections: int, seconds: float, ids: Sequence[str] = ()
) -> Load:
    """Let wrk make requests by a piece of Lua for whole seconds (at least one); `AssertionError` if it fails."""
    script = server.data.parent / "load.lua"
    quoted = ", ".join(f'"{one}"' for one in ids)
    script.write_text(_SCRIPT % {"ids": quoted, "post": f"[==[{post}]==]", "request": request}, encoding="utf-8")
    whole = max(1, round(seconds))
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{whole}s"]
    result = subprocess.run(
        [*command, "--timeout", "10s", "--script", str(script), server.url],
        capture_output=True, text=True, timeout=whole + 60, check=False,
    )  # fmt: skip
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    assert result.returncode == 0 and lines, f"wrk failed: {result.stdout}{result.stderr}"
    return Load(**orjson.loads(lines[-1]))


def _stored(server: Server) -> int:
    return int(read_rows(Path(server.database), "SELECT count(*) FROM executions")[0][0])


class _Chains:
    """Keeps chains under way from outside, from a thread: two batches, each replaced when its last one has ended."""

    def __init__(self, server: Server) -> None:
        self._client = Client(server.url)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go, name="bench-chains", daemon=True)
        self._error: BaseException | None = None
        self.finished = 0
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._client.close()
        if self._error is not None:
            raise self._error

    def _go(self) -> None:
        try:
            batches = [self._client.submit(documents.CHAIN, CHAINS_AT_ONCE)[-1] for _ in range(2)]
            begin = time.perf_counter()
            while not self._stopped.is_set():
                self._client.wait(batches.pop(0), CHAIN_POLL_S)
                self.finished += CHAINS_AT_ONCE
                self.seconds = time.perf_counter() - begin
                batches.append(self._client.submit(documents.CHAIN, CHAINS_AT_ONCE)[-1])
        except BaseException as error:
            self._error = error
