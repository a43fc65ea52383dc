"""Workloads against a node in this very process, all of the product but HTTP: chains, latency, fan-out, submissions."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

from stagewright.app.runtime import Runtime
from stagewright.app.settings import load_settings
from stagewright.cli import bench_documents as documents
from stagewright.cli.bench_figures import Figure
from stagewright.cli.bench_place import Place
from stagewright.cli.bench_profile import Profile, Sampler
from stagewright.definitions import load_value
from stagewright.protocol.bodies import ExecuteBody

try:
    from uvloop import run as run_loop
except ImportError:  # there is none for Windows
    from asyncio import run as run_loop  # type: ignore[assignment]

IN_FLIGHT = 1_000
SUBMITTERS = 32
LOAD_BURNS_S = (0.00002, 0.0005, 0.00005, 0.001, 0.0001, 0.0002)
"""What the saturated loop does beside the engine: so long of Python in each of its turns, in turn; it never rests.

Turns shorter than the interval at which threads change are the hard ones: the loop gives up the interpreter lock in
each and takes it again at once, so that a thread that waits for it never sees its own wait end.
"""

FATAL_EXIT = 70


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each workload does; the small ones show that it works, not how fast."""

    chains: int = 5_000  # executions of ten stages
    chains_to_warm: int = 500
    latencies: int = 300
    fans: tuple[int, ...] = (1_000, 10_000)  # parallel stages
    fan_repeats: tuple[int, ...] = (5, 3)
    map_items: int = 100_000  # of one mapped stage
    submissions: int = 20_000
    http_s: float = 5.0  # of load by wrk
    crash_chains: int = 3_000
    idle_s: float = 10.0  # after the ready line
    finished: int = 1_000_000  # executions in the database of the growth workload


QUICK = Sizes(
    chains=50, chains_to_warm=5, latencies=10, fans=(20, 200), fan_repeats=(2, 1), map_items=300, submissions=200,
    http_s=0.5, crash_chains=50, idle_s=0.2, finished=500,
)  # fmt: skip


def measure(workload: str, place: Place, sizes: Sizes, profiles: list[Profile] | None = None) -> list[Figure]:
    """Run one workload of this module on a fresh node and return its figures; `profiles` gets one if it is a list."""
    made: list[Figure] = []

    async def perform() -> None:
        async with open_node(place.settings(workload)) as node:
            made.extend(await _WORKLOADS[workload](node, sizes, profiles))

    run_loop(perform())
    return made


def chains_on(settings: dict[str, str], sizes: Sizes) -> float:
    """Return the stages a second of chains on a node with these settings."""
    rates: list[float] = []

    async def perform() -> None:
        async with open_node(settings) as node:
            await _register(node, documents.chain())
            rates.append(await chains_per_s(node, sizes.chains, sizes.chains_to_warm))

    run_loop(perform())
    return rates[0]


def execute_on(settings: dict[str, str], pipelines: list[dict[str, Any]]) -> list[str]:
    """Execute pipelines, one after another, on a node with these settings; returns the ids."""
    ids: list[str] = []

    async def perform() -> None:
        async with open_node(settings) as node:
            for document in pipelines:
                await _register(node, document)
                ids.append(await _finish(node, _body(document["name"])))

    run_loop(perform())
    return ids


@asynccontextmanager
async def open_node(settings: dict[str, str]) -> AsyncIterator[Runtime]:
    """Start a node as the server has it; the environment of the caller does not count."""
    runtime = Runtime(load_settings({}, settings, Path(settings["data"])), _end)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop()


async def chains_per_s(node: Runtime, number: int, warm: int) -> float:
    """Return the stages a second of `number` chains, `IN_FLIGHT` at once; their pipeline is registered."""
    body = _body(documents.CHAIN)
    await _gather(warm, IN_FLIGHT, lambda: _finish(node, body))
    took = await _timed(_gather(number, IN_FLIGHT, lambda: _finish(node, body)))
    return number * documents.CHAIN_STAGES / took


async def _chains(node: Runtime, sizes: Sizes, profiles: list[Profile] | None) -> list[Figure]:
    await _register(node, documents.chain())
    journal = node.engine.journal
    flushes, rows, cpu = journal.flushes, journal.rows_written, time.process_time()
    begin = time.perf_counter()
    rate = await chains_per_s(node, sizes.chains, sizes.chains_to_warm)
    facts = {
        "executions": sizes.chains, "flushes": journal.flushes - flushes,
        "rows_per_flush": round((journal.rows_written - rows) / (journal.flushes - flushes)),
        "cores": round((time.process_time() - cpu) / (time.perf_counter() - begin), 2),
    }  # fmt: skip
    stop = _saturate()
    try:
        beside = await chains_per_s(node, sizes.chains, sizes.chains_to_warm)
    finally:
        stop()
    if profiles is not None:
        with Sampler() as sampler:
            await chains_per_s(node, sizes.chains, sizes.chains_to_warm)
        profiles.append(sampler.profile())
    return [
        Figure("chains", "stages_per_s", (rate,), "stages/s", facts),
        Figure("chains", "beside_saturated_loop_per_s", (beside,), "stages/s"),
        Figure("chains", "beside_saturated_loop_ratio", (beside / rate,), "of chains"),
    ]


async def _latency(node: Runtime, sizes: Sizes, profiles: list[Profile] | None) -> list[Figure]:
    await _register(node, documents.chain())
    body = _body(documents.CHAIN)
    took = sorted([await _timed(_finish(node, body)) for _ in range(sizes.latencies + 20)][20:])
    if profiles is not None:
        with Sampler() as sampler:
            for _ in range(sizes.latencies):
                await _finish(node, body)
        profiles.append(sampler.profile())
    stage_ms = [seconds * 1e3 / documents.CHAIN_STAGES for seconds in took]
    facts = {"executions": len(took)}
    return [
        Figure("latency", "stage_p50_ms", (stage_ms[len(took) // 2],), "ms", facts),
        Figure("latency", "stage_p99_ms", (stage_ms[len(took) * 99 // 100],), "ms"),
    ]


async def _fanout(node: Runtime, sizes: Sizes, profiles: list[Profile] | None) -> list[Figure]:
    figures = []
    for width, repeats in zip(sizes.fans, sizes.fan_repeats, strict=True):
        document = documents.fan(width)
        load_s = await _timed(_register(node, document))
        body = _body(document["name"])
        first_s = await _timed(_finish(node, body))
        took = [await _timed(_finish(node, body)) for _ in range(repeats)]
        facts = {"register_s": round(load_s, 4), "first_s": round(first_s, 4)}
        figures.append(Figure("fanout", f"{width}_s", tuple(took), "s", facts))
    # So wide a fan cannot be written out, as a document has at most 20,000 stages: it is a map over items.
    await _register(node, documents.mapped(sizes.map_items))
    took_s = await _timed(_finish(node, _body(f"bench_map_{sizes.map_items}")))
    figures.append(Figure("fanout", "100000_s", (took_s,), "s", {"items": sizes.map_items}))
    if profiles is not None:
        body = _body(documents.fan(sizes.fans[1])["name"])
        with Sampler() as sampler:
            await _finish(node, body)
        profiles.append(sampler.profile())
    return figures


async def _submit(node: Runtime, sizes: Sizes, profiles: list[Profile] | None) -> list[Figure]:
    await _register(node, documents.sleeper())

    numbers = count()

    async def submit() -> None:
        body = _body(documents.SLEEPER, n=str(next(numbers)))
        await node.service.execute(body)

    await _gather(SUBMITTERS, SUBMITTERS, submit)
    took = await _timed(_gather(sizes.submissions, SUBMITTERS, submit))
    if profiles is not None:
        with Sampler() as sampler:
            await _gather(sizes.submissions, SUBMITTERS, submit)
        profiles.append(sampler.profile())
    rate = sizes.submissions / took
    return [Figure("submit", "in_process_per_s", (rate,), "/s", {"executions": sizes.submissions})]


_WORKLOADS: dict[str, Callable[[Runtime, Sizes, list[Profile] | None], Awaitable[list[Figure]]]] = {
    "chains": _chains,
    "latency": _latency,
    "fanout": _fanout,
    "submit": _submit,
}


async def _register(node: Runtime, document: dict[str, Any]) -> None:
    await node.service.register(load_value(document))
    gc.collect()  # what loading left behind is not what is measured


def _body(pipeline: str, **parameters: str) -> ExecuteBody:
    return ExecuteBody.model_validate({"template_name": pipeline, "parameters": parameters})


async def _finish(node: Runtime, body: ExecuteBody) -> str:
    final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    submitted = await node.service.execute(body, final=final)
    status = await final
    if status != "completed":
        raise AssertionError(f"expected completed, found {status}: {submitted.execution_id}")
    return submitted.execution_id


async def _gather(number: int, at_once: int, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Await `number` of what `make` makes, `at_once` of them at a time."""
    turns = iter(range(number))

    async def go() -> None:
        for _ in turns:
            await make()

    await asyncio.gather(*(go() for _ in range(min(at_once, number))))


async def _timed(awaitable: Awaitable[Any]) -> float:
    begin = time.perf_counter()
    await awaitable
    return time.perf_counter() - begin


def _saturate() -> Callable[[], None]:
    """Keep the loop busy between all that it does, so that it never gives up the interpreter lock to wait."""
    loop = asyncio.get_running_loop()
    burns = cycle(LOAD_BURNS_S)
    handle: asyncio.Handle

    def burn() -> None:
        nonlocal handle
        until = time.perf_counter() + next(burns)
        while time.perf_counter() < until:
            pass
        handle = loop.call_soon(burn)

    handle = loop.call_soon(burn)
    return lambda: handle.cancel()


def _end(error: BaseException) -> None:
    """A node that cannot go on ends the bench: what it would measure then means nothing."""
    traceback.print_exception(error)
    os._exit(FATAL_EXIT)
