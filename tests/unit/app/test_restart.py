"""What a restart does to running attempts, and what a repeated submission gets. The real runtime on a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stagewright.app.runtime import Runtime
from stagewright.app.settings import load_settings
from stagewright.definitions import load_value
from stagewright.engine.settings import EngineSettings
from stagewright.model.errors import Invalid, KeyReused, Misconfigured, RequestConflict
from stagewright.protocol.bodies import ExecuteBody

NAP: dict[str, Any] = {
    "name": "nap",
    "stages": [{"id": "nap", "worker": "probe", "action": "sleep", "inputs": {"seconds": 3600}}],
}


@asynccontextmanager
async def running(folder: Path, **kwargs: Any) -> AsyncIterator[Runtime]:
    """Run a node on the folder until the block ends."""
    failures: list[BaseException] = []
    runtime = Runtime(load_settings({}, {"data": folder}), failures.append)
    await runtime.start(**kwargs)
    try:
        yield runtime
    finally:
        await runtime.stop()
    assert failures == []


async def nap_step(runtime: Runtime, execution_id: str, attempt: int) -> dict[str, Any]:
    """Return the only step once this attempt of it runs."""
    async with asyncio.timeout(10):
        while True:
            step = (await runtime.service.views.steps(execution_id, None, 1))["items"][0]
            if step["status"] == "running" and step["attempt"] == attempt:
                return step
            await asyncio.sleep(0.01)


async def test_attempts_given_up_in_good_order_do_not_count_as_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as runtime:
        execution_id = (await runtime.service.execute(ExecuteBody(pipeline=NAP))).execution_id

    for restart in range(3):
        async with running(tmp_path) as runtime:
            step = await nap_step(runtime, execution_id, restart + 2)
            assert step["lost"] == 0


async def test_attempts_of_a_node_that_was_cut_off_count_as_lost_but_need_not_run_alone(tmp_path: Path) -> None:
    # given a node that ends without signing off
    async with running(tmp_path) as runtime:
        execution_id = (await runtime.service.execute(ExecuteBody(pipeline=NAP))).execution_id
        runtime._identity = None

    async with running(tmp_path) as runtime:
        step = await nap_step(runtime, execution_id, 2)
        assert step["lost"] == 1
        assert runtime.engine.actors[execution_id].suspects == set()


async def test_only_what_is_asked_for_is_recovered(tmp_path: Path) -> None:
    async with running(tmp_path) as runtime:
        first = (await runtime.service.execute(ExecuteBody(pipeline=NAP))).execution_id
        second = (await runtime.service.execute(ExecuteBody(pipeline=NAP))).execution_id

    async with running(tmp_path, only=[second]) as runtime:
        await nap_step(runtime, second, 2)
        assert set(runtime.engine.actors) == {second}
        await runtime.service.cancel(first)
        assert (await runtime.service.views.steps(first, None, 1))["items"][0]["attempt"] == 1


async def test_a_repeated_submission_finds_the_first_one_although_the_pipeline_has_changed(tmp_path: Path) -> None:
    async with running(tmp_path) as runtime:
        service = runtime.service
        await service.register(load_value(NAP))
        by_request = ExecuteBody(template_name="nap", request_id="r1")
        by_key = ExecuteBody(template_name="nap")
        first = await service.execute(by_request)
        keyed = await service.execute(by_key, idempotency_key="k1")

        await service.register(load_value(NAP | {"parameters": {"type": "object", "required": ["new"]}}))
        with pytest.raises(Invalid):
            await service.execute(ExecuteBody(template_name="nap"))

        assert (await service.execute(by_request)).execution_id == first.execution_id
        again = await service.execute(by_key, idempotency_key="k1")
        assert (again.execution_id, again.is_new) == (keyed.execution_id, False)


async def test_the_key_that_was_lost_is_the_one_that_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as runtime:
        service = runtime.service
        await service.execute(ExecuteBody(pipeline=NAP, request_id="a"), idempotency_key="k")

        with pytest.raises(KeyReused):
            await service.execute(ExecuteBody(pipeline=NAP, request_id="b"), idempotency_key="k")
        with pytest.raises(RequestConflict):
            await service.execute(ExecuteBody(pipeline=NAP, request_id="a", priority="high"), idempotency_key="k2")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_bound_that_bounds_nothing_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="stall_s"):
        EngineSettings(stall_s=value)

    with pytest.raises(Misconfigured, match="stall_s"):
        load_settings({"STAGEWRIGHT_ENGINE__STALL_S": str(value)})
