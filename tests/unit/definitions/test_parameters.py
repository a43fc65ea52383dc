"""Parameters of an execution: defaults and checks."""

from __future__ import annotations

from typing import Any

import pytest

from stagewright.definitions import check_parameters, load_value, parameters
from stagewright.model.errors import Invalid
from stagewright.model.pipeline import Pipeline

SCHEMA = {
    "type": "object",
    "required": ["topic"],
    "additionalProperties": False,
    "properties": {
        "topic": {"type": "string", "minLength": 1},
        "depth": {"enum": ["quick", "comprehensive"], "default": "quick"},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        "output": {
            "type": "object",
            "properties": {
                "format": {"type": "string", "default": "html"},
                "page": {"type": "object", "default": {}, "properties": {"size": {"type": "integer", "default": 4}}},
            },
        },
        "count": {"type": "integer", "minimum": 1, "maximum": 10},
    },
}


def pipeline_with(schema: dict[str, Any] | None) -> Pipeline:
    fields = {} if schema is None else {"parameters": schema}
    return load_value({"name": "p", "stages": [{"id": "a", "worker": "w"}], **fields})


PIPELINE = pipeline_with(SCHEMA)


def problems_of(pipeline: Pipeline, given: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        check_parameters(pipeline, given)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def test_defaults_are_filled_in() -> None:
    assert check_parameters(PIPELINE, {"topic": "x"}) == {"topic": "x", "depth": "quick", "tags": []}


def test_defaults_inside_given_objects_are_filled_in() -> None:
    given = {"topic": "x", "output": {}}

    filled = check_parameters(PIPELINE, given)

    assert filled["output"] == {"format": "html", "page": {"size": 4}}
    assert given == {"topic": "x", "output": {}}


def test_given_values_win_over_defaults() -> None:
    filled = check_parameters(PIPELINE, {"topic": "x", "depth": "comprehensive", "output": {"page": {"size": 9}}})

    assert filled["depth"] == "comprehensive"
    assert filled["output"]["page"] == {"size": 9}


def test_a_default_is_not_shared_between_executions() -> None:
    check_parameters(PIPELINE, {"topic": "x"})["tags"].append("mine")

    assert check_parameters(PIPELINE, {"topic": "x"})["tags"] == []


def test_all_problems_come_at_once_with_pointers() -> None:
    found = problems_of(
        PIPELINE, {"depth": "quik", "tags": ["a", 1], "output": {"page": {"size": "x"}}, "count": 11, "tpoic": "x"}
    )

    assert found.keys() == {
        "#/parameters/topic",
        "#/parameters/depth",
        "#/parameters/tags/1",
        "#/parameters/output/page/size",
        "#/parameters/count",
        "#/parameters/tpoic",
    }
    assert "missing" in found["#/parameters/topic"]
    assert "did you mean quick?" in found["#/parameters/depth"]
    assert "at most 10" in found["#/parameters/count"]
    assert "did you mean topic?" in found["#/parameters/tpoic"]
    assert "Expected a whole number, found text" in found["#/parameters/output/page/size"]


@pytest.mark.parametrize("given", [None, [], "x", 3, True])
def test_parameters_that_are_no_object_are_refused(given: Any) -> None:
    assert "Expected an object" in problems_of(PIPELINE, given)["#/parameters"]


def test_poison_is_refused_even_without_a_schema() -> None:
    found = problems_of(pipeline_with(None), {"a": "\x00", "b": {"c": ["\ud800"]}, "n": 2**63})

    assert found.keys() == {"#/parameters/a", "#/parameters/b/c/0", "#/parameters/n"}


def test_without_a_schema_every_object_fits() -> None:
    assert check_parameters(pipeline_with(None), {"a": [1]}) == {"a": [1]}


def test_alternatives_are_told_in_words() -> None:
    pipeline = pipeline_with(
        {"properties": {"who": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]}}}
    )

    detail = problems_of(pipeline, {"who": 0})["#/parameters/who"]

    assert "Expected text, found a number: 0; or Expected a number of at least 1" in detail


def test_a_pattern_that_explodes_is_refused_and_does_not_hang() -> None:
    pipeline = pipeline_with({"properties": {"a": {"type": "string", "pattern": "^(a|a)*(?=b)c$"}}})

    assert "#/parameters/a" in problems_of(pipeline, {"a": "a" * 60 + "!"})


def test_a_schema_that_refers_to_itself_is_checked() -> None:
    tree = {
        "properties": {"tree": {"$ref": "#/$defs/t"}},
        "$defs": {"t": {"items": {"$ref": "#/$defs/t"}, "type": "array"}},
    }

    assert check_parameters(pipeline_with(tree), {"tree": [[], [[]]]}) == {"tree": [[], [[]]]}
    assert list(problems_of(pipeline_with(tree), {"tree": [[], [3]]})) == ["#/parameters/tree/1/0"]


def test_compiled_checks_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "CHECKS_CACHED_MAX", 3)
    monkeypatch.setattr(parameters, "_checks", {})
    pipelines = [pipeline_with({"properties": {f"p{number}": {"type": "string"}}}) for number in range(5)]

    for number, pipeline in enumerate(pipelines):
        assert check_parameters(pipeline, {f"p{number}": "x"}) == {f"p{number}": "x"}

    assert list(parameters._checks) == [pipeline.digest for pipeline in pipelines[2:]]
