"""Documents of other systems load as they are written, and what is wrong is told where it was written."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.definitions import Template, dialect_of, load_text, load_value, topological_order
from stagewright.definitions.dialects import place_in
from stagewright.model.errors import InvalidDocument

COURSE = {
    "template_id": "t-1",
    "template_name": "course_creation",
    "pipeline_stages": '[{"stage": 1, "worker": "bitware-content-granulator", "template_ref": "course_v1"}]',
}


def template(*stages: dict[str, Any]) -> dict[str, Any]:
    return {"template_id": "t", "template_name": "t", "pipeline_stages": list(stages)}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"goal": "Try it out", "steps": list(steps)}


def step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "tool": "probe", "inputs": {}, **more}


def workflow(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"name": "scan", "nodes": list(nodes)}


def node(id: str, *depends_on: str, **config: Any) -> dict[str, Any]:
    return {"id": id, "agent": "probe", "dependsOn": list(depends_on), "config": config}


def problems_of(document: Any) -> dict[str, str]:
    """Return what is wrong by pointer; where one place has two problems they are joined."""
    with pytest.raises(InvalidDocument) as caught:
        load_value(document)
    told: dict[str, str] = {}
    for problem in caught.value.problems:
        told[problem.pointer] = (
            f"{told[problem.pointer]} {problem.detail}" if problem.pointer in told else problem.detail
        )
    return told


# --- master templates -----------------------------------------------------------------------------------------------


def test_a_master_template_with_its_stages_as_text_loads_without_change() -> None:
    pipeline = load_value(COURSE)

    assert pipeline.name == "course_creation"
    assert pipeline.document == COURSE
    (only,) = pipeline.stages
    assert (only.id, only.worker) == ("s1-bitware-content-granulator", "bitware-content-granulator")
    assert (only.template_ref, only.needs) == ("course_v1", ())


def test_the_snapshot_loads_again_to_the_same_pipeline() -> None:
    for document in (COURSE, plan(step("a"), step("b")), workflow(node("b", "a"), node("a"))):
        first = load_value(document)
        assert load_value(first.document) == first
        assert load_text(json.dumps(document)).digest == first.digest


def test_equal_numbers_run_side_by_side_and_wait_for_all_of_the_number_before() -> None:
    pipeline = load_value(
        template(
            {"stage": 7, "worker": "last"},
            {"stage": 1, "worker": "a"},
            {"stage": 3, "worker": "b"},
            {"stage": 3, "worker": "b"},
            {"stage": 3, "worker": "b"},
        )
    )

    assert {stage.id: stage.needs for stage in pipeline.stages} == {
        "s1-a": (),
        "s3-b": ("s1-a",),
        "s3-b-2": ("s1-a",),
        "s3-b-3": ("s1-a",),
        "s7-last": ("s3-b", "s3-b-2", "s3-b-3"),
    }


def test_a_stage_is_given_the_parameters_over_them_its_own_and_the_outputs_of_all_before() -> None:
    pipeline = load_value(
        template(
            {"stage": 1, "worker": "a"},
            {"stage": 2, "worker": "b"},
            {"stage": 3, "worker": "c", "params": {"depth": "deep", "previous": "no"}},
        )
    )
    scope = {
        "parameters": {"topic": "tides", "depth": "quick"},
        "stages": {"s1-a": {"output": 1}, "s2-b": {"output": {"x": 2}}},
    }

    assert Template.compile(pipeline.stages[0].inputs).render(scope) == {**scope["parameters"], "previous": {}}
    assert Template.compile(pipeline.stages[2].inputs).render(scope) == {
        "topic": "tides",
        "depth": "deep",
        "previous": {"s1-a": 1, "s2-b": {"x": 2}},
    }


def test_all_that_is_wrong_with_a_master_template_is_told_at_once() -> None:
    told = problems_of(
        template(
            {"stage": "1", "worker": "a"},
            {"stage": 2, "workr": "b"},
            {"stage": 2, "worker": "not a name"},
            {"stage": 2, "worker": "c", "params": []},
        )
    )

    assert set(told) == {
        "#/pipeline_stages/0/stage",
        "#/pipeline_stages/1/worker",
        "#/pipeline_stages/1/workr",
        "#/pipeline_stages/2/worker",
        "#/pipeline_stages/3/params",
    }


def test_what_is_wrong_inside_a_text_of_stages_points_to_the_text_and_says_where_in_it() -> None:
    told = problems_of({**COURSE, "pipeline_stages": '[{"stage": 1}, {"stage": 2, "worker": "not a name"}]'})

    assert set(told) == {"#/pipeline_stages"}
    assert "In this text, at /0/worker: The field worker is missing" in told["#/pipeline_stages"]
    assert "In this text, at /1/worker: Expected a name" in told["#/pipeline_stages"]


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[{]", '{"stage": 1}', "[]", "null", '[{"stage": 1, "worker": "\\u0000"}]']
)
def test_a_text_that_is_no_list_of_stages_is_refused(text: str) -> None:
    assert list(problems_of({**COURSE, "pipeline_stages": text})) == ["#/pipeline_stages"]


def test_a_template_whose_stages_would_hand_on_too_much_is_refused() -> None:
    many = [{"stage": 1 + number // 600, "worker": "w"} for number in range(1200)]

    assert "more than 250000" in problems_of(template(*many))["#/pipeline_stages"]


# --- plans ----------------------------------------------------------------------------------------------------------


def test_the_literal_plan_loads() -> None:
    pipeline = load_value(
        {
            "goal": "Generate test documentation",
            "steps": [
                {
                    "name": "generate_hello_world",
                    "tool": "codegen",
                    "inputs": {"prompt": "Write a simple Hello World README.md file", "topic": "Test Documentation"},
                }
            ],
        }
    )

    assert (pipeline.name, pipeline.description) == ("generate-test-documentation", "Generate test documentation")
    (only,) = pipeline.stages
    assert (only.id, only.worker) == ("generate_hello_world", "codegen")
    assert only.inputs == {"prompt": "Write a simple Hello World README.md file", "topic": "Test Documentation"}


def test_steps_follow_each_other_unless_they_say_what_they_need() -> None:
    pipeline = load_value(plan(step("a"), step("b"), step("c", needs=["a"]), step("d", needs=[]), step("e")))

    needs = {stage.id: stage.needs for stage in pipeline.stages}
    assert needs == {"a": (), "b": ("a",), "c": ("a",), "d": (), "e": ("d",)}


def test_names_that_cannot_be_ids_are_made_into_some_and_still_found() -> None:
    pipeline = load_value(
        plan(
            step("Write README!"),
            step("write readme", needs=[]),
            step("last", needs=["Write README!"], inputs={"text": "{{ steps['Write README!'].output.text }}"}),
        )
    )

    assert [stage.id for stage in pipeline.stages] == ["write-readme", "write-readme-2", "last"]
    assert pipeline.stages[2].needs == ("write-readme",)


def test_all_that_is_wrong_with_a_plan_is_told_at_once() -> None:
    told = problems_of(
        plan(
            step("a", needs=["b"]),
            step("b", needs=["a", "bb"]),
            {"name": "z", "tool": "probe", "input": {}, "needs": []},
            {"name": "c", "inputs": []},
            step("e", inputs={"x": ["{{steps.a}}"]}),
            step("z"),
        )
    )

    assert "a → b → a" in told["#/steps/0/needs/0"]
    assert told["#/steps/1/needs/1"].startswith('There is no step "bb" (did you mean b?)')
    assert set(told) == {
        "#/steps/0/needs/0",
        "#/steps/1/needs/1",
        "#/steps/2/input",
        "#/steps/3/tool",
        "#/steps/3/inputs",
        "#/steps/4/inputs/x/0",
        "#/steps/5/name",
    }


# --- workflows ------------------------------------------------------------------------------------------------------


def test_nodes_may_stand_in_any_order_and_refer_to_each_other() -> None:
    pipeline = load_value(
        workflow(
            node("notify-node", "scan-node", action="echo", text="{{nodes.scan-node.output.a}}", to="x@y.org"),
            node("scan-node", action="count", to="{{ inputs.count }}"),
        )
    )

    notify, scan = pipeline.stages
    assert topological_order(pipeline.stages) == ("scan-node", "notify-node")
    assert (notify.action, notify.needs) == ("echo", ("scan-node",))
    scope = {"parameters": {"count": 3}, "stages": {"scan-node": {"output": {"a": [1]}}}}
    assert Template.compile(notify.inputs).render(scope) == {"text": [1], "to": "x@y.org"}
    assert Template.compile(scan.inputs).render(scope) == {"to": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{nodes.a.output}}", {"list": [{"k-1": 5}], "t": "x"}),
        ("{{ nodes.a.output.list.0.k-1 }}", 5),
        ("{{nodes.a.output.list[0]['k-1']}}", 5),
        ("{{nodes['a'].output.t}}", "x"),
        ("{{nodes.a.status}}", "completed"),
        ("{{nodes.b.c.output.v}}", True),
        ("found {{nodes.a.output.list[0].k-1}} in ${{nodes.a.output.t}}", "found 5 in $x"),
        ("${{ secrets.TOKEN }} and {{ .Labels }} and {{node}}", "${{ secrets.TOKEN }} and {{ .Labels }} and {{node}}"),
        ("${{", "${{"),
    ],
)
def test_references_between_nodes(text: str, expected: Any) -> None:
    pipeline = load_value(workflow(node("a"), node("b.c"), node("z", text=text)))

    outputs = {"a": {"list": [{"k-1": 5}], "t": "x"}, "b.c": {"v": True}}
    scope = {"stages": {name: {"output": value, "status": "completed"} for name, value in outputs.items()}}
    assert Template.compile(pipeline.stages[2].inputs).render(scope) == {"text": expected}


def test_all_that_is_wrong_with_a_workflow_is_told_at_once() -> None:
    told = problems_of(
        workflow(
            node("a", "b", "x"),
            node("b", "a", text="{{nodes.c.outputs.y}}"),
            node("b", text="{{nodes.cc.output}}"),
            {"id": "c", "dependson": []},
            {"id": "not a name", "agent": "probe", "dependsOn": [1]},
            {**node("d", same=1), "inputs": {"same": 2}},
        )
    )

    assert "a → b → a" in told["#/nodes/0/dependsOn/0"]
    assert "did you mean output?" in told["#/nodes/1/config/text"]
    assert "did you mean dependsOn?" in told["#/nodes/3/dependson"]
    assert set(told) == {
        "#/nodes/0/dependsOn/0",
        "#/nodes/0/dependsOn/1",
        "#/nodes/1/config/text",
        "#/nodes/2/id",
        "#/nodes/2/config/text",
        "#/nodes/3/agent",
        "#/nodes/3/dependson",
        "#/nodes/4/id",
        "#/nodes/4/dependsOn/0",
        "#/nodes/5/inputs/same",
    }


def test_lines_are_those_of_the_original_text() -> None:
    text = "name: w\nnodes:\n  - id: a\n    agent: probe\n    dependsOn:\n      - b\n"

    with pytest.raises(InvalidDocument) as caught:
        load_text(text)
    (problem,) = caught.value.problems
    assert (problem.pointer, problem.line) == ("#/nodes/0/dependsOn/0", 6)


# --- all of them ----------------------------------------------------------------------------------------------------


def test_a_document_is_known_by_the_field_that_only_its_dialect_has() -> None:
    assert dialect_of(COURSE) == "master_template"
    assert dialect_of(plan()) == "plan"
    assert dialect_of(workflow()) == "workflow"
    assert dialect_of({"name": "p", "stages": []}) == "canonical"
    assert dialect_of({}) == "canonical"


def test_a_place_of_the_canonical_form_is_found_in_the_original() -> None:
    assert place_in(workflow(node("a")), "#/stages/0/worker") == "#/nodes/0/agent"
    assert place_in(COURSE, "#/stages/0/worker") == "#/pipeline_stages"
    assert place_in(template({"stage": 2, "worker": "b"}, {"stage": 1, "worker": "a"}), "#/stages/0/worker") == (
        "#/pipeline_stages/1/worker"
    )
    assert place_in({"name": "p", "stages": []}, "#/stages/0/worker") == "#/stages/0/worker"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.sampled_from(["a", "{{nodes.a.output}}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "agent", "tool", "worker", "stage", "dependsOn", "needs", "config", "inputs"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.sampled_from(["pipeline_stages", "steps", "nodes"]), JSON)
def test_no_document_is_answered_with_anything_but_a_pipeline_or_its_problems(mark: str, value: Any) -> None:
    document = {"name": "x", "goal": "x", "template_name": "x", mark: value}
    try:
        pipeline = load_value(document)
    except InvalidDocument as error:
        assert error.problems and all(each.pointer.startswith("#") and each.detail for each in error.problems)
    else:
        assert pipeline.document == document


@st.composite
def graphs(draw: st.DrawFn) -> networkx.DiGraph:
    size = draw(st.integers(2, 9))
    graph = networkx.DiGraph()
    graph.add_nodes_from(f"n{number}" for number in range(size))
    for late in range(size):
        for early in range(size):
            if late != early and draw(st.integers(0, 5)) == 0:
                graph.add_edge(f"n{early}", f"n{late}")
    return graph


@given(graphs(), st.booleans())
def test_a_graph_with_a_cycle_is_refused_with_its_path_and_any_other_is_ordered(
    graph: networkx.DiGraph, is_plan: bool
) -> None:
    names = list(graph)[::-1]
    if is_plan:
        document = plan(*(step(name, needs=list(graph.predecessors(name))) for name in names))
    else:
        document = workflow(*(node(name, *graph.predecessors(name)) for name in names))

    if networkx.is_directed_acyclic_graph(graph):
        order = topological_order(load_value(document).stages)
        assert sorted(order) == sorted(graph)
        assert all(order.index(early) < order.index(late) for early, late in graph.edges)
        return
    groups = [group for group in networkx.strongly_connected_components(graph) if len(group) > 1]
    told = [detail for detail in problems_of(document).values() if "cycle: " in detail]
    paths = [detail.split("cycle: ")[1].split(". ")[0].split(" → ") for detail in told]
    assert {frozenset(path) <= frozenset(group) for path in paths for group in groups if path[0] in group} == {True}
    assert len(paths) == len(groups)
    for path in paths:
        assert path[0] == path[-1]
        assert all(graph.has_edge(need, late) for late, need in pairwise(path))
