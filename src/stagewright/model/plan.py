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


@dataclass(slots=True)
class Plan:
    """The graph of one pipeline version, shared by all its executions; never changed once made."""

    pipeline: Pipeline
    stages: dict[str, PlannedStage]  # in document order
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
    stages = {
        stage.id: PlannedStage(stage, tuple(successors[stage.id]), is_direct(stage), {"worker": stage.worker})
        for stage in pipeline.stages
    }
    return Plan(
        pipeline=pipeline,
        stages=stages,
        need_counts={stage.id: len(stage.needs) for stage in pipeline.stages},
        roots=tuple(stage.id for stage in pipeline.stages if not stage.needs),
        sinks=tuple(stage.id for stage in pipeline.stages if not successors[stage.id]),
        deliverable=next((stage.id for stage in pipeline.stages if stage.deliverable), None),
    )
