"""`stagewright artifacts …`: list and fetch what executions produced."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stagewright.cli.follow import save
from stagewright.cli.options import Data, ExecutionId, Server, not_empty, output_file, reading
from stagewright.cli.screen import Screen

COLUMNS = ("artifact_id", "name", "media_type", "size_bytes", "stage_id", "deliverable")


async def list_(screen: Screen, execution_id: ExecutionId, server: Server = None, data: Data = None) -> None:
    """List what an execution produced."""
    async with reading(server, data) as door:
        items = await door.artifacts(execution_id)
    screen.table(items, COLUMNS)


async def get(
    screen: Screen,
    artifact_id: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="The id of an artifact, art_…", callback=not_empty)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.", callback=output_file),
    ] = None,
    server: Server = None,
    data: Data = None,
) -> None:
    """Fetch an artifact, to stdout unless a file is named; streamed, however large it is."""
    async with reading(server, data) as door:
        chunks = door.artifact(artifact_id)
        if output is None:
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        await save(chunks, output)
    if screen.as_json:
        screen.json({"artifact_id": artifact_id, "path": str(output.absolute()), "size_bytes": output.stat().st_size})
    else:
        screen.say(f"wrote {output} ({output.stat().st_size} bytes)")


COMMANDS = {"list": list_, "get": get}
