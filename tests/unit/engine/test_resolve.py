"""Inputs: rendered at once from what is inline, asked for what lies elsewhere, and refused with the stage's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stagewright.definitions import NeedsData, load_value
from stagewright.engine.actor import Actor
from stagewright.engine.bind import Binder
from stagewright.engine.resolve import Unresolvable, failure_of, is_wanted, load_bytes, render_inputs
from stagewright.engine.resolve import load_value as load_referred
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost, TooLarge
from stagewright.model.execution import Execution, Step
from stagewright.objects.files import FileObjects

VALUE = {"mark": "here", "items": [1, 2, 3]}
BYTES = orjson.dumps(VALUE)
REF = DataRef("kv", checksum_of(BYTES), len(BYTES), checksum_of(BYTES))


def actor(inputs: Any, *, output: bytes | DataRef | None, parameters: bytes | DataRef = b'{"topic":"tea"}',
          status: str = "completed", when: Any = True) -> Actor:  # fmt: skip
    """Make an execution whose stage `a` has ended and whose stage `b` has these inputs."""
    stages = [
        {"id": "a", "worker": "w", "on_error": "continue"},
        {"id": "b", "worker": "w", "needs": ["a"], "inputs": inputs, "when": when},
    ]
    topic = {"type": "object", "properties": {"topic": {"type": "string"}}}
    bound = Binder(lambda worker: None, tuple).bind(load_value({"name": "p", "parameters": topic, "stages": stages}))
    state = Execution("exec_1", bound.plan, "p", 1, bound.pipeline.digest, parameters, 1, 2)
    state.steps["a"] = Step("a", status, 1, output=output)
    return Actor(state, bound)


class Contents:
    """The kv tier, as far as `load_bytes` reads it."""

    def __init__(self, **rows: bytes) -> None:
        self.rows = rows

    async def read(self, query: str, *params: Any) -> list[Any]:
        assert query == "content"
        return [(content,) for key, content in self.rows.items() if key == params[0]]


def test_inputs_without_expressions_are_what_was_written() -> None:
    assert render_inputs(actor({"n": [1, {"x": None}]}, output=None), "b") == {"n": [1, {"x": None}]}


def test_parameters_and_outputs_are_put_in() -> None:
    inputs = {"about": "on ${{ parameters.topic }}", "mark": "${{ stages.a.output.mark }}"}

    assert render_inputs(actor(inputs, output=BYTES), "b") == {"about": "on tea", "mark": "here"}


def test_a_whole_value_elsewhere_passes_unread() -> None:
    inputs = {"all": "${{ stages.a.output }}"}

    assert render_inputs(actor(inputs, output=REF), "b") == {"all": REF}


def test_a_look_into_a_value_elsewhere_asks_for_it_and_then_goes_on() -> None:
    subject = actor({"mark": "${{ stages.a.output.mark }}"}, output=REF)

    with pytest.raises(NeedsData) as asked:
        render_inputs(subject, "b")
    assert asked.value.references == (REF,)
    subject.loaded["b"] = {REF.storage_key: VALUE}

    assert render_inputs(subject, "b") == {"mark": "here"}


def test_parameters_elsewhere_are_asked_for() -> None:
    with pytest.raises(NeedsData) as asked:
        render_inputs(actor({"about": "${{ parameters.topic }}"}, output=None, parameters=REF), "b")

    assert asked.value.references == (REF,)


@pytest.mark.parametrize(
    ("output", "status", "told"), [(BYTES, "completed", "mark"), (None, "failed", "because it is failed")]
)
def test_what_is_not_there_names_the_stage_and_the_reason(output: bytes | None, status: str, told: str) -> None:
    subject = actor({"x": "${{ stages.a.output.absent }}"}, output=output, status=status)

    with pytest.raises(Unresolvable) as refused:
        render_inputs(subject, "b")

    failure = refused.value.failure
    assert (failure.code, failure.stage_id, failure.retryable) == ("expression_failed", "b", False)
    assert "stage 'b'" in failure.message
    assert told in failure.message


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_the_output_of_what_did_not_complete_is_null_as_a_whole(status: str) -> None:
    inputs = {"all": "${{ stages.a.output }}", "none": "${{ stages.a.output == null }}"}

    assert render_inputs(actor(inputs, output=None, status=status), "b") == {"all": None, "none": True}


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        (True, True),
        (False, False),
        ("${{ parameters.topic == 'tea' }}", True),
        ("${{ stages.a.output.mark == 'there' }}", False),
    ],
)
def test_a_condition_says_whether_a_stage_is_wanted(when: Any, wanted: bool) -> None:
    assert is_wanted(actor({}, output=BYTES, when=when), "b") is wanted


@pytest.mark.parametrize(
    ("when", "found"),
    [("${{ parameters.topic }}", '"tea"'), ("${{ stages.a.output }}", "a large value"), ("${{ 1 / 0 == 1 }}", "zero")],
)
def test_a_condition_that_is_none_fails_the_stage(when: Any, found: str) -> None:
    with pytest.raises(Unresolvable) as refused:
        is_wanted(actor({}, output=REF, when=when), "b")

    assert refused.value.failure.code == "expression_failed"
    assert "stage 'b'" in refused.value.failure.message
    assert found in refused.value.failure.message


async def test_values_of_both_tiers_are_loaded_and_checked(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    ref = await objects.put(BYTES)

    assert await load_referred(Contents(), objects, ref, bytes_max=100) == VALUE  # type: ignore[arg-type]
    assert await load_referred(Contents(**{REF.storage_key: BYTES}), objects, REF, bytes_max=100) == VALUE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("contents", "bytes_max", "error"),
    [({}, 100, DataLost), ({REF.storage_key: b"x" * len(BYTES)}, 100, DataLost), ({}, len(BYTES) - 1, TooLarge)],
    ids=["missing", "damaged", "over the bound"],
)
async def test_values_that_cannot_be_had_fail_the_stage_with_its_name(
    contents: dict[str, bytes], bytes_max: int, error: type[DataLost | TooLarge], tmp_path: Path
) -> None:
    with pytest.raises(error) as refused:
        await load_bytes(Contents(**contents), FileObjects(tmp_path), REF, bytes_max=bytes_max)  # type: ignore[arg-type]

    failure = failure_of("b", refused.value)
    assert (failure.code, failure.stage_id) == (error.code, "b")
    assert "stage 'b'" in failure.message
