"""`stagewright demo`: a server, its workers and a real pipeline on feeds that ship, from nothing to a report."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stagewright.cli.follow import EXITS, deliver, follow, summary
from stagewright.cli.naming import program
from stagewright.cli.options import Data, serving, settings_of
from stagewright.cli.run import show
from stagewright.cli.screen import Screen

if TYPE_CHECKING:
    from stagewright.app.settings import Settings

PIPELINE = "market_research"
TOPIC = "grid battery storage"
READY = "stagewright ready at "
START_TIMEOUT_S = 30.0


async def demo(screen: Screen, data: Data = None) -> None:
    """Make a report from feeds that ship, now.

    Starts a server with its workers, executes the pipeline market_research and shows where the report is. Needs no
    network; the data folder keeps what was done.
    """
    from stagewright.workers.content import demo_sources

    folder = _folder(data)
    settings = settings_of(folder, port=0)
    async with _served(settings, screen) as url:
        from stagewright.sdk.client import Client

        async with Client(url) as client:
            parameters = {"topic": TOPIC, "sources": str(demo_sources())}
            body = {"template_name": PIPELINE, "parameters": parameters, "tags": ["demo"]}
            execution_id = (await client.execute(body))["execution_id"]
            shown = await follow(client, screen, execution_id)
            reports = settings.data / "deliverables" / execution_id
            found = await deliver(client, shown, reports) if shown["status"] == "completed" else []
    if screen.as_json:
        screen.json(summary(shown, found))
    elif shown["status"] == "completed":
        _show_report(screen, shown, found, folder)
    else:
        show(screen, shown, found)
    raise typer.Exit(EXITS.get(shown["status"], 1))


def _show_report(screen: Screen, shown: dict[str, Any], found: list[dict[str, Any]], folder: Path | None) -> None:
    """Print where the report is, and what to try next."""
    for item in found:
        screen.text(item["path"])
    page = next((item["path"] for item in found if item["name"].endswith(".html")), found[0]["path"])
    where = f" --data {shlex.quote(str(folder))}" if folder is not None else ""
    screen.say("\nWhat to try next:")
    screen.say(f"  open the report:         {_opener()} {shlex.quote(page)}")
    own = "-p topic='what you care about' -p sources=FEED_FILE_FOLDER_OR_URL"
    screen.say(f"  run it on your feeds:    {program()} run {PIPELINE} {own}{where}")
    screen.say(f"  look at the execution:   {program()} executions get {shown['execution_id']}{where}")


def _folder(data: Path | None) -> Path | None:
    """Keep to the usual data folder, but use a new temporary one where nothing can be written."""
    if data is not None or "STAGEWRIGHT_DATA" in os.environ:
        return data
    if os.access(Path.cwd(), os.W_OK):
        return None
    return Path(tempfile.mkdtemp(prefix="stagewright-demo-"))


def _opener() -> str:
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")


@asynccontextmanager
async def _served(settings: Settings, screen: Screen) -> AsyncIterator[str]:
    """Give the address of a server on the folder: one that is there, or one of our own for as long as it is needed."""
    there = serving(settings)
    if there is not None:
        screen.say(f"using the server at {there}")
        yield there
        return
    from stagewright.app.serve import serve

    ready = _Ready()
    server = asyncio.create_task(serve(settings, out=ready), name="server")
    try:
        either: set[asyncio.Future[Any]] = {server, ready.url}
        await asyncio.wait(either, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.url.done():
            await asyncio.wait_for(server, 0)  # raises why it has ended, or that it is too slow
        screen.say(f"serving {settings.data} at {ready.url.result()} with SQLite and workers in child processes")
        yield ready.url.result()
    finally:
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


class _Ready(io.StringIO):
    """Where a server prints that it is ready; `url` is set by that line."""

    def __init__(self) -> None:
        super().__init__()
        self.url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def write(self, text: str) -> int:
        if text.startswith(READY) and not self.url.done():
            self.url.set_result(text.removeprefix(READY).strip())
        return len(text)
