"""Which artifacts answer a request, also after another round. With the real runtime and a real child process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from stagewright.app.runtime import Runtime
from stagewright.app.settings import load_settings
from stagewright.protocol.bodies import ExecuteBody
from stagewright.workers.content import demo_sources


async def test_only_the_last_round_of_the_deliverable_stage_answers_the_request(tmp_path: Path) -> None:
    # given a report
    failures: list[BaseException] = []
    runtime = Runtime(load_settings({}, {"data": tmp_path}), failures.append)
    await runtime.start()
    try:
        service = runtime.service
        parameters: dict[str, Any] = {"topic": "grid battery storage", "sources": str(demo_sources())}
        final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        submitted = await service.execute(
            ExecuteBody(template_name="market_research", parameters=parameters), final=final
        )
        assert await asyncio.wait_for(final, 60) == "completed"
        before = await service.views.deliverables(submitted.execution_id)

        # when its last stage is run again
        again: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        runtime.engine.tell_final(submitted.execution_id, again)
        await service.retry(submitted.execution_id, "report")
        assert await asyncio.wait_for(again, 60) == "completed"

        # then its new artifacts are the deliverables, and the old ones can still be read as artifacts
        after = await service.views.deliverables(submitted.execution_id)
        assert {item["name"] for item in after} == {"report.html", "report.md"}
        assert {item["artifact_id"] for item in after}.isdisjoint(item["artifact_id"] for item in before)
        assert len(await service.views.artifacts(submitted.execution_id)) == 4
    finally:
        await runtime.stop()
    assert failures == []
