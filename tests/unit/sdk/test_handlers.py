"""Typed inputs, outputs that are no JSON, and the harness for tests of workers."""

from __future__ import annotations

import asyncio
import datetime
import doctest
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Optional

import orjson
import pytest
from pydantic import BaseModel

from stagewright.sdk import Context, Result, Terminal, Worker, harness
from stagewright.sdk.artifacts import check_artifact
from stagewright.sdk.encode import NotJson, encode_json
from stagewright.sdk.harness import HarnessContext, run_handler
from stagewright.sdk.typed import typed_inputs


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    y: float = 0.0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(f"x must not be negative: {self.x}")


@dataclass
class Shape:
    points: list[Point]
    colour: Colour | None = None
    kind: Literal["open", "closed"] = "open"
    weight: Optional[int] = None  # noqa: UP045 - both spellings are in use
    corner: tuple[int, str] = (0, "")
    label: int | str = 0
    more: dict[str, Point] | None = None
    anything: Any = None


class Person(BaseModel):
    name: str
    age: int


def draw(inputs: Shape, ctx: Context) -> Any:
    return inputs


def greet(inputs: Person, ctx: Context) -> Any:
    return inputs


def plain(inputs: dict[str, Any], ctx: Context) -> Any:
    return inputs


def test_a_dataclass_is_made_of_nested_json() -> None:
    made = typed_inputs(
        draw,
        {
            "points": [{"x": 1}, {"x": 2.5, "y": 3}], "colour": "red", "kind": "closed", "weight": 7,
            "corner": [1, "a"], "label": "name", "more": {"a": {"x": 0}}, "anything": [1],
        },
    )  # fmt: skip
    assert made == Shape(
        [Point(1.0), Point(2.5, 3.0)], Colour.RED, "closed", 7, (1, "a"), "name", {"a": Point(0.0)}, [1]
    )
    assert isinstance(made.points[0].x, float)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (7, "inputs: expected an object, found: 7"),
        ({}, "inputs.points: is needed and missing"),
        ({"points": {}}, "inputs.points: expected a list"),
        ({"points": [{"x": "1"}]}, "inputs.points[0].x: expected a number, found: '1'"),
        ({"points": [{"x": True}]}, "inputs.points[0].x: expected a number, found: True"),
        ({"points": [{"x": -1}]}, "inputs.points[0]: x must not be negative"),
        ({"points": [], "pionts": 1}, "inputs.pionts: there is no such input"),
        ({"points": [], "colour": "blue"}, "inputs.colour: expected one of ['red']"),
        ({"points": [], "colour": []}, "inputs.colour: expected one of ['red']"),
        ({"points": [], "kind": "ajar"}, "inputs.kind: expected one of ['open', 'closed']"),
        ({"points": [], "weight": 1.5}, "inputs.weight: expected an integer"),
        ({"points": [], "corner": [1]}, "inputs.corner: expected a list of 2 items"),
        ({"points": [], "label": []}, "inputs.label: expected an integer or a string"),
        ({"points": [], "more": {"a": {}}}, "inputs.more.a.x: is needed"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(inputs: Any, expected: str) -> None:
    with pytest.raises(Terminal) as refused:
        typed_inputs(draw, inputs)
    assert refused.value.code == "bad_input" and expected in str(refused.value)


def test_all_problems_are_told_at_once_but_not_without_end() -> None:
    with pytest.raises(Terminal) as refused:
        typed_inputs(draw, {"points": [{"x": "a"}] * 30})
    assert str(refused.value).count("expected a number") == 10 and "and 20 more" in str(refused.value)


def test_a_pydantic_model_is_validated_by_its_own_rules() -> None:
    assert typed_inputs(greet, {"name": "Ada", "age": "36"}) == Person(name="Ada", age=36)
    with pytest.raises(Terminal) as refused:
        typed_inputs(greet, {"name": "Ada", "age": "old"})
    assert "inputs.age: Input should be a valid integer" in str(refused.value)


def test_inputs_without_a_type_of_ours_pass_unchanged() -> None:
    inputs = {"any": [1]}
    assert typed_inputs(plain, inputs) is inputs
    assert typed_inputs(lambda inputs, ctx: None, inputs) is inputs


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"items": [0, 1, 2, {"when": datetime.datetime(2026, 1, 1)}]}, "$.items[3].when", "is a datetime object"),
        ({"a b": {1, 2}}, "$['a b']", "is a set object"),
        ({"a": {1: 2}}, "$.a", "has a key that is no string but an int object: 1"),
        ([1 << 64], "$[0]", "is an integer beyond 64 bits"),
        ({"t": "\ud800"}, "$.t", "is text with a lone surrogate"),
        ({"b": b"bytes"}, "$.b", "is a bytes object"),
        (CIRCLE, "$[0]", "is nested deeper than 254 levels"),
        (Shape([], anything=object()), "$.anything", "is an object object"),
    ],
)
def test_the_first_thing_that_is_no_json_is_named(value: Any, path: str, problem: str) -> None:
    with pytest.raises(NotJson) as refused:
        encode_json(value)
    assert refused.value.path.startswith(path) and problem in refused.value.problem


def test_dataclasses_and_models_are_json() -> None:
    value = {"shape": Shape([Point(1.0)], Colour.RED), "person": Person(name="Ada", age=36)}
    read = orjson.loads(encode_json(value))
    assert read["shape"]["points"] == [{"x": 1.0, "y": 0.0}] and read["shape"]["colour"] == "red"
    assert read["person"] == {"name": "Ada", "age": 36}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "x" * 201, "\ud800"])
def test_an_artifact_has_a_name_that_is_safe_as_a_file_name(name: str) -> None:
    with pytest.raises(Terminal):
        check_artifact(name, "text/plain")


@pytest.mark.parametrize("media_type", ["", "text", "text/", "text/plain\r\nX: y", "text/plain; charset", "x" * 300])
def test_an_artifact_has_a_media_type_that_is_safe_as_a_header(media_type: str) -> None:
    with pytest.raises(Terminal):
        check_artifact("a.txt", media_type)
    check_artifact("Überblick 1.txt", 'text/plain; charset=utf-8; name="a b"')


async def test_the_harness_runs_a_handler_as_a_server_would(tmp_path: Path) -> None:
    worker = Worker("writer")

    @worker.action
    async def write(inputs: dict[str, Any], ctx: Context) -> Result:
        ctx.progress(0.5, "half")
        ref = await ctx.artifact("a.txt", inputs["text"], media_type="text/plain")
        return Result({"ref": ref, "point": Point(1.0)}, summary={"items_processed": 1})

    done = await run_handler(worker, "write", {"text": "hello"}, tmp_path)
    assert done.output["point"] == {"x": 1.0, "y": 0.0} and done.output["ref"]["size_bytes"] == 5
    assert done.artifacts["a.txt"].read_text() == "hello"
    assert done.progress == [(0.5, "half")] and done.summary == {"items_processed": 1}


async def test_the_harness_raises_what_a_server_would_refuse(tmp_path: Path) -> None:
    worker = Worker("odd")
    worker.action(lambda inputs, ctx: None, name="nothing")
    worker.action(lambda inputs, ctx: {"s": {1}}, name="sets")
    with pytest.raises(ValueError, match="returned nothing"):
        await run_handler(worker, "nothing", {}, tmp_path)
    with pytest.raises(ValueError, match=r"\$\.s is a set object"):
        await run_handler(worker, "sets", {}, tmp_path)
    with pytest.raises(LookupError, match="there are: nothing, sets"):
        await run_handler(worker, "other", {}, tmp_path)


async def test_the_harness_shows_how_a_handler_stops(tmp_path: Path) -> None:
    worker = Worker("patient")

    @worker.action
    async def wait(inputs: dict[str, Any], ctx: Context) -> Any:
        while not ctx.cancelled:  # noqa: ASYNC110 - as handlers do
            await asyncio.sleep(0)
        return {"stopped": True}

    context = HarnessContext(tmp_path)
    running = asyncio.ensure_future(run_handler(worker, "wait", {}, tmp_path, context=context))
    await asyncio.sleep(0)
    context.cancelled = True
    assert (await running).output == {"stopped": True}


def test_the_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(harness).failed == 0
