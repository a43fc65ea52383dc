"""Follow an execution to its end, show it, and fetch what it delivered."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from stagewright.cli.failures import CANCELLED, EXECUTION_FAILED, INTERRUPTED, OK, TIMED_OUT, NotWritable
from stagewright.cli.naming import program
from stagewright.cli.options import Reader
from stagewright.cli.progress import Progress, event_line, trace_lines
from stagewright.cli.screen import Screen

if TYPE_CHECKING:
    from rich.live import Live

    from stagewright.sdk.client import Client

FRAMES_PER_S = 8

EXITS = {"completed": OK, "failed": EXECUTION_FAILED, "cancelled": CANCELLED}


async def follow(
    door: Reader, screen: Screen, execution_id: str, *, timeout_s: float | None = None, told_until: int = 0
) -> dict[str, Any]:
    """Show an execution until it has ended and return it as the API shows it.

    Events up to `told_until` are known to the reader: they make up the picture, but no line tells of them.
    Leaves with `Exit` when the time is over or somebody interrupts; the execution itself is left alone.
    """
    shown = await door.execution(execution_id)
    progress = Progress.of(shown)
    watching = asyncio.ensure_future(_watch(door, screen, progress, told_until))
    with _interrupts() as interrupted:
        await asyncio.wait({watching, interrupted}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        watching.result()
        return await door.execution(execution_id)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    why, code = ("interrupted", INTERRUPTED) if interrupted.done() else (f"waited {timeout_s:g} s", TIMED_OUT)
    leave(door, screen, execution_id, why)
    if screen.as_json:
        screen.json(summary(await door.execution(execution_id), []))
    raise typer.Exit(code)


def leave(door: Reader, screen: Screen, execution_id: str, why: str) -> None:
    """Say what becomes of an execution that nobody watches any more."""
    watch = f"{program()} executions watch {execution_id}"
    if door.is_server:
        screen.warn(f"{why}: the execution goes on at {door.place}; watch it with: {watch}")
    else:
        screen.warn(f"{why}: the execution goes on at the next start: {program()} up, or {watch}")


async def _watch(door: Reader, screen: Screen, progress: Progress, told_until: int) -> None:
    if door.is_server:
        client = cast("Client", door)
        client.on_lost = lambda why: screen.warn(f"the connection to {door.place} is lost; trying again ({why})")
        client.on_back = lambda: screen.warn(f"connected to {door.place} again")
    with _picture(screen, progress) as live:
        async for event in door.watch(progress.execution_id):
            line = progress.apply(event)
            if event["seq"] <= told_until:
                continue
            if screen.is_verbose:
                screen.say(event_line(event))
                for text in trace_lines(event):
                    screen.say(text)
            elif live is None and line is not None:
                screen.say(line)
            if event["type"] == "execution.paused" and await _is_paused(door, progress.execution_id):
                return


async def _is_paused(door: Reader, execution_id: str) -> bool:
    """A paused execution goes on only when somebody acts; an earlier pause of one that went on is history."""
    return bool((await door.execution(execution_id))["status"] == "paused")


@contextmanager
def _picture(screen: Screen, progress: Progress) -> Iterator[Live | None]:
    """Draw the moving tree where somebody looks on."""
    if not screen.is_live:
        yield None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    console = Console(stderr=True, no_color=not screen.has_colour)
    spinner = Spinner("dots", style="blue")
    with Live(get_renderable=lambda: progress.tree(spinner), console=console, refresh_per_second=FRAMES_PER_S) as live:
        yield live


@contextmanager
def _interrupts() -> Iterator[asyncio.Future[None]]:
    """Give a future that is set by Ctrl-C or SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[None] = loop.create_future()
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        if not interrupted.done():
            interrupted.set_result(None)

    for each in signals:
        loop.add_signal_handler(each, interrupt)
    try:
        yield interrupted
    finally:
        if not interrupted.done():
            for each in signals:
                loop.remove_signal_handler(each)


# --- what it delivered -----------------------------------------------------------------------------------------------


def summary(shown: Mapping[str, Any], deliverables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `run --json` prints."""
    names = ("execution_id", "pipeline", "version", "status", "output")
    rest = ("error", "cost_usd", "request_id", "created_at", "started_at", "completed_at")
    return (
        {name: shown.get(name) for name in names}
        | {"deliverables": list(deliverables)}
        | {name: shown.get(name) for name in rest}
    )


async def deliver(door: Reader, shown: Mapping[str, Any], folder: Path | None) -> list[dict[str, Any]]:
    """Return the deliverables with local paths after writing them into the folder; without one with their addresses."""
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    for item in sorted(shown["deliverables"], key=lambda each: str(each["name"])):
        told = {name: item.get(name) for name in ("name", "media_type", "size_bytes")}
        if folder is not None:
            path = folder / _free_name(str(item["name"]), taken)
            await save(door.artifact(_artifact_id(item)), path)
            told["path"] = str(path.absolute())
        absolute = getattr(door, "absolute", None)
        if absolute is not None:
            told["url"] = absolute(item["url"])
        found.append(told)
    return found


async def save(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write a stream into a file, which is there whole or not at all; `NotWritable` if the disk refuses it."""
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
        aside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror or error}. Name another place with -o") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _artifact_id(item: Mapping[str, Any]) -> str:
    return str(item.get("artifact_id") or str(item["url"]).rpartition("/")[2])


def _free_name(name: str, taken: set[str]) -> str:
    """Return a plain file name that nobody has yet: a worker's name must not lead out of the folder."""
    plain = name.replace("\\", "/").rpartition("/")[2].replace("\x00", "").lstrip(".") or "deliverable"
    stem, dot, suffix = plain.partition(".")
    free, number = plain, 2
    while free.lower() in taken:
        free, number = f"{stem}-{number}{dot}{suffix}", number + 1
    taken.add(free.lower())
    return free
