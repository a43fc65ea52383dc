"""The schema for editors says the same as the loader, and any input is loaded or refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

from stagewright.definitions import load_text, load_value, pipeline_schema
from stagewright.definitions.build import NOT_RUN_YET
from stagewright.definitions.durations import parse_duration, show_duration
from stagewright.definitions.explain import NAME_PATTERN
from stagewright.model.errors import InvalidDocument, Malformed, Refusal

VALIDATOR = jsonschema_rs.Draft202012Validator(pipeline_schema())
COMMON_KEYWORDS = {
    *("$schema", "$id", "$ref", "$defs", "title", "description", "type", "properties", "required", "items", "enum"),
    *(
        "additionalProperties",
        "oneOf",
        "default",
        "examples",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
    ),
    *("minItems", "maxItems"),
}


def schemas_in(schema: dict[str, Any], place: str = "#") -> list[tuple[str, dict[str, Any]]]:
    found = [(place, schema)]
    for group in ("properties", "$defs"):
        for name, inner in schema.get(group, {}).items():
            found += schemas_in(inner, f"{place}/{group}/{name}")
    if "items" in schema:
        found += schemas_in(schema["items"], f"{place}/items")
    return found


def test_the_schema_is_valid_and_names_itself() -> None:
    schema = pipeline_schema()

    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith("/schemas/pipeline/v1.json")


def test_the_schema_stays_in_the_subset_that_editors_know() -> None:
    unknown = {key for _, schema in schemas_in(pipeline_schema()) for key in schema} - COMMON_KEYWORDS

    assert unknown == set()


def test_every_property_has_a_description_and_examples_that_fit() -> None:
    whole = pipeline_schema()
    for place, schema in schemas_in(whole):
        name = place.rsplit("/", 2)
        if name[-2:-1] != ["properties"]:
            continue
        assert len(schema.get("description", "")) > 10, place
        validator = jsonschema_rs.Draft202012Validator({**schema, "$defs": whole["$defs"]})
        for example in [*schema["examples"], *([schema["default"]] if "default" in schema else [])]:
            assert validator.is_valid(example), (place, example)


def test_the_vocabulary_of_the_whole_language_is_in_the_schema() -> None:
    schema = pipeline_schema()

    assert set(NOT_RUN_YET["stage"]) <= set(schema["$defs"]["stage"]["properties"])
    assert set(NOT_RUN_YET["pipeline"]) <= set(schema["properties"])
    assert schema["$defs"]["stage"]["properties"]["id"]["pattern"] == NAME_PATTERN


def test_a_copy_of_the_schema_can_be_changed_without_harm() -> None:
    pipeline_schema()["properties"].clear()

    assert pipeline_schema()["properties"]


ids = st.sampled_from(["a", "b", "c", "scan-node", "d"])
durations = st.sampled_from(["1s", "500ms", "1h30m", 5, 0.25, "2d", "0s", "5 m", -1, "1.5s", True, "1m1m", ""])
good_durations = st.sampled_from(["1s", "500ms", "1h30m", 5, 0.25, "2d", "1.5s"])
texts = st.sampled_from(
    [
        "x",
        "${{ parameters.t }}",
        "${{ stages.a.output.x }}",
        "${{ stages['scan-node'].output }}",
        "${{ size(parameters.l) }}",
    ]
)
retries = st.fixed_dictionaries(
    {},
    optional={"max_attempts": st.integers(0, 5), "initial": durations, "max": durations, "factor": st.floats(0, 5)},
)
stages = st.fixed_dictionaries(
    {"id": ids},
    optional={
        "worker": st.sampled_from(["probe", "w w", ""]),
        "sleep": durations,
        "needs": st.lists(ids, max_size=2),
        "inputs": st.dictionaries(st.sampled_from("xyz"), texts | st.lists(texts, max_size=2), max_size=2),
        "retry": retries,
        "timeout": durations,
        "priority": st.sampled_from(["low", "high", "urgent"]),
        "deliverable": st.booleans(),
        "on_error": st.sampled_from(["fail", "continue", "stop"]),
        "when": st.just("${{ true }}"),
    },
)
good_stages = st.fixed_dictionaries(
    {"id": ids, "worker": st.just("probe")},
    optional={
        "inputs": st.dictionaries(st.sampled_from("xyz"), texts | st.lists(texts, max_size=2), max_size=2),
        "retry": st.fixed_dictionaries({}, optional={"max_attempts": st.integers(1, 5), "initial": st.integers(0, 60)}),
        "timeout": good_durations,
        "version": st.text("12.", min_size=1, max_size=3),
    },
)
documents: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": st.sampled_from(["p", "p.q", "p p"]), "stages": st.lists(stages | good_stages, min_size=1, max_size=4)},
    optional={
        "timeout": durations,
        "budget_usd": st.floats(-1, 10),
        "description": st.text(max_size=5),
        "defaults": st.fixed_dictionaries({}, optional={"retry": retries, "timeout": durations}),
        "parameters": st.sampled_from([{}, {"properties": {"t": {}, "l": {}}}, {"properties": {"u": {}}}, {"type": 1}]),
    },
)
simple_documents = st.fixed_dictionaries(
    {"name": st.just("p"), "stages": st.lists(good_stages, min_size=1, max_size=4, unique_by=lambda each: each["id"])},
    optional={"timeout": good_durations, "budget_usd": st.floats(0, 10)},
)


@given(documents | simple_documents)
def test_what_the_loader_accepts_the_schema_accepts_and_it_round_trips(document: dict[str, Any]) -> None:
    try:
        pipeline = load_value(document)
    except InvalidDocument as error:
        assert error.problems
        assert all(problem.pointer.startswith("#") and problem.detail for problem in error.problems)
        return
    assert VALIDATOR.is_valid(document)
    assert VALIDATOR.is_valid(pipeline.document)
    again = load_text(json.dumps(pipeline.document))
    assert again == pipeline
    for stage in pipeline.stages:
        assert (stage.worker is None) == (stage.sleep_us is not None)


@given(simple_documents)
def test_yaml_and_json_of_one_document_load_alike(document: dict[str, Any]) -> None:
    def outcome(text: str) -> Any:
        try:
            return load_text(text)
        except InvalidDocument as error:
            return [(problem.pointer, problem.detail) for problem in error.problems]

    body = json.dumps(document, indent=2)
    # A comment in front makes the same text YAML, in flow style.
    assert outcome(body) == outcome("# yaml\n" + body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["name", "stages", "id", "worker", "inputs", "retry", "needs", "parameters", "defaults", "sleep"]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(json_values)
def test_any_value_is_loaded_or_refused_with_problems_that_can_be_sent(value: Any) -> None:
    try:
        load_value(value)
    except Refusal as error:
        assert error.problems
        json.dumps([problem.as_json() for problem in error.problems]).encode()
        "".join(problem.pointer + problem.detail for problem in error.problems).encode()


YAML_PIECES = [
    *("name", ": ", "p", "\n", "  ", "- ", "stages:\n", "id: a", "worker: w", "{", "}", "[", "]", ", ", "&x ", "*x"),
    *("!!str ", "'", '"', "#", "|", ">", "%", "---\n", "...\n", "\t", "? ", "<<: ", "~", "1", "${{ ", " }}", "\\u0000"),
    *("é", "!t "),
]


@given(st.lists(st.sampled_from(YAML_PIECES), max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_loaded_or_refused(text: str) -> None:
    try:
        load_text(text)
    except (InvalidDocument, Malformed) as error:
        assert error.problems
        assert error.detail.encode()


@given(st.binary(max_size=40))
def test_any_bytes_are_loaded_or_refused(content: bytes) -> None:
    try:
        load_text(content)
    except (InvalidDocument, Malformed) as error:
        assert error.problems


@given(st.integers(0, 3_000 * 24 * 3600 * 1000))
def test_a_duration_is_read_as_it_is_shown(milliseconds: int) -> None:
    assert parse_duration(show_duration(milliseconds * 1000)) == milliseconds * 1000
