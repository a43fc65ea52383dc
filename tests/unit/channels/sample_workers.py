"""Workers that behave in every way a worker may; loaded by real child processes."""

from __future__ import annotations

import asyncio
import ctypes
import datetime
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from stagewright.sdk import Context, Result, Retry, Terminal, Worker

good = Worker("good", version="7", description="Does as it is told")
bad = Worker("bad", description="Does not")


@dataclass
class Book:
    title: str
    pages: int = 1


@dataclass
class Shelf:
    books: list[Book]
    name: str = "unnamed"
    tags: dict[str, str] = field(default_factory=dict)


@good.action
async def echo(inputs: dict[str, Any], ctx: Context) -> Any:
    return {"inputs": inputs, "execution": ctx.execution_id, "step": ctx.step, "attempt": ctx.attempt}


@good.action
def where(inputs: dict[str, Any], ctx: Context) -> Any:
    is_main = threading.current_thread() is threading.main_thread()
    return {"pid": os.getpid(), "is_main_thread": is_main, "has_cache": ctx.cache_dir.is_dir()}


@good.action
async def large(inputs: dict[str, Any], ctx: Context) -> Any:
    return {"text": "x" * inputs["bytes"]}


@good.action
async def report(inputs: dict[str, Any], ctx: Context) -> Result:
    for n in range(200):
        ctx.progress(n / 200, f"part {n}")
    ref = await ctx.artifact("report.txt", "hello", media_type="text/plain")
    await ctx.artifact("again.txt", b"first", media_type="text/plain")
    await ctx.artifact("again.txt", b"second", media_type="text/plain; charset=utf-8")
    return Result({"artifact": ref}, summary={"items_processed": 3}, usage=[{"cost_usd": 0.25}], continue_=False)


@good.action
async def big_file(inputs: dict[str, Any], ctx: Context) -> Any:
    path = ctx.cache_dir / "big"
    with path.open("wb") as file:
        for n in range(inputs["megabytes"]):
            file.write(bytes([n % 256]) * 1024 * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ref = await ctx.artifact("big.bin", path, media_type="application/octet-stream")
    path.unlink()
    return {"grown_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, "artifact": ref}


@good.action
def typed(inputs: Shelf, ctx: Context) -> Any:
    assert isinstance(inputs, Shelf) and all(isinstance(book, Book) for book in inputs.books)
    return inputs


@good.action
async def prints(inputs: dict[str, Any], ctx: Context) -> Any:
    print("\x00\x00\x00\x05garbage on stdout")
    print("and a word on stderr", file=sys.stderr)
    for n in range(inputs.get("lines", 0)):
        print(n)
    os.write(1, b"y" * 100_000)
    return {"printed": True}


@good.action
def sync_artifact(inputs: dict[str, Any], ctx: Context) -> Any:
    return asyncio.run(ctx.artifact("from-a-thread.txt", "text", media_type="text/plain"))


@bad.action
async def raises(inputs: dict[str, Any], ctx: Context) -> Any:
    raise KeyError("no such thing")


@bad.action
def raises_in_a_thread(inputs: dict[str, Any], ctx: Context) -> Any:
    return next(iter(()))  # a StopIteration, which no future can hold


@bad.action
async def refuses(inputs: dict[str, Any], ctx: Context) -> Any:
    raise Terminal("this can never work", code="hopeless")


@bad.action
async def asks_for_patience(inputs: dict[str, Any], ctx: Context) -> Any:
    raise Retry("come back later", after_s=12.5, code="rate_limited")


@bad.action
async def exits_politely(inputs: dict[str, Any], ctx: Context) -> Any:
    sys.exit(3)


@bad.action
def interrupts(inputs: dict[str, Any], ctx: Context) -> Any:
    raise KeyboardInterrupt


@bad.action
async def nothing(inputs: dict[str, Any], ctx: Context) -> Any:
    return None


@bad.action
async def not_json(inputs: dict[str, Any], ctx: Context) -> Any:
    return {"items": [1, 2, 3, {"when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}]}


@bad.action
async def much(inputs: dict[str, Any], ctx: Context) -> Any:
    return {"text": "x" * 100_000_000}


@bad.action
async def waits(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {os.getpid()}")
    await asyncio.sleep(3600)


@bad.action
async def blocks_the_loop(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {os.getpid()}")
    while True:
        time.sleep(0.01)  # noqa: ASYNC251 - this is what it is for


@bad.action
def spins_in_a_thread(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {os.getpid()}")
    while True:
        sum(range(1000))


@bad.action
def stops_when_asked(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {os.getpid()}")
    while not ctx.cancelled:
        time.sleep(0.01)
    return {}


@bad.action
async def exits_at_once(inputs: dict[str, Any], ctx: Context) -> Any:
    await asyncio.sleep(inputs.get("after_s", 0))
    os._exit(7)


@bad.action
async def crashes(inputs: dict[str, Any], ctx: Context) -> Any:
    ctypes.string_at(0)


@bad.action
async def stops_itself(inputs: dict[str, Any], ctx: Context) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)
    await asyncio.sleep(3600)


@bad.action
def holds_the_interpreter(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {os.getpid()}")
    ctypes.PyDLL(None).sleep(3600)  # keeps the interpreter lock, so that not even the beat is heard


@bad.action
async def scribbles(inputs: dict[str, Any], ctx: Context) -> Any:
    for number in range(3, 64):
        try:
            is_socket = stat.S_ISSOCK(os.fstat(number).st_mode)
        except OSError:
            continue
        if is_socket:
            try:
                os.write(number, b"\xff\xff\xff\xff this is no frame")
            except OSError:
                continue
    await asyncio.sleep(3600)


@bad.action
async def leaves_somebody_behind(inputs: dict[str, Any], ctx: Context) -> Any:
    ctx.progress(0.5, f"pid {subprocess.Popen(['sleep', '3600']).pid}")  # noqa: ASYNC220
    await asyncio.sleep(3600)


@bad.action
async def bad_name(inputs: dict[str, Any], ctx: Context) -> Any:
    await ctx.artifact("../secret", b"", media_type="text/plain")


@bad.action
async def too_many(inputs: dict[str, Any], ctx: Context) -> Any:
    for n in range(100):
        await ctx.artifact(f"{n}.txt", b"same", media_type="text/plain")


def workers() -> list[Worker]:
    return [good, bad]


def manifest() -> list[dict[str, Any]]:
    return [
        {"name": w.name, "version": w.version, "description": w.description, "actions": list(w.actions)}
        for w in workers()
    ]


def broken() -> list[Worker]:
    raise ImportError("no module named 'tensors'")
