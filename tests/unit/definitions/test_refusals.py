"""Bad documents: each mistake with the exact place and what the message must say."""

from __future__ import annotations

from typing import Any

import pytest

from stagewright.definitions import load_value
from stagewright.definitions.build import NOT_RUN_YET
from stagewright.model.errors import InvalidDocument


def document(*stages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "p", "stages": list(stages), **fields}


def stage(id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": id, "worker": "probe", **fields}


def problems_of(value: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        load_value(value)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


BAD: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("no name", {"stages": [stage()]}, {"#/name": "name is missing"}),
    ("no stages", {"name": "p"}, {"#/stages": "stages is missing"}),
    ("empty stages", document(), {"#/stages": "at least 1 items"}),
    ("stages no list", {"name": "p", "stages": {"a": 1}}, {"#/stages": "Expected a list, found an object"}),
    ("bad name", {"name": "a b", "stages": [stage()]}, {"#/name": "letters, digits"}),
    ("unknown field", document(stage(), budget=3), {"#/budget": "did you mean budget_usd?"}),
    ("unknown stage field", document(stage(nedes=[])), {"#/stages/0/nedes": "did you mean needs?"}),
    ("unknown retry field", document(stage(retry={"attempts": 1})), {"#/stages/0/retry/attempts": "max_attempts"}),
    ("no id", document({"worker": "w"}), {"#/stages/0/id": "id is missing"}),
    ("bad id", document(stage("a[0]")), {"#/stages/0/id": "letters, digits"}),
    ("long id", document(stage("a" * 129)), {"#/stages/0/id": "at most 128 characters"}),
    ("duplicate id", document(stage(), stage()), {"#/stages/1/id": "used twice, first by #/stages/0"}),
    ("stage no object", document(stage(), 5), {"#/stages/1": "Expected an object, found a number: 5"}),  # type: ignore[arg-type]
    ("no worker", document({"id": "a"}), {"#/stages/0": "needs a worker"}),
    ("worker and sleep", document(stage(sleep="1s")), {"#/stages/0": "exactly one thing, found worker, sleep"}),
    ("worker expression", document({"id": "a", "worker": "${{ x }}"}), {"#/stages/0/worker": "letters, digits"}),
    ("needs no list", document(stage(needs="b")), {"#/stages/0/needs": 'Expected a list, found text: "b"'}),
    (
        "unknown need",
        document(stage("fetch"), stage("b", needs=["fetsh"])),
        {"#/stages/1/needs/0": "did you mean fetch?"},
    ),
    ("own need", document(stage(needs=["a"])), {"#/stages/0/needs/0": "a → a"}),
    (
        "cycle",
        document(stage("a", needs=["b"]), stage("b", needs=["c"]), stage("c", needs=["a"])),
        {"#/stages/0/needs/0": "cycle: a → b → c → a"},
    ),
    (
        "cycle by references",
        document(stage("a", inputs={"x": "${{ stages.b.output }}"}), stage("b", needs=["a"])),
        {"#/stages/0/inputs/x": "cycle: a → b → a"},
    ),
    (
        "two cycles",
        document(stage("a", needs=["a"]), stage("b", needs=["c"]), stage("c", needs=["b"])),
        {"#/stages/0/needs/0": "a → a", "#/stages/1/needs/0": "b → c → b"},
    ),
    ("bad duration", document(stage(timeout="5 min")), {"#/stages/0/timeout": "no duration"}),
    ("units in disorder", document(stage(timeout="1s1h")), {"#/stages/0/timeout": "in this order"}),
    ("empty duration", document(stage(timeout="")), {"#/stages/0/timeout": "no duration"}),
    ("zero timeout", document(stage(timeout=0)), {"#/stages/0/timeout": "longer than nothing"}),
    ("negative timeout", document(stage(timeout=-1)), {"#/stages/0/timeout": "negative"}),
    ("absurd timeout", document(stage(), timeout="9999d"), {"#/timeout": "longer than 3660 days"}),
    ("boolean timeout", document(stage(timeout=True)), {"#/stages/0/timeout": "found true or false"}),
    ("zero sleep", document({"id": "a", "sleep": "0s"}), {"#/stages/0/sleep": "longer than nothing"}),
    ("no attempts", document(stage(retry={"max_attempts": 0})), {"#/stages/0/retry/max_attempts": "at least 1"}),
    (
        "half an attempt",
        document(stage(retry={"max_attempts": 1.5})),
        {"#/stages/0/retry/max_attempts": "whole number"},
    ),
    ("shrinking retry", document(stage(retry={"factor": 0.5})), {"#/stages/0/retry/factor": "at least 1"}),
    (
        "retry ends before it starts",
        document(stage(retry={"initial": "5m", "max": "1s"})),
        {"#/stages/0/retry/max": "shorter"},
    ),
    (
        "bad jitter",
        document(stage(), defaults={"retry": {"jitter": "fully"}}),
        {"#/defaults/retry/jitter": "did you mean full?"},
    ),
    ("bad priority", document(stage(priority="hihg")), {"#/stages/0/priority": "did you mean high?"}),
    ("bad on_error", document(stage(on_error="ignore")), {"#/stages/0/on_error": "one of fail, continue"}),
    ("negative budget", document(stage(), budget_usd=-1), {"#/budget_usd": "at least 0"}),
    ("sleep with inputs", document({"id": "a", "sleep": "1s", "inputs": {}}), {"#/stages/0/inputs": "calls no worker"}),
    (
        "two deliverables",
        document(stage(deliverable=True), stage("b", deliverable=True)),
        {"#/stages/1/deliverable": "Only one"},
    ),
    ("inputs no object", document(stage(inputs=[1])), {"#/stages/0/inputs": "Expected an object, found a list"}),
    ("open expression", document(stage(inputs={"x": ["${{ parameters.a"]})), {"#/stages/0/inputs/x/0": "not closed"}),
    ("empty expression", document(stage(inputs={"x": "${{ }}"})), {"#/stages/0/inputs/x": "nothing between"}),
    (
        "unknown root",
        document(stage(inputs={"x": "${{ parametres.a }}"})),
        {"#/stages/0/inputs/x": "did you mean parameters?"},
    ),
    (
        "unknown function",
        document(stage(inputs={"x": "${{ sise(parameters.a) }}"})),
        {"#/stages/0/inputs/x": "did you mean size?"},
    ),
    ("bad CEL", document(stage(inputs={"x": "${{ 1 + }}"})), {"#/stages/0/inputs/x": "no CEL expression: 1 +"}),
    (
        "long expression",
        document(stage(inputs={"x": "${{ " + "1+" * 1001 + "1 }}"})),
        {"#/stages/0/inputs/x": "2000 characters"},
    ),
    (
        "expression in a key",
        document(stage(inputs={"${{ a }}": 1})),
        {"#/stages/0/inputs/${{ a }}": "not evaluated in keys"},
    ),
    (
        "unknown stage",
        document(stage("fetch", inputs={"x": "${{ stages.fetc.output }}"})),
        {"#/stages/0/inputs/x": "did you mean fetch?"},
    ),
    (
        "hyphen",
        document(stage("s-n"), stage(inputs={"x": "${{ stages.s-n.output }}"})),
        {"#/stages/1/inputs/x": "in brackets"},
    ),
    (
        "no such field",
        document(stage("b"), stage(inputs={"x": "${{ stages.b.outputt }}"})),
        {"#/stages/1/inputs/x": "mean output?"},
    ),
    (
        "outputs",
        document(stage("b"), stage(inputs={"x": "${{ stages.b.outputs }}"})),
        {"#/stages/1/inputs/x": "write stages.b.output"},
    ),
    ("item without for_each", document(stage(inputs={"x": "${{ item.url }}"})), {"#/stages/0/inputs/x": "for_each"}),
    (
        "unknown execution field",
        document(stage(inputs={"x": "${{ execution.idd }}"})),
        {"#/stages/0/inputs/x": "mean id?"},
    ),
    (
        "unknown parameter",
        document(stage(inputs={"x": "${{ parameters.topik }}"}), parameters={"properties": {"topic": {}}}),
        {"#/stages/0/inputs/x": "no topik in parameters (did you mean topic?)"},
    ),
    (
        "unknown inner parameter",
        document(
            stage(inputs={"x": "${{ parameters.who.nam }}"}),
            parameters={"properties": {"who": {"properties": {"name": {}}}}},
        ),
        {"#/stages/0/inputs/x": "no nam in parameters.who (did you mean name?)"},
    ),
    (
        "parameters of another type",
        document(stage(), parameters={"type": "array"}),
        {"#/parameters/type": "type is object"},
    ),
    (
        "bad type",
        document(stage(), parameters={"properties": {"a": {"type": "strng"}}}),
        {"#/parameters/properties/a/type": "string"},
    ),
    ("bad keyword", document(stage(), parameters={"required": "a"}), {"#/parameters/required": "Expected a list"}),
    (
        "bad pattern",
        document(stage(), parameters={"properties": {"a": {"pattern": "(a"}}}),
        {"#/parameters/properties/a/pattern": "regex"},
    ),
    (
        "remote reference",
        document(stage(), parameters={"$ref": "https://example.com/x"}),
        {"#/parameters": "cannot be used"},
    ),
    ("another dialect", document(stage(), parameters={"$schema": "draft-07"}), {"#/parameters/$schema": "2020-12"}),
    (
        "default that does not fit",
        document(stage(), parameters={"properties": {"n": {"type": "integer", "default": "x"}}}),
        {"#/parameters/properties/n/default": "The default does not fit: Expected a whole number"},
    ),
    ("NUL", document(stage(inputs={"x": "a\x00b"})), {"#/stages/0/inputs/x": "NUL"}),
    ("NUL in a key", document(stage(inputs={"a\x00": 1})), {"#/stages/0/inputs": "NUL"}),
    ("half a pair", document(stage(inputs={"x": ["\ud800"]})), {"#/stages/0/inputs/x/0": "surrogate"}),
    ("65 bits", document(stage(inputs={"x": 2**64})), {"#/stages/0/inputs/x": "beyond 64 bits"}),
    ("64 bits without sign", document(stage(inputs={"x": 2**63})), {"#/stages/0/inputs/x": "beyond 64 bits"}),
    ("infinity", document(stage(inputs={"x": float("inf")})), {"#/stages/0/inputs/x": "infinity"}),
    ("no JSON", document(stage(inputs={"x": {1, 2}})), {"#/stages/0/inputs/x": "Python set"}),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_document_names_the_place_and_the_mend(value: dict[str, Any], expected: dict[str, str]) -> None:
    found = problems_of(value)

    assert found.keys() == expected.keys(), found
    for place, words in expected.items():
        assert words in found[place]


@pytest.mark.parametrize("field", NOT_RUN_YET["stage"])
def test_what_the_language_has_but_this_release_does_not_run_is_said(field: str) -> None:
    kind = {} if field in ("pipeline", "wait_for") else {"worker": "w"}

    found = problems_of(document({"id": "a", **kind, field: 1}))

    assert found == {f"#/stages/0/{field}": f"{field} is part of the language but not run by this release; remove it."}


def test_on_budget_is_not_run_yet() -> None:
    assert list(problems_of(document(stage(), on_budget="pause"))) == ["#/on_budget"]
