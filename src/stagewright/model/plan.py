"""Pipeline + facts about workers → plan: what each step waits for, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stagewright.model.pipeline import Pipeline, Stage


@dataclass(slots=True)
class PlannedStage:
    """A stage with its successors. A direct one needs no resolving and no slot: it starts when its needs are done."""

    stage: Stage
    successors: tuple[str, ...]
    is_direct: bool
    started: dict[str, Any]  # the data of its `stage.started`, the same for every attempt
    is_map: bool = False  # it has a parent step and one step per item
    is_item: bool = False  # this is the plan of the items' steps


class StageTable(dict[str, PlannedStage]):
    """Stages by id, in document order; the name of an item's step (`fetch[17]`) leads to the plan of those."""

    items_of: dict[str, PlannedStage]

    def __missing__(self, step: str) -> PlannedStage:
        stage, bracket, _ = step.partition("[")
        if not bracket:
            raise KeyError(step)
        return self.items_of[stage]


@dataclass(slots=True)
class Plan:
    """The graph of one pipeline version, shared by all its executions; never changed once made."""

    pipeline: Pipeline
    stages: StageTable
    need_counts: dict[str, int]
    roots: tuple[str, ...]
    sinks: tuple[str, ...]
    deliverable: str | None  # the stage whose output and artifacts answer the request


def make_plan(pipeline: Pipeline, is_direct: Callable[[Stage], bool]) -> Plan:
    """Derive the graph; `is_direct` says whether a stage may start with nothing to resolve or to acquire."""
    successors: dict[str, list[str]] = {stage.id: [] for stage in pipeline.stages}
    for stage in pipeline.stages:
        for need in stage.needs:
            successors[need].append(stage.id)
    stages = StageTable()
    stages.items_of = {}
    for stage in pipeline.stages:
        started, is_map = {"worker": stage.worker}, stage.for_each is not None
        direct = is_direct(stage)
        after = tuple(successors[stage.id])
        stages[stage.id] = PlannedStage(stage, after, direct and not is_map, started, is_map)
        if is_map:
            stages.items_of[stage.id] = PlannedStage(stage, (), direct, started, is_item=True)
    return Plan(
        pipeline=pipeline,
        stages=stages,
        need_counts={stage.id: len(stage.needs) for stage in pipeline.stages},
        roots=tuple(stage.id for stage in pipeline.stages if not stage.needs),
        sinks=tuple(stage.id for stage in pipeline.stages if not successors[stage.id]),
        deliverable=next((stage.id for stage in pipeline.stages if stage.deliverable), None),
    )
