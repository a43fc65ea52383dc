"""What a handler in a child process is given, and what comes back from it."""

from __future__ import annotations

import os

import orjson
import pytest

from stagewright.channels.process import artifact_id
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.ids import is_id
from stagewright.model.message import Completed, Failed
from tests.unit.channels.support import Bench

BIG_FILE_MB = 200
GROWTH_KIB_MAX = 16 * 1024


def output_of(message: object) -> object:
    assert isinstance(message, Completed), message
    content = message.output if isinstance(message.output, bytes) else message.content
    assert content is not None
    return orjson.loads(content)


async def test_an_async_handler_gets_its_inputs_and_its_attempt(bench: Bench) -> None:
    message = await bench.run("good", None, {"topic": "tea", "$data_ref": {"looks": "like one"}})
    assert output_of(message) == {
        "inputs": {"topic": "tea", "$data_ref": {"looks": "like one"}},
        "execution": "exec_1",
        "step": "default",
        "attempt": 1,
    }


async def test_a_plain_function_runs_in_a_thread_of_another_process_with_a_cache_folder(bench: Bench) -> None:
    message = await bench.run("good", "where")
    said = output_of(message)
    assert isinstance(said, dict) and said["pid"] != os.getpid()
    assert said["is_main_thread"] is False and said["has_cache"] is True
    assert (bench.folder / "cache" / "good").is_dir()


async def test_what_a_result_says_besides_its_output_comes_along(bench: Bench) -> None:
    message = await bench.run("good", "report")
    assert isinstance(message, Completed)
    assert message.summary == {"items_processed": 3, "continue": False}
    assert message.cost_usd_micros == 250_000
    # 200 reports within a moment are few messages, and the last fraction never lies beyond 1
    assert 1 <= len(bench.box.progress("report")) <= 20
    assert all(0.0 <= report.fraction <= 1.0 for report in bench.box.progress("report"))


async def test_artifacts_are_stored_by_the_child_and_the_same_name_again_replaces_one(bench: Bench) -> None:
    message = await bench.run("good", "report")
    assert isinstance(message, Completed)
    by_name = {artifact.name: artifact for artifact in message.artifacts}
    assert sorted(by_name) == ["again.txt", "report.txt"]
    assert by_name["report.txt"].artifact_id == artifact_id("exec_1", "report", 1, "report.txt")
    assert is_id("art", by_name["report.txt"].artifact_id)
    assert by_name["again.txt"].media_type == "text/plain; charset=utf-8"
    assert await bench.objects.get(by_name["again.txt"].ref, bytes_max=100) == b"second"


async def test_a_plain_function_may_write_artifacts_too(bench: Bench) -> None:
    message = await bench.run("good", "sync_artifact")
    assert isinstance(message, Completed) and [one.name for one in message.artifacts] == ["from-a-thread.txt"]


async def test_a_large_artifact_is_streamed_and_never_held_whole_in_memory(bench: Bench) -> None:
    message = await bench.run("good", "big_file", {"megabytes": BIG_FILE_MB})
    said = output_of(message)
    assert isinstance(said, dict) and isinstance(message, Completed)
    assert message.artifacts[0].ref.size_bytes == BIG_FILE_MB * 1024 * 1024
    assert said["grown_kib"] < GROWTH_KIB_MAX


@pytest.mark.parametrize(("size", "tier"), [(100, "inline"), (100_000, "kv"), (3_000_000, "object")])
async def test_an_output_lands_in_the_tier_of_its_size(bench: Bench, size: int, tier: str) -> None:
    message = await bench.run("good", "large", {"bytes": size})
    assert isinstance(message, Completed)
    expected = orjson.dumps({"text": "x" * size})
    if tier == "inline":
        assert message.output == expected
        return
    assert isinstance(message.output, DataRef)
    assert (message.output.storage_type, message.output.checksum) == (tier, checksum_of(expected))
    stored = message.content if tier == "kv" else await bench.objects.get(message.output, bytes_max=4_000_000)
    assert stored == expected


async def test_references_of_every_tier_are_replaced_by_their_values(bench: Bench) -> None:
    # given two values that the database would hold, one in the object store, each referred to somewhere
    values = {"a": orjson.dumps({"n": "a" * 900_000}), "b": orjson.dumps(["b" * 900_000])}
    bench.kv |= values
    first, second = (DataRef("kv", key, len(text), checksum_of(text)) for key, text in values.items())
    third = await bench.objects.put(orjson.dumps("c" * 3_000_000))
    # when a handler gets them, together more than one frame
    inputs = {"list": [0, first, {"deep": second}], "again": first, "object": third}
    message = await bench.run("good", "echo", inputs)
    # then it sees only values
    assert isinstance(message, Completed) and isinstance(message.output, DataRef)
    output = orjson.loads(await bench.objects.get(message.output, bytes_max=10_000_000))
    one, two = {"n": "a" * 900_000}, ["b" * 900_000]
    assert output["inputs"] == {"list": [0, one, {"deep": two}], "again": one, "object": "c" * 3_000_000}


async def test_inputs_that_are_one_reference_are_replaced_whole(bench: Bench) -> None:
    ref = await bench.objects.put(b'{"whole":true}')
    message = await bench.run("good", "echo", ref)
    said = output_of(message)
    assert isinstance(said, dict) and said["inputs"] == {"whole": True}


async def test_a_typed_handler_gets_what_its_types_say(bench: Bench) -> None:
    message = await bench.run("good", "typed", {"books": [{"title": "Emma", "pages": 474}], "tags": {"a": "b"}})
    assert output_of(message) == {
        "books": [{"title": "Emma", "pages": 474}],
        "name": "unnamed",
        "tags": {"a": "b"},
    }


async def test_inputs_that_do_not_fit_the_types_are_named(bench: Bench) -> None:
    message = await bench.run("good", "typed", {"books": [{"title": "Emma"}, {"titel": "x", "pages": "many"}]})
    assert isinstance(message, Failed) and message.failure.code == "bad_input" and not message.failure.retryable
    for part in (
        "inputs.books[1].titel: there is no such input",
        "inputs.books[1].title: is needed",
        "pages: expected",
    ):
        assert part in message.failure.message


async def test_what_handlers_print_is_forwarded_in_bounds_and_never_taken_for_a_frame(bench: Bench) -> None:
    message = await bench.run("good", "prints", {"lines": 5_000})
    assert output_of(message) == {"printed": True}
    after = await bench.run("good", "where")
    assert isinstance(after, Completed)
    assert any("and a word on stderr" in line for line in bench.lines)
    assert len(bench.lines) < 450 and max(map(len, bench.lines)) < 2_100
    assert not any("\x00" in line for line in bench.lines)
