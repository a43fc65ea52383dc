"""Each bad ending of a handler ends its own attempt once, says why, and leaves the channel working."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from stagewright.channels.process import DOUBT_S, STILL_S, ProcessChannel
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.message import Completed, Failed, Lost
from tests.unit.channels.support import MODULE, SAMPLES, SETTINGS, Bench, until_gone


@pytest.mark.parametrize(
    ("action", "code", "is_retryable", "words"),
    [
        ("raises", "handler_error", True, "raised KeyError: 'no such thing'"),
        ("raises_in_a_thread", "handler_error", True, "StopIteration"),
        ("exits_politely", "handler_error", True, "raised SystemExit: 3"),
        ("interrupts", "handler_error", True, "raised KeyboardInterrupt"),
        ("refuses", "hopeless", False, "this can never work"),
        ("nothing", "output_missing", False, "stage 'nothing' returned nothing"),
        ("not_json", "output_not_json", False, "$.items[3].when is a datetime object"),
        ("much", "output_too_large", False, "100000011 bytes"),
        ("bad_name", "bad_artifact", False, "no slash"),
        ("no_such_action", "unknown_action", False, "there are: raises, "),
    ],
)
async def test_a_handler_that_ends_badly_fails_its_attempt_with_the_reason(
    bench: Bench, action: str, code: str, is_retryable: bool, words: str
) -> None:
    message = await bench.run("bad", action)
    assert isinstance(message, Failed), message
    assert (message.failure.code, message.failure.retryable) == (code, is_retryable)
    assert message.failure.stage_id == action and words in message.failure.message
    # and the same process goes on working
    assert isinstance(await bench.run("good", "where"), Completed)
    assert len(bench.box.endings(action)) == 1


async def test_an_unexpected_error_carries_its_trace_down_to_the_line_of_the_handler(bench: Bench) -> None:
    message = await bench.run("bad", "raises")
    assert isinstance(message, Failed) and message.failure.trace is not None
    assert 'raise KeyError("no such thing")' in message.failure.trace
    assert "child_attempt" not in message.failure.trace and len(message.failure.trace) <= 8_000


async def test_a_handler_may_say_when_to_try_again(bench: Bench) -> None:
    message = await bench.run("bad", "asks_for_patience")
    assert isinstance(message, Failed)
    assert (message.failure.code, message.failure.retryable) == ("rate_limited", True)
    assert message.failure.retry_after_us == 12_500_000


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("exits_at_once", "exited with code 7"),
        ("crashes", "was ended by signal 11 (SIGSEGV)"),
        ("stops_itself", "was stopped by a signal"),
        ("scribbles", "sent a frame of"),
    ],
)
async def test_an_attempt_is_lost_with_its_process_and_the_next_one_finds_a_new_process(
    bench: Bench, action: str, reason: str
) -> None:
    message = await bench.run("bad", action)
    assert isinstance(message, Lost) and reason in message.reason, message
    assert isinstance(await bench.run("good", "where"), Completed)


async def test_a_child_in_which_not_even_the_beat_is_heard_is_ended_after_the_silence_timeout(bench: Bench) -> None:
    bench.give("held", "bad", "holds_the_interpreter", silence_timeout_us=1_000_000)
    pid = await bench.box.pid_said_by("held")
    message = await bench.box.ending("held")
    assert isinstance(message, Lost) and "no sign of life" in message.reason
    await until_gone(pid)


async def test_a_busy_handler_keeps_beating_and_is_killed_when_it_is_revoked(bench: Bench) -> None:
    # given handlers that never return, for longer than their silence timeout
    busy = ("blocks_the_loop", "spins_in_a_thread")
    for action in busy:
        bench.give(action, "bad", action, silence_timeout_us=1_000_000)
    pids = [await bench.box.pid_said_by(action) for action in busy]
    await asyncio.sleep(STILL_S + 0.6)
    assert [bench.box.endings(action) for action in busy] == [[], []]
    # when nobody waits for them any more
    for action in busy:
        bench.channel.revoke("exec_1", action, 1)
    # then their processes end and nothing is said of them
    for pid in pids:
        await until_gone(pid)
    assert [bench.box.endings(action) for action in busy] == [[], []]


async def test_an_attempt_beside_one_that_does_not_stop_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(SETTINGS, processes_max=1), [SAMPLES])
    await bench.channel.start(bench.box)
    bench.give("beside", "bad", "waits")
    bench.give("busy", "bad", "spins_in_a_thread")
    assert await bench.box.pid_said_by("beside") == await bench.box.pid_said_by("busy")
    bench.channel.revoke("exec_1", "busy", 1)
    message = await bench.box.ending("beside")
    assert isinstance(message, Lost) and "did not stop when cancelled" in message.reason
    assert bench.box.endings("busy") == []
    await bench.channel.stop()


async def test_what_comes_while_a_process_is_about_to_be_killed_goes_to_another_one(tmp_path: Path) -> None:
    # given the only process, in which a revoked attempt does not stop
    bench = Bench(tmp_path, replace(SETTINGS, processes_max=1, cancel_grace_s=2 * DOUBT_S), [SAMPLES])
    await bench.channel.start(bench.box)
    bench.give("busy", "bad", "spins_in_a_thread")
    doomed = await bench.box.pid_said_by("busy")
    bench.channel.revoke("exec_1", "busy", 1)
    await asyncio.sleep(DOUBT_S + 0.05)
    # when the next attempt comes before that process is killed
    bench.give("next", "bad", "waits")
    # then it lives on elsewhere
    assert await bench.box.pid_said_by("next") != doomed
    await until_gone(doomed)
    assert bench.box.endings("next") == []
    await bench.channel.stop()


@pytest.mark.parametrize("action", ["waits", "stops_when_asked"])
async def test_a_handler_that_stops_when_revoked_costs_no_process(bench: Bench, action: str) -> None:
    bench.give("revoked", "bad", action)
    pid = await bench.box.pid_said_by("revoked")
    bench.channel.revoke("exec_1", "revoked", 1)
    bench.channel.revoke("exec_1", "revoked", 1)
    async with asyncio.timeout(5):
        while not _is_idle(bench.channel):  # noqa: ASYNC110 - nothing is posted for a revoked attempt
            await asyncio.sleep(0.01)
    os.kill(pid, 0)  # still there
    assert bench.box.endings("revoked") == []


async def test_a_killed_child_reports_its_signal(bench: Bench) -> None:
    bench.give("waiting", "bad", "waits")
    os.kill(await bench.box.pid_said_by("waiting"), signal.SIGKILL)
    message = await bench.box.ending("waiting")
    assert isinstance(message, Lost) and "signal 9 (SIGKILL), perhaps for want of memory" in message.reason


async def test_what_a_handler_has_started_goes_with_its_process(bench: Bench) -> None:
    bench.give("parent", "bad", "leaves_somebody_behind")
    grandchild = await bench.box.pid_said_by("parent")
    bench.give("end", "bad", "waits")
    await bench.channel.stop()
    await until_gone(grandchild)


async def test_a_reference_that_does_not_resolve_is_a_failure_that_may_pass(bench: Bench) -> None:
    gone = DataRef("kv", "gone", 4, checksum_of(b"gone"))
    message = await bench.run("good", "echo", {"value": gone})
    assert isinstance(message, Failed)
    assert (message.failure.code, message.failure.retryable) == ("data_lost", True)
    missing = DataRef("object", checksum_of(b"gone"), 4, checksum_of(b"gone"))
    message = await bench.run("good", "where", {"value": missing})
    assert isinstance(message, Failed) and message.failure.code == "data_lost"


async def test_inputs_beyond_the_bound_fail_at_once_and_name_the_mend(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(SETTINGS, input_bytes_max=1_000), [SAMPLES])
    await bench.channel.start(bench.box)
    ref = DataRef("object", checksum_of(b"x"), 1_001, checksum_of(b"x"))
    message = await bench.run("good", "echo", {"value": ref})
    assert isinstance(message, Failed)
    assert (message.failure.code, message.failure.retryable) == ("input_too_large", False)
    assert "1001 bytes, at most 1000" in message.failure.message and "stage 'echo'" in message.failure.message
    message = await bench.run("good", "where", {"value": "x" * 3_000_000})
    assert isinstance(message, Failed) and message.failure.code == "input_too_large"
    await bench.channel.stop()


async def test_artifacts_are_bounded_in_number_and_size(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(SETTINGS, artifacts_max=50, artifact_bytes_max=1_000_000), [SAMPLES])
    await bench.channel.start(bench.box)
    message = await bench.run("bad", "too_many")
    assert isinstance(message, Failed) and message.failure.code == "too_many_artifacts"
    message = await bench.run("good", "big_file", {"megabytes": 2})
    assert isinstance(message, Failed) and message.failure.code == "artifact_too_large"
    await bench.channel.stop()


async def test_a_module_that_cannot_be_loaded_is_told_and_hurts_no_other(tmp_path: Path) -> None:
    broken = replace(SAMPLES, module=MODULE, function="broken", manifest=None)
    bench = Bench(tmp_path, SETTINGS, [SAMPLES, broken])
    await bench.channel.start(bench.box)
    assert await bench.channel.wait_described(10)
    assert any("no module named 'tensors'" in problem for problem in bench.channel.problems)
    message = await bench.run("tensors", None)
    assert isinstance(message, Failed) and "no module named 'tensors'" in message.failure.message
    assert isinstance(await bench.run("good", "where"), Completed)
    await bench.channel.stop()


async def test_a_child_that_cannot_be_started_is_a_failure_that_may_pass(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SETTINGS, [SAMPLES])
    bench.channel._command = (str(tmp_path / "no-such-program"),)
    await bench.channel.start(bench.box)
    message = await bench.run("good", "where")
    assert isinstance(message, Failed)
    assert (message.failure.code, message.failure.retryable) == ("worker_start_failed", True)
    await bench.channel.stop()


def _is_idle(channel: ProcessChannel) -> bool:
    return not channel._attempts
