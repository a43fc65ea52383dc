"""`stagewright run`: execute a pipeline and show what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from stagewright.cli.documents import is_file, load_file, name_and_version
from stagewright.cli.follow import EXITS, deliver, follow, leave, summary
from stagewright.cli.naming import program
from stagewright.cli.options import Data, Door, Output, Reader, Server, not_empty, opened, server_of, settings_of
from stagewright.cli.screen import Screen
from stagewright.cli.values import parse_parameters


class Priority(StrEnum):
    """How soon an execution's steps get their turn."""

    low = "low"
    normal = "normal"
    high = "high"
    critical = "critical"


async def run(
    screen: Screen,
    target: Annotated[
        str,
        typer.Argument(metavar="FILE|NAME", help="A pipeline document, or a registered pipeline.", callback=not_empty),
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="K=V|@FILE", help="A parameter, or a JSON file of them; repeatable."),
    ] = None,
    priority: Annotated[Priority, typer.Option(help="How soon it gets its turn.")] = Priority.normal,
    request_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The same id again answers with the same execution.")
    ] = None,
    budget: Annotated[float | None, typer.Option(metavar="USD", min=0, help="Hard cap of the cost.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag; repeatable.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Wait for the end, or leave after the start.")] = True,
    timeout: Annotated[float | None, typer.Option(metavar="S", min=0, help="Wait for at most so many seconds.")] = None,
    output: Output = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Execute a pipeline, by file or by name.

    Over a server where there is one, else in this process on the data folder. Progress goes to stderr; stdout has
    the paths of the deliverables, or the output where there are none.
    """
    document = load_file(target).document if is_file(target) else None
    async with opened(server, data) as door:
        schema = await _schema(door, target, document)
        body: dict[str, Any] = {
            "parameters": parse_parameters(parameters or [], schema),
            "priority": priority.value,
            "request_id": request_id,
            "budget_usd": budget,
            "tags": tag or [],
        }
        body |= {"template_name": target} if document is None else {"pipeline": document}
        execution_id = (await door.execute(body))["execution_id"]
        if not wait:
            _accepted(door, screen, await door.execution(execution_id))
            return
        folder = output or folder_of(execution_id, server, data)
        await finish(door, screen, execution_id, folder, timeout)


def folder_of(execution_id: str, server: str | None, data: Path | None) -> Path | None:
    """Return where deliverables go: the data folder of this machine; None if the server may be elsewhere."""
    if server_of(server, data) is not None:
        return None
    return settings_of(data).data / "deliverables" / execution_id


async def finish(
    door: Reader,
    screen: Screen,
    execution_id: str,
    folder: Path | None,
    timeout_s: float | None,
    *,
    told_until: int = 0,
) -> NoReturn:
    """Follow an execution to its end, show its result, and exit as it went."""
    shown = await follow(door, screen, execution_id, timeout_s=timeout_s, told_until=told_until)
    found = await deliver(door, shown, folder) if shown["status"] == "completed" else []
    show(screen, shown, found)
    raise typer.Exit(EXITS.get(shown["status"], 1))


def show(screen: Screen, shown: Mapping[str, Any], deliverables: list[dict[str, Any]]) -> None:
    """Print the result: the whole with --json, else where the deliverables are, else the output."""
    if screen.as_json:
        screen.json(summary(shown, deliverables))
        return
    if shown["status"] == "completed":
        for item in deliverables:
            screen.text(item.get("path") or item["url"])
        if not deliverables:
            screen.json(shown["output"])
        return
    error = shown["error"] or {}
    stage = f" in stage '{error['stage_id']}'" if error.get("stage_id") else ""
    screen.warn(f"Error: The execution {shown['execution_id']} {_ended(shown['status'])}{stage}")
    if error:
        screen.warn(f"  {error['code']}: {error['message']}")
    if shown["status"] == "failed":
        screen.warn(
            "  What completed is kept. When the cause is mended, go on with: "
            f"{program()} executions retry {shown['execution_id']}"
        )


async def _schema(door: Door, target: str, document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if document is None:
        document = (await door.pipeline(*name_and_version(target)))["document"]
    return document.get("parameters") or {}


def _accepted(door: Door, screen: Screen, shown: Mapping[str, Any]) -> None:
    if screen.as_json:
        screen.json(summary(shown, []))
    else:
        screen.text(shown["execution_id"])
    leave(door, screen, shown["execution_id"], "accepted")


def _ended(status: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled", "paused": "is paused"}.get(status, f"is {status}")
