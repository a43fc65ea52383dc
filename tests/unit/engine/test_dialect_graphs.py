"""Random graphs in each dialect are executed in an order that a graph library accepts, with the results it predicts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import networkx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewright.app.runtime import Runtime
from stagewright.app.settings import load_settings
from stagewright.protocol.bodies import ExecuteBody

EXAMPLES = 25
END_S = 20.0

Execute = Callable[[dict[str, Any], dict[str, Any]], tuple[dict[str, Any], list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    """Execute a document on a node of its own; return the execution and its events."""
    with asyncio.Runner() as runner:
        fatal: list[BaseException] = []
        runtime = Runtime(load_settings({}, {"data": tmp_path_factory.mktemp("graphs")}), fatal.append)
        runner.run(runtime.start())

        async def perform(document: dict[str, Any], parameters: dict[str, Any]) -> Any:
            final = asyncio.get_running_loop().create_future()
            body = ExecuteBody.model_validate({"pipeline": document, "parameters": parameters})
            submitted = await runtime.service.execute(body, final=final)
            await asyncio.wait_for(final, END_S)
            views = runtime.service.views
            shown = await views.execution(submitted.execution_id)
            return shown, await views.events(submitted.execution_id, 0, 1_000)

        yield lambda document, parameters: runner.run(perform(document, parameters))
        runner.run(runtime.stop())
        assert not fatal


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> networkx.DiGraph:
    size = draw(st.integers(1, 8))
    graph = networkx.DiGraph()
    graph.add_nodes_from(f"n-{number}" for number in range(size))
    for late in range(size):
        for early in range(late):
            if draw(st.booleans()):
                graph.add_edge(f"n-{early}", f"n-{late}")
    return graph


def check_order(graph: networkx.DiGraph, events: list[dict[str, Any]]) -> None:
    begun = {event["stage_id"]: event["seq"] for event in events if event["type"] == "stage.started"}
    done = {event["stage_id"]: event["seq"] for event in events if event["type"] == "stage.completed"}
    assert set(begun) == set(done) == set(graph)
    assert all(done[early] < begun[late] for early, late in graph.edges)


def outputs_of(execution: dict[str, Any]) -> dict[str, Any]:
    assert execution["status"] == "completed", execution["error"]
    return {stage["stage_id"]: _plain(stage["output"]) for stage in execution["stages"]}


def _plain(output: Any) -> Any:
    return orjson.loads(output) if isinstance(output, str) else output


@settings(max_examples=EXAMPLES)
@given(graph=acyclic_graphs(), backwards=st.booleans(), names_needs=st.booleans())
def test_a_workflow_with_its_nodes_in_any_order(
    execute: Execute, graph: networkx.DiGraph, backwards: bool, names_needs: bool
) -> None:
    order = list(graph)[::-1] if backwards else list(graph)
    nodes = [
        {
            "id": name,
            "agent": "probe",
            "dependsOn": list(graph.predecessors(name)) if names_needs else [],
            "config": {
                "name": name,
                "before": [f"{{{{nodes.{need}.output.name}}}}" for need in graph.predecessors(name)],
                "said": " ".join(f"{{{{nodes.{need}.output.name}}}}!" for need in graph.predecessors(name)),
            },
        }
        for name in order
    ]

    execution, events = execute({"name": "random", "nodes": nodes}, {})

    check_order(graph, events)
    assert outputs_of(execution) == {
        name: {
            "name": name,
            "before": list(graph.predecessors(name)),
            "said": " ".join(f"{need}!" for need in graph.predecessors(name)),
        }
        for name in graph
    }


@settings(max_examples=EXAMPLES)
@given(graph=acyclic_graphs(), silent=st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_plan_whose_steps_say_what_they_need_or_follow_each_other(
    execute: Execute, graph: networkx.DiGraph, silent: list[bool]
) -> None:
    names = list(graph)
    expected = networkx.DiGraph()
    expected.add_nodes_from(names)
    steps = []
    for number, name in enumerate(names):
        step: dict[str, Any] = {"name": name, "tool": "probe", "inputs": {"n": number}}
        needs = [names[number - 1]] if silent[number] and number else list(graph.predecessors(name))
        if not silent[number]:
            step["needs"] = needs
        elif not number:
            needs = []
        expected.add_edges_from((need, name) for need in needs)
        steps.append(step)

    execution, events = execute({"goal": "random", "steps": steps}, {})

    check_order(expected, events)
    assert outputs_of(execution) == {name: {"n": number} for number, name in enumerate(names)}


@settings(max_examples=EXAMPLES)
@given(numbers=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_a_master_template_with_gaps_and_equal_numbers(execute: Execute, numbers: list[int]) -> None:
    stages = [{"stage": number, "worker": "probe", "params": {"place": place}} for place, number in enumerate(numbers)]
    graph, ids = networkx.DiGraph(), {}
    for place, number in enumerate(numbers):
        earlier = numbers[:place].count(number)
        ids[place] = f"s{number}-probe" + (f"-{earlier + 1}" if earlier else "")
    graph.add_nodes_from(ids.values())
    graph.add_edges_from((ids[early], ids[late]) for early in ids for late in ids if numbers[early] < numbers[late])

    execution, events = execute(
        {"template_id": "t", "template_name": "random", "pipeline_stages": stages}, {"topic": "tides"}
    )

    check_order(graph, events)
    expected: dict[str, Any] = {}
    for name in networkx.topological_sort(graph):
        place = next(place for place in ids if ids[place] == name)
        previous = {need: expected[need] for need in graph.predecessors(name)}
        expected[name] = {"topic": "tides", "place": place, "previous": previous}
    assert outputs_of(execution) == expected
    waits_for = {stage["stage_id"]: set(stage["needs"]) for stage in execution["stages"]}
    assert waits_for == {
        ids[late]: {ids[each] for each in ids if numbers[each] == max(below)} if below else set()
        for late in ids
        for below in [[number for number in numbers if number < numbers[late]]]
    }
