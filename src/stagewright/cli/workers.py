"""`stagewright workers …`: which workers there are."""

from __future__ import annotations

from stagewright.cli.options import Data, Server, reading
from stagewright.cli.screen import Screen


async def list_(screen: Screen, server: Server = None, data: Data = None) -> None:
    """List workers: of the server, or those that a node on this machine would have."""
    async with reading(server, data) as door:
        items = await door.workers()
        problems = getattr(door, "problems", ())
    screen.table(items, ("worker_name", "version", "capacity", "in_use", "actions", "description"))
    for problem in problems:
        screen.warn(f"Some workers cannot be loaded: {problem} (see `workers.folder` and PYTHONPATH)")


COMMANDS = {"list": list_}
