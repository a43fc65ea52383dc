"""Where the stages of a graph stand in a drawing: columns by longest way, rows so that few edges cross.

The layered method of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System
Structures", 1981): edges over several columns pass through invisible points, and rows are ordered by the mean
position of the neighbours, forth and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stagewright.definitions.graph import Node, layers_of

SWEEPS = 6
POINTS_MAX = 5_000  # invisible points; beyond it, long edges go straight

Place = tuple[str, str, int]  # a stage as (id, "", column), or the point of an edge as (from, to, column)


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns from left to right, each from top to bottom, and the way of every edge through them."""

    columns: tuple[tuple[Place, ...], ...]
    ways: tuple[tuple[Place, ...], ...]  # first and last are stages


def lay_out(stages: Sequence[Node]) -> Layout:
    """Arrange stages without a cycle; the same for the same stages. ValueError for a cycle."""
    layers = layers_of(stages)
    columns: list[list[Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for stage in stages:
        columns[layers[stage.id]].append(_stage(stage.id, layers))
    ways: list[tuple[Place, ...]] = []
    points_left = POINTS_MAX
    for stage in stages:
        for need in dict.fromkeys(stage.needs):
            first, last = layers[need], layers[stage.id]
            points: list[Place] = []
            if last - first - 1 <= points_left:
                points = [(need, stage.id, column) for column in range(first + 1, last)]
            points_left -= len(points)
            for point in points:
                columns[point[2]].append(point)
            ways.append((_stage(need, layers), *points, _stage(stage.id, layers)))
    _sort_rows(columns, ways)
    return Layout(tuple(tuple(column) for column in columns), tuple(ways))


def _stage(id: str, layers: Mapping[str, int]) -> Place:
    return (id, "", layers[id])


def _sort_rows(columns: list[list[Place]], ways: Sequence[tuple[Place, ...]]) -> None:
    before: dict[Place, list[Place]] = {}
    after: dict[Place, list[Place]] = {}
    for way in ways:
        for left, right in pairwise(way):
            after.setdefault(left, []).append(right)
            before.setdefault(right, []).append(left)
    rows = {place: _centred(row, column) for column in columns for row, place in enumerate(column)}
    for sweep in range(SWEEPS):
        is_forth = sweep % 2 == 0
        neighbours = before if is_forth else after
        for column in columns if is_forth else reversed(columns):
            column.sort(key=lambda place: _mean(neighbours.get(place, ()), rows, rows[place]))
            rows.update((place, _centred(row, column)) for row, place in enumerate(column))


def _centred(row: int, column: Sequence[Place]) -> float:
    return row - (len(column) - 1) / 2


def _mean(places: Sequence[Place], rows: Mapping[Place, float], own: float) -> float:
    return sum(rows[place] for place in places) / len(places) if places else own
