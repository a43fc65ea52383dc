"""`stagewright executions …`: list, watch and steer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stagewright.cli.naming import program
from stagewright.cli.options import Data, ExecutionId, Output, Server, opened, reading, settings_of
from stagewright.cli.progress import duration, event_line, moment
from stagewright.cli.run import finish, folder_of
from stagewright.cli.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from stagewright.app.folder import Folder
    from stagewright.sdk.client import Client

COLUMNS = ("execution_id", "pipeline", "status", "created_at", "took", "request_id")
FINAL = ("completed", "failed", "cancelled")
PAGE_EVENTS = 200


class Status(StrEnum):
    """The states of executions."""

    pending = "pending"
    running = "running"
    paused = "paused"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


def _cursor(text: str | None) -> str | None:
    from stagewright.model.ids import is_id

    if text is not None and not is_id("exec", text):
        raise typer.BadParameter(f"expected the id of an execution, exec_…, as the page before told it, found: {text}")
    return text


async def list_(
    screen: Screen,
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Only those of this pipeline.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    text: Annotated[str | None, typer.Option(help="Only those whose id, pipeline or request has this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after this one.", callback=_cursor)] = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """List executions, the newest first."""
    filters = {"status": status, "pipeline": pipeline, "tag": tag, "text": text, "limit": limit, "cursor": after}
    async with reading(server, data) as door:
        page = await door.executions(filters)
    items = page["items"]
    if not screen.as_json:
        items = [item | {"took": _took(item)} for item in items]
    screen.table(items, COLUMNS, more=page["next_cursor"])


async def get(screen: Screen, execution_id: ExecutionId, server: Server = None, data: Data = None) -> None:
    """Show an execution with its stages."""
    async with reading(server, data) as door:
        shown = await door.execution(execution_id)
        if shown["status"] in ("pending", "running") and not door.is_server:
            _say_who_serves(screen, execution_id, data)
    if screen.as_json:
        screen.json(shown)
        return
    for name in ("execution_id", "pipeline", "version", "status", "priority", "request_id", "created_at"):
        screen.text(f"{name:<14}{shown[name] if shown[name] is not None else '-'}")
    screen.text(f"{'took':<14}{_took(shown)}")
    if shown["error"]:
        screen.text(f"{'error':<14}{shown['error']['code']}: {shown['error']['message']}")
    for item in shown["deliverables"]:
        screen.text(f"{'deliverable':<14}{item['name']}  {item['size_bytes']} bytes  {item['artifact_id']}")
    screen.text("")
    stages = [
        stage | {"took": _took(stage), "why": (stage["error"] or {}).get("message") or stage["waiting"]}
        for stage in shown["stages"]
    ]
    screen.table(stages, ("stage_id", "worker", "status", "attempt", "took", "why"))


async def watch(
    screen: Screen,
    execution_id: ExecutionId,
    timeout: Annotated[float | None, typer.Option(metavar="S", min=0, help="Watch for at most so long.")] = None,
    output: Output = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Follow an execution to its end.

    What nobody serves goes on in this process.
    """
    async with reading(server, data) as looker:
        shown = await looker.execution(execution_id)
        folder = output or folder_of(execution_id, server, data)
        if looker.is_server or shown["status"] in FINAL:
            await finish(looker, screen, execution_id, folder, timeout)
    async with opened(server, data) as door:
        await door.resume(execution_id)
        await finish(door, screen, execution_id, folder, timeout)


async def cancel(
    screen: Screen,
    execution_id: ExecutionId,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Cancel an open execution."""
    async with reading(server, data) as looker:
        await looker.execution(execution_id)  # a folder is not taken for what is not in it
    async with opened(server, data) as door:
        _changed(screen, await door.cancel(execution_id, reason))


async def retry(
    screen: Screen,
    execution_id: ExecutionId,
    from_stage: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Do this stage and all behind it again.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Wait for the end, or leave after the start.")] = True,
    timeout: Annotated[float | None, typer.Option(metavar="S", min=0, help="Wait for at most so long.")] = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Go on from the stage that failed.

    What completed is kept.
    """
    async with reading(server, data) as looker:
        told_until = await _last_seq(looker, execution_id)
    async with opened(server, data) as door:
        told = await door.retry(execution_id, from_stage)
        if not wait:
            _changed(screen, told)
            return
        folder = folder_of(execution_id, server, data)
        await finish(door, screen, execution_id, folder, timeout, told_until=told_until)


async def events(
    screen: Screen,
    execution_id: ExecutionId,
    after: Annotated[int, typer.Option(metavar="SEQ", min=0, help="Only those with a higher number.")] = 0,
    server: Server = None,
    data: Data = None,
) -> None:
    """Print the events of an execution.

    With --json one object a line.
    """
    async with reading(server, data) as door:
        cursor: int | None = after
        while cursor is not None:
            page = await door.event_page(execution_id, cursor, PAGE_EVENTS)
            for event in page["items"]:
                if screen.as_json:
                    screen.line(event)
                else:
                    screen.text(event_line(event))
            cursor = int(page["next_cursor"]) if page["next_cursor"] is not None else None


async def _last_seq(door: Client | Folder, execution_id: str) -> int:
    """Return the number of the last event, so that only what comes after it is told."""
    last = 0
    while items := (await door.event_page(execution_id, last, PAGE_EVENTS))["items"]:
        last = items[-1]["seq"]
    return last


def _say_who_serves(screen: Screen, execution_id: str, data: Path | None) -> None:
    """Tell of an open execution in a folder without a server how it goes on."""
    from stagewright.app.lock import holder_now

    holder = holder_now(settings_of(data).data)
    if holder is not None:
        screen.say(f"process {holder.get('pid', 'unknown')} has the folder now")
        return
    go_on = f"{program()} up, or {program()} executions watch {execution_id}"
    screen.say(f"nobody serves it now: it goes on with: {go_on}")


def _changed(screen: Screen, told: dict[str, Any]) -> None:
    if screen.as_json:
        screen.json(told)
    else:
        screen.text(f"{told['execution_id']} {told['status']}")


def _took(item: dict[str, Any]) -> str:
    started, ended = moment(item["started_at"]), moment(item["completed_at"])
    return duration((ended - started).total_seconds()) if started is not None and ended is not None else "-"


COMMANDS = {"list": list_, "get": get, "watch": watch, "cancel": cancel, "retry": retry, "events": events}
