"""A pipeline made ready to run: its plan and its compiled inputs, shared by all executions of one definition."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stagewright.definitions import Template, load_value
from stagewright.definitions.dialects import place_in
from stagewright.model.errors import Invalid, Problem
from stagewright.model.pipeline import Pipeline, Stage
from stagewright.model.plan import Plan, make_plan
from stagewright.ports.channel import WorkerFacts

BOUND_PIPELINES_MAX = 256


@dataclass(slots=True)
class Bound:
    """A definition with all that can be known before an execution.

    `templates` are the inputs by stage id; `conditions` the `when` of those stages that may be skipped, `lists` the
    `for_each` of mapped ones.
    """

    pipeline: Pipeline
    plan: Plan
    templates: Mapping[str, Template]
    conditions: Mapping[str, Template] = field(default_factory=dict)
    lists: Mapping[str, Template] = field(default_factory=dict)


class Binder:
    """Makes and keeps the bound form of definitions, by digest."""

    def __init__(self, facts: Callable[[str], WorkerFacts | None], names: Callable[[], tuple[str, ...]]) -> None:
        self._facts = facts
        self._names = names
        self._kept: OrderedDict[str, Bound] = OrderedDict()

    def bind(self, pipeline: Pipeline) -> Bound:
        """Return the bound form of a pipeline that passed its checks."""
        bound = self._kept.get(pipeline.digest)
        if bound is None:
            templates = {stage.id: Template.compile(stage.inputs) for stage in pipeline.stages}
            plan = make_plan(pipeline, lambda stage: self._is_direct(stage, templates[stage.id]))
            conditions = {s.id: Template.compile(s.when) for s in pipeline.stages if s.when is not True}
            lists = {s.id: Template.compile(s.for_each) for s in pipeline.stages if plan.stages[s.id].is_map}
            bound = self._kept[pipeline.digest] = Bound(pipeline, plan, templates, conditions, lists)
            if len(self._kept) > BOUND_PIPELINES_MAX:
                self._kept.popitem(last=False)
        return bound

    def kept(self, digest: str) -> Bound | None:
        """Return a bound form that was made before."""
        return self._kept.get(digest)

    def bind_document(self, document: Mapping[str, object]) -> Bound:
        """Bind a snapshot from the database; it was checked when it came in."""
        return self.bind(load_value(document))

    def check_workers(self, pipeline: Pipeline) -> None:
        """Refuse a pipeline whose workers or actions nobody has registered; names the stages and what there is."""
        problems = [
            problem
            for index, stage in enumerate(pipeline.stages)
            if stage.worker is not None and (problem := self._problem_of(index, stage)) is not None
        ]
        if problems:
            placed = [Problem(each.detail, place_in(pipeline.document, each.pointer)) for each in problems]
            raise Invalid(f"Pipeline '{pipeline.name}' needs workers that are not there", placed)

    def _problem_of(self, index: int, stage: Stage) -> Problem | None:
        assert stage.worker is not None
        facts = self._facts(stage.worker)
        if facts is None:
            there = ", ".join(sorted(self._names())[:20])
            detail = f"No worker named '{stage.worker}' is registered (stage '{stage.id}'). There are: {there}"
            return Problem(detail, f"#/stages/{index}/worker")
        if stage.worker_version is not None and stage.worker_version != facts.version:
            detail = f"Worker '{stage.worker}' has version {facts.version}; stage '{stage.id}' asks for "
            return Problem(
                f"{detail}{stage.worker_version}: install that version or change the stage", f"#/stages/{index}/version"
            )
        if stage.action is not None and stage.action not in facts.actions:
            there = ", ".join(facts.actions)
            detail = f"Worker '{stage.worker}' has no action '{stage.action}' (stage '{stage.id}'). It has: {there}"
            return Problem(detail, f"#/stages/{index}/action")
        return None

    def _is_direct(self, stage: Stage, template: Template) -> bool:
        if stage.worker is None or not template.is_constant:
            return False
        if stage.when is not True and stage.for_each is None:  # items have no condition of their own
            return False
        facts = self._facts(stage.worker)
        return facts is not None and facts.is_direct
