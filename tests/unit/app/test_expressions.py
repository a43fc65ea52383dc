"""An expression without end: the loop goes on, a stop is at once, and a restart ends it the same way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stagewright.app.local import LocalNode
from stagewright.app.settings import Settings

BOMB = "${{ size(parameters.l.map(x, parameters.l.filter(y, y == x))) }}"
PIPELINE = {"name": "bomb", "stages": [{"id": "a", "worker": "probe", "inputs": {"v": BOMB}}]}


def node(data: Path, timeout_s: float) -> LocalNode:
    return LocalNode(Settings.model_validate({"data": data, "expressions": {"timeout_s": timeout_s}}))


async def test_an_expression_without_end_blocks_nobody_and_fails_its_step_also_after_a_restart(tmp_path: Path) -> None:
    first = node(tmp_path, 600)
    await first.start()
    body = {"pipeline": PIPELINE, "parameters": {"l": list(range(30_000))}}
    execution_id = (await first.execute(body))["execution_id"]
    evaluator, ticks = first.runtime.evaluator, 0
    while not evaluator._asked or ticks < 1_000:  # the loop turns while the child is at it
        ticks += 1
        await asyncio.sleep(0)
    await asyncio.wait_for(first.close(), 5)
    assert not evaluator._links

    second = node(tmp_path, 0.5)
    await second.runtime.start()  # as a server does: all that is open goes on
    try:
        async with asyncio.timeout(30):
            while (execution := await second.execution(execution_id))["status"] == "running":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        error = execution["error"]
        assert error["code"] == "expression_failed"
        assert "stage 'a'" in error["message"]
        assert "takes more than 0.5 s; move the work into a worker" in error["message"]
    finally:
        await second.runtime.stop()
