"""A worker whose handler leaves a trace outside the product: one line in a file for each time it really runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from stagewright.sdk import Context, Worker

worker = Worker("noting", version="1", description="Appends a line to the file NOTES names, each time it runs")


@worker.action
async def note(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Write which attempt runs, wait a little, return something of the size asked for."""
    line = f"{ctx.execution_id} {ctx.step} {ctx.attempt}\n".encode()
    handle = os.open(Path(os.environ["NOTES"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line)
    os.close(handle)
    await asyncio.sleep(inputs.get("seconds", 0))
    return {"step": ctx.step, "filler": "x" * inputs.get("bytes", 0)}


def workers() -> list[Worker]:
    """Return the worker of this module."""
    return [worker]


def manifest() -> list[dict[str, Any]]:
    """Describe it without a child process."""
    return [{"name": "noting", "version": "1", "description": worker.description, "actions": ["note"]}]
