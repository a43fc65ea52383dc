"""Order and cycles, against networkx on random graphs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.definitions.graph import find_cycle, find_cycles, layers_of, topological_order


@dataclass(frozen=True)
class Node:
    id: str
    needs: tuple[str, ...]


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool) -> list[Node]:
    size = draw(st.integers(0, 14))
    ids = draw(st.permutations([f"n{number}" for number in range(size)]))
    nodes = []
    for number, id in enumerate(ids):
        allowed = ids[:number] if acyclic else ids
        needs = draw(st.lists(st.sampled_from(allowed), max_size=3)) if allowed else []
        nodes.append(Node(id, tuple(needs)))
    return list(draw(st.permutations(nodes)))


def as_networkx(nodes: list[Node]) -> networkx.DiGraph:
    graph = networkx.DiGraph()
    graph.add_nodes_from(node.id for node in nodes)
    graph.add_edges_from((need, node.id) for node in nodes for need in node.needs)
    return graph


@given(graphs(acyclic=True))
def test_every_stage_comes_after_what_it_needs(nodes: list[Node]) -> None:
    order = topological_order(nodes)

    position = {id: number for number, id in enumerate(order)}
    assert sorted(order) == sorted(node.id for node in nodes)
    assert all(position[need] < position[node.id] for node in nodes for need in node.needs)
    assert find_cycle(nodes) is None


@given(graphs(acyclic=True))
def test_layers_are_those_of_the_longest_way(nodes: list[Node]) -> None:
    expected = {
        id: layer for layer, ids in enumerate(networkx.topological_generations(as_networkx(nodes))) for id in ids
    }

    assert layers_of(nodes) == expected


@given(graphs(acyclic=False))
def test_one_cycle_is_found_for_each_group_of_stages_that_need_each_other(nodes: list[Node]) -> None:
    graph = as_networkx(nodes)
    groups = [
        group
        for group in networkx.strongly_connected_components(graph)
        if len(group) > 1 or any(graph.has_edge(id, id) for id in group)
    ]

    cycles = list(find_cycles(nodes))

    assert len(cycles) == len(groups)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        # The arrow goes from a stage to what it needs, against the direction of the data.
        assert all(graph.has_edge(need, id) for id, need in pairwise(cycle))


@given(graphs(acyclic=False))
def test_a_cycle_is_found_exactly_where_there_is_one(nodes: list[Node]) -> None:
    assert (find_cycle(nodes) is None) == networkx.is_directed_acyclic_graph(as_networkx(nodes))


def test_among_equals_the_order_of_the_document_holds() -> None:
    nodes = [Node("z", ()), Node("a", ()), Node("m", ("z",)), Node("b", ("a",))]

    assert topological_order(nodes) == ("z", "a", "m", "b")


def test_a_workflow_whose_stages_come_in_reverse_order_is_ordered() -> None:
    nodes = [Node("c", ("b",)), Node("b", ("a",)), Node("a", ())]

    assert topological_order(nodes) == ("a", "b", "c")


def test_ordering_a_cycle_names_it() -> None:
    with pytest.raises(ValueError, match="a → b → a"):
        topological_order([Node("a", ("b",)), Node("b", ("a",))])


def test_a_need_that_is_no_stage_is_named() -> None:
    with pytest.raises(ValueError, match="a needs x, which is no stage"):
        topological_order([Node("a", ("x",))])
