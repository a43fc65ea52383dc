"""The graph of a pipeline: order, cycles, layers. Works on anything with an `id` and `needs`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol


class Node(Protocol):
    """What the graph must know of a stage."""

    @property
    def id(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


def topological_order(stages: Sequence[Node]) -> tuple[str, ...]:
    """Return the ids so that every stage comes after all it needs; among equals, in document order.

    ValueError names the cycle if there is one, or a need that is no stage.
    """
    missing = {stage.id: len(set(stage.needs)) for stage in stages}
    followers = followers_of(stages)
    ready = deque(stage.id for stage in stages if not missing[stage.id])
    order: list[str] = []
    while ready:
        done = ready.popleft()
        order.append(done)
        for follower in followers[done]:
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    if len(order) < len(missing):
        cycle = find_cycle(stages)
        assert cycle is not None, "what cannot be ordered has a cycle"
        raise ValueError("the stages need each other in a circle: " + " → ".join(cycle))
    return tuple(order)


def followers_of(stages: Iterable[Node]) -> dict[str, list[str]]:
    """Map each id to the stages that need it, in document order. ValueError for a need that is no stage."""
    every = list(stages)
    followers: dict[str, list[str]] = {stage.id: [] for stage in every}
    for stage in every:
        for need in dict.fromkeys(stage.needs):
            if need not in followers:
                raise ValueError(f"{stage.id} needs {need}, which is no stage")
            followers[need].append(stage.id)
    return followers


def layers_of(stages: Sequence[Node]) -> dict[str, int]:
    """Map each id to the length of the longest way to it from a stage without needs. ValueError for a cycle."""
    needs = {stage.id: stage.needs for stage in stages}
    layers: dict[str, int] = {}
    for id in topological_order(stages):
        layers[id] = max((layers[need] + 1 for need in needs[id]), default=0)
    return layers


def find_cycle(stages: Sequence[Node]) -> tuple[str, ...] | None:
    """Return one cycle as the way from a stage along its needs back to itself, or None: `("a", "b", "a")`."""
    return next(find_cycles(stages), None)


def find_cycles(stages: Sequence[Node]) -> Iterator[tuple[str, ...]]:
    """Yield one shortest cycle for each group of stages that need each other, in document order.

    Needs that are no stage are passed over. The groups are the strongly connected components (Tarjan, "Depth-First
    Search and Linear Graph Algorithms", 1972), found without recursion because a chain may be 20,000 long.
    """
    known = {stage.id for stage in stages}
    needs = {stage.id: [need for need in stage.needs if need in known] for stage in stages}
    position = {stage.id: number for number, stage in enumerate(stages)}
    groups = [sorted(group, key=position.__getitem__) for group in _components(needs)]
    cyclic = [group for group in groups if len(group) > 1 or group[0] in needs[group[0]]]
    for group in sorted(cyclic, key=lambda each: position[each[0]]):
        yield _shortest_cycle(group[0], set(group), needs)


def _shortest_cycle(start: str, group: set[str], needs: dict[str, list[str]]) -> tuple[str, ...]:
    came_from: dict[str, str] = {}
    ahead = deque([start])
    while ahead:
        here = ahead.popleft()
        for need in needs[here]:
            if need == start:
                return _way_back(start, here, came_from)
            if need in group and need not in came_from:
                came_from[need] = here
                ahead.append(need)
    raise AssertionError(f"{start} is in a group without being on a cycle")


def _way_back(start: str, last: str, came_from: dict[str, str]) -> tuple[str, ...]:
    way = [start, last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _components(needs: dict[str, list[str]]) -> Iterator[list[str]]:
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    for root in needs:
        if root in number:
            continue
        work = [(root, iter(needs[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            here, ahead = work[-1]
            for need in ahead:
                if need not in number:
                    number[need] = low[need] = len(number)
                    stack.append(need)
                    on_stack.add(need)
                    work.append((need, iter(needs[need])))
                    break
                if need in on_stack:
                    low[here] = min(low[here], number[need])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == number[here]:
                    yield _pop_until(here, stack, on_stack)


def _pop_until(last: str, stack: list[str], on_stack: set[str]) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != last:
        group.append(stack.pop())
        on_stack.discard(group[-1])
    return group
