"""Documents: good ones load, bad ones tell everything that is wrong, with places."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagewright.definitions import load_text, load_value, topological_order
from stagewright.definitions.build import PROBLEMS_MAX
from stagewright.definitions.load import DOCUMENT_BYTES_MAX
from stagewright.definitions.read_yaml import YAML_BYTES_MAX
from stagewright.model.errors import InvalidDocument, Malformed, TooLarge
from stagewright.model.policy import SECOND_US, RetryPolicy

MARKET_RESEARCH = """\
# yaml-language-server: $schema=pipeline.v1.schema.json
name: market_research
description: What moves in a field, from feeds to a report
parameters:
  type: object
  required: [topic]
  properties:
    topic: {type: string, minLength: 1}
    depth: {enum: [quick, comprehensive], default: quick}
budget_usd: 2.00
timeout: 30m
defaults:
  retry: {max_attempts: 5, initial: 2s, factor: 3, max: 1m, jitter: none}
  timeout: 10m
  queue_timeout: 1h30m
  silence_timeout: 45
  priority: high
stages:
  - id: report
    worker: report-builder
    action: html
    version: "2"
    template_ref: weekly
    needs: [nap]
    retry: {max_attempts: 1}
    deliverable: true
    inputs:
      articles: "${{ stages['feed-items'].output.articles }}"
      title: "About ${{ parameters.topic }}: ${{ size(stages.sources.output.feeds) }} feeds"
  - id: nap
    sleep: 500ms
    needs: [feed-items]
  - id: sources
    worker: rss-source-finder
    priority: low
    on_error: continue
    inputs: {topic: "${{ parameters.topic }}", strict: no, tries: 0x10}
  - id: feed-items
    worker: feed-fetcher
    timeout: 90
    inputs: {feeds: "${{ stages.sources.output.feeds }}"}
"""


def document(*stages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "p", "stages": list(stages), **fields}


def stage(id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": id, "worker": "probe", **fields}


def problems_of(value: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        load_value(value)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def lines_of(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(InvalidDocument) as caught:
        load_text(text)
    return [(problem.line, problem.pointer) for problem in caught.value.problems]


def test_every_feature_of_a_document_reaches_the_pipeline() -> None:
    pipeline = load_text(MARKET_RESEARCH)

    assert pipeline.name == "market_research"
    assert pipeline.description == "What moves in a field, from feeds to a report"
    assert pipeline.budget_usd_micros == 2_000_000
    assert pipeline.timeout_us == 1800 * SECOND_US
    report, nap, sources, items = pipeline.stages
    assert [each.id for each in pipeline.stages] == ["report", "nap", "sources", "feed-items"]
    assert (report.worker, report.action, report.worker_version) == ("report-builder", "html", "2")
    assert report.template_ref == "weekly"
    assert report.deliverable
    assert report.needs == ("nap", "feed-items", "sources")
    assert report.retry == RetryPolicy(1, 2 * SECOND_US, 3.0, 60 * SECOND_US, "none")
    assert report.timeout_us == 600 * SECOND_US
    assert report.queue_timeout_us == 5400 * SECOND_US
    assert report.silence_timeout_us == 45 * SECOND_US
    assert report.priority == "high"
    assert (nap.worker, nap.sleep_us, nap.needs) == (None, 500_000, ("feed-items",))
    assert (sources.priority, sources.on_error, sources.needs) == ("low", "continue", ())
    assert sources.inputs == {"topic": "${{ parameters.topic }}", "strict": "no", "tries": 16}
    assert items.timeout_us == 90 * SECOND_US
    assert topological_order(pipeline.stages) == ("sources", "feed-items", "nap", "report")


def test_a_minimal_document_has_the_documented_defaults() -> None:
    pipeline = load_value(document(stage()))

    only = pipeline.stages[0]
    assert pipeline.timeout_us == 24 * 3600 * SECOND_US
    assert pipeline.budget_usd_micros is None
    assert only.retry == RetryPolicy(3, SECOND_US, 2.0, 60 * SECOND_US, "full")
    assert (only.timeout_us, only.queue_timeout_us, only.silence_timeout_us) == (300_000_000, 3_600_000_000, 30_000_000)
    assert (only.priority, only.on_error, only.deliverable, only.inputs) == (None, "fail", False, {})


def test_yaml_and_json_of_the_same_document_have_the_same_digest() -> None:
    from_yaml = load_text(MARKET_RESEARCH)
    shuffled = dict(reversed(list(from_yaml.document.items())))
    from_json = load_text(json.dumps(shuffled, indent=1).encode())

    assert from_json == from_yaml
    assert from_yaml.digest.startswith("sha256:") and len(from_yaml.digest) == 71
    assert list(from_json.document) == [
        "name",
        "description",
        "parameters",
        "timeout",
        "budget_usd",
        "defaults",
        "stages",
    ]
    assert list(from_json.document["stages"][1]) == ["id", "needs", "sleep"]


def test_the_digest_changes_with_the_document_and_not_with_the_schema_link() -> None:
    plain = load_value(document(stage()))

    assert load_value(document(stage(), **{"$schema": "x.json"})).digest == plain.digest
    assert load_value(document(stage(timeout="5m"))).digest != plain.digest


def test_loading_the_canonical_document_again_gives_the_same_pipeline() -> None:
    pipeline = load_text(MARKET_RESEARCH)

    assert load_value(pipeline.document) == pipeline


def test_the_value_that_is_loaded_is_copied() -> None:
    written = document(stage(inputs={"a": [1]}))
    pipeline = load_value(written)
    written["stages"][0]["inputs"]["a"].append(2)

    assert pipeline.stages[0].inputs == {"a": [1]}


def test_all_problems_of_a_yaml_document_come_at_once_with_their_lines() -> None:
    text = """\
name: p
timeout: 5 minutes
colour: red
stages:
  - id: a
    needs: [b]
    wroker: w
    worker: w
  - id: b
    worker: w
    inputs:
      x: "${{ stages.c.output }}"
      list:
        - 1
        - "${{ }}"
  - id: b
    worker: w
    id: b
  - {id: c, worker: w,
     retry: {max_attempts: many}}
"""
    assert lines_of(text) == [
        (2, "#/timeout"),
        (3, "#/colour"),
        (7, "#/stages/0/wroker"),
        (15, "#/stages/1/inputs/list/1"),
        (16, "#/stages/2/id"),
        (18, "#/stages/2/id"),
        (20, "#/stages/3/retry/max_attempts"),
    ]


def test_all_problems_of_a_json_document_come_at_once_with_their_lines() -> None:
    text = """\
{
  "name": "p",
  "timeout": "x",
  "stages": [
    {"id": "a", "worker": "w"},
    {"id": "b",
     "worker": "w", "needs": ["a",
       "q"],
     "inputs": {"a/b": "${{ }}"}, "inputs": {"a/b": "${{ }}"}},
    {"id": "c"}
  ],
  "timeout": "y"
}
"""
    assert lines_of(text) == [
        (8, "#/stages/1/needs/1"),
        (9, "#/stages/1/inputs"),
        (9, "#/stages/1/inputs/a~1b"),
        (10, "#/stages/2"),
        (12, "#/timeout"),
        (12, "#/timeout"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: p\nstages: [", 2, "no YAML"),
        ("name: p\n\tstages: 1", 2, "no YAML"),
        ('{"name": "p",\n "stages": [}', 2, "no JSON"),
        ('{"name": NaN}', 1, "no NaN"),
        ('{"name": "p",\n"budget_usd": 1e999}', 2, "too large"),
        ("a: *nowhere", 1, "no anchor"),
        ("a: &x [*x]", 1, "no anchor"),
        ("--- {}\n--- {}\n", 2, "more than one"),
        ("[a, b]: 1", 1, "key of an object must be text"),
        ("a: " + "[" * 70 + "]" * 70, 1, "deeper than 64"),
        ("{a: " * 70 + "}" * 70, 1, "deeper than 64"),
        (b"name: p\n\xff", 2, "not UTF-8"),
    ],
)
def test_what_is_neither_yaml_nor_json_is_malformed(text: str | bytes, line: int, words: str) -> None:
    with pytest.raises(Malformed) as caught:
        load_text(text)

    assert words in caught.value.detail
    assert caught.value.problems[0].line == line


@pytest.mark.parametrize("text", ["", "   \n", "# only a comment", "- a\n- b", "word", "[1, 2]", "null", "12"])
def test_a_document_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidDocument, match="Expected an object with name and stages"):
        load_text(text)


def test_yaml_is_read_by_the_core_schema_of_version_1_2() -> None:
    text = (
        "name: p\nstages: [{id: a, worker: w, inputs: {a: no, b: on, c: 0o17, d: 017, e: 1_000, f: 2001-01-01, "
        "g: ~, h: .5, i: +12, j: 'null', k: !!str 12, l: 1:30, m: True, n: yes, o: 0x1F, p: 1e3, q: }}]"
    )

    assert load_text(text).stages[0].inputs == {
        "a": "no",
        "b": "on",
        "c": 15,
        "d": 17,
        "e": "1_000",
        "f": "2001-01-01",
        "g": None,
        "h": 0.5,
        "i": 12,
        "j": "null",
        "k": "12",
        "l": "1:30",
        "m": True,
        "n": "yes",
        "o": 31,
        "p": 1000.0,
        "q": None,
    }


def test_aliases_are_read_and_their_growth_is_bounded() -> None:
    shared = "name: p\nstages:\n - {id: a, worker: w, inputs: &i {x: [1]}}\n - {id: b, worker: w, inputs: *i}\n"
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )

    assert load_text(shared).stages[1].inputs == {"x": [1]}
    with pytest.raises(Malformed, match="grows beyond 250000 values"):
        load_text(laughs)


def test_poison_in_text_is_found_behind_its_escapes() -> None:
    yaml = (
        "name: p\nstages:\n - id: a\n   worker: w\n   inputs:\n"
        '     x: "\\0"\n     y: "\\ud800"\n     z: 99999999999999999999\n'
    )
    body = (
        '{"name": "p", "stages": [{"id": "a", "worker": "w", "inputs":\n'
        '{"x": "\\u0000", "y": "\\ud800", "z": 99999999999999999999}}]}'
    )

    assert lines_of(yaml) == [(line, f"#/stages/0/inputs/{key}") for line, key in ((6, "x"), (7, "y"), (8, "z"))]
    assert lines_of(body) == [(2, f"#/stages/0/inputs/{key}") for key in "xyz"]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    body = json.dumps(document(stage(inputs={"x": "\\u0000", "n": 1234567890123456789})))

    assert load_text(body).stages[0].inputs == {"x": "\\u0000", "n": 1234567890123456789}


def test_documents_beyond_the_bounds_are_too_large() -> None:
    with pytest.raises(TooLarge, match=str(DOCUMENT_BYTES_MAX)):
        load_text(b" " * (DOCUMENT_BYTES_MAX + 1))
    with pytest.raises(TooLarge, match="write large documents as JSON"):
        load_text("a: b" + " " * YAML_BYTES_MAX)
    with pytest.raises(TooLarge):
        load_value(document(stage(inputs={"x": "x" * DOCUMENT_BYTES_MAX})))


def test_more_than_20000_stages_are_refused() -> None:
    found = problems_of(document(*(stage(f"s{number}") for number in range(20_001))))

    assert list(found) == ["#/stages"]
    assert "at most 20000 items" in found["#/stages"]


def test_the_list_of_problems_is_bounded() -> None:
    many = document(*(stage(f"s{number}", needs=["nowhere", "never"]) for number in range(1000)))

    with pytest.raises(InvalidDocument) as caught:
        load_value(many)

    assert len(caught.value.problems) == PROBLEMS_MAX + 1
    assert "more than 1000 problems" in caught.value.problems[0].detail


def test_the_amount_of_cel_in_a_document_is_bounded_and_equal_expressions_count_once() -> None:
    long = "${{ " + "1 + " * 400 + "NUMBER }}"
    equal = [stage(f"s{number}", inputs={"x": long.replace("NUMBER", "7")}) for number in range(500)]
    distinct = [stage(f"s{number}", inputs={"x": long.replace("NUMBER", str(number))}) for number in range(160)]

    assert len(load_value(document(*equal)).stages) == 500
    found = problems_of(document(*distinct))
    assert list(found) == [f"#/stages/{number}/inputs/x" for number in range(156, 160)]
    assert "more than 250000 characters" in found["#/stages/156/inputs/x"]


def test_a_document_of_10002_stages_gives_the_whole_graph() -> None:
    middle = [stage(f"s{n}", inputs={"x": "${{ stages.first.output.items }}", "n": n}) for n in range(10_000)]
    last = stage("last", needs=[f"s{n}" for n in range(10_000)])

    pipeline = load_text(json.dumps(document(stage("first"), *middle, last)))

    assert len(pipeline.stages) == 10_002
    assert all(each.needs == ("first",) for each in pipeline.stages[1:-1])
    assert pipeline.stages[-1].needs == tuple(f"s{n}" for n in range(10_000))
    order = topological_order(pipeline.stages)
    assert (order[0], order[-1]) == ("first", "last")


def test_a_chain_of_20000_stages_loads_and_as_a_circle_is_refused() -> None:
    chain = [stage("s0"), *(stage(f"s{n}", needs=[f"s{n - 1}"]) for n in range(1, 20_000))]
    assert len(load_value(document(*chain)).stages) == 20_000

    chain[0]["needs"] = ["s19999"]
    assert list(problems_of(document(*chain))) == ["#/stages/0/needs/0"]
