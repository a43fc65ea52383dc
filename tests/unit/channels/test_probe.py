"""The worker `probe`: every attempt ends, whatever fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stagewright.channels.probe import ProbeChannel
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.message import Completed, Failed
from stagewright.objects.files import FileObjects
from stagewright.ports.channel import Assignment
from tests.unit.channels.support import Box

LARGE = {"bytes": 2_000_000}


def assignment(action: str, inputs: Any, attempt: int = 1) -> Assignment:
    return Assignment(
        execution_id="exec_1", step="a", attempt=attempt, worker="probe", action=action, inputs=inputs,
        timeout_us=60_000_000, silence_timeout_us=60_000_000,
    )  # fmt: skip


@pytest.mark.parametrize("action", ["produce", "echo"])
async def test_an_object_store_that_fails_is_a_transient_failure_and_the_next_attempt_completes(
    tmp_path: Path, action: str
) -> None:
    # given an object store whose folder is none
    folder = tmp_path / "objects"
    folder.write_text("not a folder")
    box, channel = Box(), ProbeChannel(FileObjects(folder), _no_value)
    await channel.start(box)
    inputs = LARGE if action == "produce" else {"text": "x" * 2_000_000}

    channel.dispatch(assignment(action, inputs))
    failed = await box.ending("a")

    assert isinstance(failed, Failed)
    assert (failed.failure.code, failed.failure.type, failed.failure.retryable) == ("object_trouble", "transient", True)

    # when it works again
    folder.unlink()
    channel.dispatch(assignment(action, inputs, attempt=2))
    assert isinstance(await box.ending("a", 2), Completed)
    await channel.stop()


async def test_a_bug_in_what_loads_a_value_fails_the_attempt_and_does_not_lose_it(tmp_path: Path) -> None:
    box, channel = Box(), ProbeChannel(FileObjects(tmp_path), _no_value)
    await channel.start(box)
    checksum = checksum_of(b"1")

    channel.dispatch(assignment("echo", {"value": DataRef("kv", checksum, 1, checksum)}))
    failed = await box.ending("a")

    assert isinstance(failed, Failed)
    assert (failed.failure.code, failed.failure.type) == ("handler_error", "transient")
    assert "RuntimeError: no value" in failed.failure.message
    await channel.stop()


async def _no_value(ref: DataRef) -> bytes:
    raise RuntimeError("no value")
