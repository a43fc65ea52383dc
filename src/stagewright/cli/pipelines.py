"""`stagewright pipelines …`: check, register, list and draw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stagewright.cli.documents import is_file, load_file, name_and_version
from stagewright.cli.options import Data, Server, not_empty, opened, reading, server_of, serving, settings_of
from stagewright.cli.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from stagewright.model.pipeline import Pipeline

File = Annotated[
    str, typer.Argument(metavar="FILE", help="A pipeline document in YAML or JSON; - for stdin.", callback=not_empty)
]
Name = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A registered pipeline.", callback=not_empty)]
Target = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A pipeline document, or a registered pipeline.")]


async def validate(screen: Screen, file: File, server: Server = None, data: Data = None) -> None:
    """Check a document: all its problems at once, and whether its workers are there."""
    pipeline = load_file(file)
    await _check_workers(pipeline, server, data)
    if screen.as_json:
        screen.json({"valid": True, "name": pipeline.name, "stages": len(pipeline.stages), "digest": pipeline.digest})
    else:
        screen.text(f"{file} is valid: pipeline {pipeline.name}, {len(pipeline.stages)} stage(s)")


async def register(screen: Screen, file: File, server: Server = None, data: Data = None) -> None:
    """Register a pipeline under its name; a changed document becomes the next version."""
    pipeline = load_file(file)
    async with opened(server, data) as door:
        told = await door.register(pipeline.document)
    if screen.as_json:
        screen.json(told)
    else:
        screen.text(f"{told['name']}@{told['version']}")


async def list_(screen: Screen, server: Server = None, data: Data = None) -> None:
    """List registered pipelines."""
    async with reading(server, data) as door:
        items = await door.pipelines()
    screen.table(items, ("name", "version", "description"))


async def get(screen: Screen, name: Name, server: Server = None, data: Data = None) -> None:
    """Print a registered pipeline as YAML; with --json as JSON with its name, version and digest."""
    async with reading(server, data) as door:
        told = await door.pipeline(*name_and_version(name))
    if screen.as_json:
        screen.text(json.dumps(told, ensure_ascii=False, indent=2))
        return
    from stagewright.definitions.write_yaml import yaml_text

    screen.text(yaml_text(told["document"]))


async def graph(
    screen: Screen,
    target: Annotated[
        str | None, typer.Argument(metavar="[FILE|NAME]", help="What to draw.", callback=not_empty)
    ] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Draw an SVG.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Write a Mermaid flowchart (the default).")] = False,
    execution: Annotated[
        str | None,
        typer.Option(metavar="EXECUTION", help="Draw an execution as it is now.", callback=not_empty),
    ] = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Draw a pipeline, or an execution as it is now, to stdout."""
    from stagewright import definitions

    if (target is None) == (execution is None):
        raise typer.BadParameter("name either a pipeline (FILE or NAME) or an execution (--execution)")
    if svg and mermaid:
        raise typer.BadParameter("choose one of --svg and --mermaid")
    statuses: dict[str, str] | None = None
    if execution is not None:
        async with reading(server, data) as door:
            shown = await door.execution(execution)
        pipeline, statuses = _pipeline_of(shown), {stage["stage_id"]: stage["status"] for stage in shown["stages"]}
    else:
        assert target is not None
        pipeline = await _load(target, server, data)
    drawn = (definitions.svg if svg else definitions.mermaid)(pipeline, statuses)
    if screen.as_json:
        screen.json({"format": "svg" if svg else "mermaid", "graph": drawn})
    else:
        screen.text(drawn)


def schema(screen: Screen) -> None:
    """Print the JSON Schema of pipeline documents, for editors."""
    from stagewright.definitions import pipeline_schema

    screen.json(pipeline_schema())


async def _load(target: str, server: str | None, data: Path | None) -> Pipeline:
    if is_file(target):
        return load_file(target)
    from stagewright.definitions import load_value

    async with reading(server, data) as door:
        return load_value((await door.pipeline(*name_and_version(target)))["document"])


def _pipeline_of(shown: dict[str, Any]) -> Pipeline:
    """Make of an execution's stages what can be drawn; its definition itself may not be registered."""
    from stagewright.model.pipeline import Pipeline, Stage

    ids = [stage["stage_id"] for stage in shown["stages"]]
    needed = {need for stage in shown["stages"] for need in stage["needs"]}
    sinks = [each for each in ids if each not in needed]
    stages = tuple(
        Stage(
            stage["stage_id"], stage["worker"], stage["action"], needs=tuple(stage["needs"]),
            deliverable=bool(shown["deliverables"]) and sinks == [stage["stage_id"]],
        )
        for stage in shown["stages"]
    )  # fmt: skip
    return Pipeline(shown["pipeline"], stages)


async def _check_workers(pipeline: Pipeline, server: str | None, data: Path | None) -> None:
    """Ask whoever knows the workers: a server if there is one, else what is installed here."""
    address = server_of(server, data)
    settings = None if address is not None else settings_of(data)
    if settings is not None:
        address = serving(settings)
    if address is not None:
        async with opened(address, None) as door:
            await door.validate(pipeline.document)
        return
    from stagewright.app.installed import check_workers

    assert settings is not None
    await check_workers(pipeline, settings)


COMMANDS = {
    "validate": validate,
    "register": register,
    "list": list_,
    "get": get,
    "graph": graph,
    "schema": schema,
}
