"""From a document to a pipeline: what the schema cannot say is checked here, all of it in one go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from typing import Any

import orjson

from stagewright.definitions.expressions import CelBudget, compile_all, is_one_expression
from stagewright.definitions.graph import find_cycles
from stagewright.definitions.parameters import check_parameters_schema, unknown_parameter
from stagewright.definitions.policies import Policies, read_duration, read_policies
from stagewright.definitions.references import Reference
from stagewright.definitions.schema import check_shape, known_fields
from stagewright.definitions.words import did_you_mean, listed, pointer, shown
from stagewright.model.errors import Problem
from stagewright.model.pipeline import (
    EXECUTION_TIMEOUT_US,
    MAX_PARALLEL,
    NONE_TOLERATED,
    Pipeline,
    Stage,
    Tolerance,
)

NOT_RUN_YET: Mapping[str, tuple[str, ...]] = {
    "pipeline": ("on_budget",),
    "stage": (*("repeat", "wait_for", "pipeline", "compensate", "cache", "demand", "sandbox"),),
}
"""Fields that are part of the language and refused by this release. Delete a name here to let it through."""

PROBLEMS_MAX = 1_000  # finding the name that was meant takes time, and nobody reads more

EXECUTION_FIELDS = (*("id", "pipeline", "version", "project_id", "client_id", "request_id", "priority", "created_at"),)
"""What an expression may ask of `execution`."""

_NEEDS_WORKER = (
    *("action", "version", "template_ref", "inputs", "retry", "timeout", "queue_timeout", "silence_timeout"),
    "deliverable",
)


def build(document: Mapping[str, Any]) -> tuple[Pipeline | None, list[Problem]]:
    """Return the pipeline of a document of plain JSON values, or None with everything that is wrong with it."""
    problems = check_shape(document)
    builder = _Builder(document, problems)
    pipeline = builder.build()
    if builder.problems:
        return None, _bounded({(each.pointer, each.detail): each for each in builder.problems}.values())
    return pipeline, []


def _bounded(problems: Collection[Problem]) -> list[Problem]:
    if len(problems) <= PROBLEMS_MAX:
        return list(problems)
    more = Problem(f"There are more than {PROBLEMS_MAX} problems; mend these first.", "#")
    return [more, *islice(problems, PROBLEMS_MAX)]


class _Builder:
    """One pass over a document. Parts without the right shape are passed over: the schema has reported them."""

    def __init__(self, document: Mapping[str, Any], problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems
        self.parameters: Mapping[str, Any] = {"type": "object"}
        stages = document.get("stages")
        self.written: list[Any] = stages if isinstance(stages, list) else []
        self.budget = CelBudget()
        self.positions: dict[str, int] = {}
        self.mapped = {
            stage["id"]
            for stage in self.written
            if isinstance(stage, Mapping) and isinstance(stage.get("id"), str) and "for_each" in stage
        }
        self.places: dict[tuple[str, str], str] = {}  # (stage, need) → pointer of what made the need

    def build(self) -> Pipeline:
        document = self.document
        self._refuse_later(document, "pipeline", "#")
        self._read_parameters()
        self._read_ids()
        defaults = document.get("defaults")
        outer = Policies()
        if isinstance(defaults, Mapping):
            outer = read_policies(defaults, "#/defaults", outer, self.problems)
        stages = tuple(
            self._stage(stage, f"#/stages/{number}", outer)
            for number, stage in enumerate(self.written)
            if isinstance(stage, Mapping)
        )
        self._check_cycles(stages)
        self._check_deliverable()
        canonical = _canonical(document)
        return Pipeline(
            name=str(document.get("name", "")),
            stages=stages,
            description=str(document.get("description", "")),
            parameters=self.parameters,
            timeout_us=read_duration(document, "timeout", "#", EXECUTION_TIMEOUT_US, self.problems),
            budget_usd_micros=_micros(document.get("budget_usd")),
            digest=digest_of(canonical),
            document=canonical,
        )

    def _refuse(self, detail: str, at: str) -> None:
        self.problems.append(Problem(detail, at))

    def _is_full(self) -> bool:
        return len(self.problems) > PROBLEMS_MAX

    def _refuse_later(self, value: Mapping[str, Any], part: str, at: str) -> None:
        for field in NOT_RUN_YET[part]:
            if field in value:
                detail = f"{field} is part of the language but not run by this release; remove it."
                self._refuse(detail, pointer(at, field))

    def _read_parameters(self) -> None:
        schema = self.document.get("parameters")
        if not isinstance(schema, Mapping):
            return
        found = check_parameters_schema(schema, "#/parameters")
        self.problems += found
        if not found:
            self.parameters = schema

    def _read_ids(self) -> None:
        for number, stage in enumerate(self.written):
            id = stage.get("id") if isinstance(stage, Mapping) else None
            if not isinstance(id, str):
                continue
            if id in self.positions:
                first = self.positions[id]
                detail = f"The id {id} is used twice, first by #/stages/{first}; give each stage its own."
                self._refuse(detail, f"#/stages/{number}/id")
            else:
                self.positions[id] = number

    def _stage(self, stage: Mapping[str, Any], at: str, outer: Policies) -> Stage:
        self._refuse_later(stage, "stage", at)
        id = str(stage.get("id", ""))
        inputs, when = stage.get("inputs", {}), stage.get("when", True)
        policies = read_policies(stage, at, outer, self.problems)
        return Stage(
            id=id,
            worker=stage.get("worker"),
            action=stage.get("action"),
            worker_version=stage.get("version"),
            template_ref=stage.get("template_ref"),
            needs=tuple(dict.fromkeys((*self._needs(id, stage, at), *self._implied(id, stage, at)))),
            inputs=inputs,
            retry=policies.retry,
            timeout_us=policies.timeout_us,
            queue_timeout_us=policies.queue_timeout_us,
            silence_timeout_us=policies.silence_timeout_us,
            priority=policies.priority,
            sleep_us=self._sleep(stage, at),
            when=when,
            for_each=stage.get("for_each"),
            max_parallel=_whole(stage.get("max_parallel"), MAX_PARALLEL),
            tolerate=_tolerance(stage.get("tolerate")),
            on_error="continue" if stage.get("on_error") == "continue" else "fail",
            deliverable=stage.get("deliverable") is True,
        )

    def _check_map(self, stage: Mapping[str, Any], at: str) -> None:
        """Refuse what means nothing with, or without, a list to run over."""
        if "for_each" not in stage:
            for field in ("max_parallel", "tolerate"):
                if field in stage:
                    detail = f"{field} means something only in a stage with for_each; add for_each or remove it."
                    self._refuse(detail, pointer(at, field))
            return
        written = stage["for_each"]
        if "worker" not in stage:
            self._refuse("for_each needs a worker in the same stage; add it.", pointer(at, "for_each"))
        if isinstance(written, str) and not is_one_expression(written):
            detail = "Expected a list or one expression that gives one, as in ${{ stages.sources.output.feeds }}."
            self._refuse(detail, pointer(at, "for_each"))

    def _sleep(self, stage: Mapping[str, Any], at: str) -> int | None:
        if "sleep" not in stage:
            return None
        for field in _NEEDS_WORKER:
            if field in stage and "worker" not in stage:
                detail = f"A stage that sleeps calls no worker, so {field} means nothing here; remove it."
                self._refuse(detail, pointer(at, field))
        return read_duration(stage, "sleep", at, 0, self.problems)

    def _needs(self, id: str, stage: Mapping[str, Any], at: str) -> list[str]:
        needs = stage.get("needs", [])
        known: list[str] = []
        for number, need in enumerate(needs if isinstance(needs, list) else []):
            if not isinstance(need, str):
                continue
            place = f"{at}/needs/{number}"
            if need in self.positions:
                known.append(need)
                self.places.setdefault((id, need), place)
            elif need and not self._is_full():
                self._refuse(self._no_stage(need), place)
        return known

    def _no_stage(self, name: str) -> str:
        return f"There is no stage {shown(name)}{did_you_mean(name, self.positions)}; known: {listed(self.positions)}."

    def _implied(self, id: str, stage: Mapping[str, Any], at: str) -> list[str]:
        """Check the expressions of a stage and return the stages that they name."""
        needs: list[str] = []
        self._check_map(stage, at)
        for field in ("when", "for_each", "inputs"):
            if stage.get(field):
                has_item = field == "inputs" and "for_each" in stage
                needs += self._implied_by(id, stage[field], pointer(at, field), has_item=has_item)
        if isinstance(stage.get("when"), str) and not is_one_expression(stage["when"]):
            detail = "Expected true, false or one expression, as in ${{ parameters.depth == 'quick' }}."
            self._refuse(detail, pointer(at, "when"))
        return needs

    def _implied_by(self, id: str, value: Any, at: str, *, has_item: bool) -> list[str]:
        if self._is_full():
            return []
        compiled = compile_all(value, at, self.budget)
        self.problems += compiled.problems
        needs: list[str] = []
        for reference, place in compiled.places:
            if self._is_full():
                break
            detail = self._wrong_reference(reference, has_item=has_item)
            if detail is not None:
                self._refuse(detail, place)
            elif reference.stage is not None:
                needs.append(reference.stage)
                self.places.setdefault((id, reference.stage), place)
        return needs

    def _wrong_reference(self, reference: Reference, *, has_item: bool) -> str | None:
        if reference.root == "parameters":
            return unknown_parameter(self.parameters, reference.path)
        if reference.root in ("item", "index"):
            if has_item:
                return None
            return f"{reference.root} is known only in the inputs of a stage with for_each; this is none."
        if reference.root == "execution":
            name = str(reference.path[0]) if reference.path else ""
            if not name or name in EXECUTION_FIELDS:
                return None
            hint = did_you_mean(name, EXECUTION_FIELDS)
            return f"There is no {name} in execution{hint}; known: {listed(EXECUTION_FIELDS)}."
        assert reference.stage is not None
        if reference.stage not in self.positions:
            return self._no_stage(reference.stage)
        if reference.path[0] == "outputs" and reference.stage not in self.mapped:
            return f"outputs is known only of a stage with for_each; write stages.{reference.stage}.output."
        if reference.path[0] == "output" and reference.stage in self.mapped:
            return f"Stage {reference.stage} has one output for each item; write stages.{reference.stage}.outputs."
        return None

    def _check_cycles(self, stages: tuple[Stage, ...]) -> None:
        unique = list({stage.id: stage for stage in reversed(stages)}.values())
        for cycle in find_cycles(unique[::-1]):
            way = " → ".join(cycle if len(cycle) <= 21 else (*cycle[:20], "…", cycle[-1]))
            detail = f"The stages need each other in a cycle: {way}. Remove one of these needs or references."
            self._refuse(detail, self.places[cycle[0], cycle[1]])

    def _check_deliverable(self) -> None:
        marked = [
            number
            for number, stage in enumerate(self.written)
            if isinstance(stage, Mapping) and stage.get("deliverable") is True
        ]
        for number in marked[1:]:
            detail = f"Only one stage can be the deliverable, and #/stages/{marked[0]} is; remove it here."
            self._refuse(detail, f"#/stages/{number}/deliverable")


def _canonical(document: Mapping[str, Any]) -> dict[str, Any]:
    """Put the fields into the order of the schema; values stay as they are written."""
    canonical = _ordered(document, known_fields())
    canonical.pop("$schema", None)
    stage_fields = known_fields("stages", 0)
    stages = canonical.get("stages")
    if isinstance(stages, list):
        canonical["stages"] = [_ordered(s, stage_fields) if isinstance(s, Mapping) else s for s in stages]
    return canonical


def _ordered(value: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    return {field: value[field] for field in fields if field in value}


def digest_of(document: Mapping[str, Any]) -> str:
    """Return `sha256:` and the digest of the canonical JSON bytes; equal for equal documents in any key order."""
    return "sha256:" + sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _whole(value: Any, default: int) -> int:
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value >= 1
    return int(value) if is_whole else default


def _tolerance(value: Any) -> Tolerance:
    if not isinstance(value, Mapping):
        return NONE_TOLERATED
    failed, ratio = value.get("failed"), value.get("failed_ratio")
    return Tolerance(
        int(failed) if isinstance(failed, int | float) else None,
        float(ratio) if isinstance(ratio, int | float) else None,
    )


def _micros(budget_usd: Any) -> int | None:
    if isinstance(budget_usd, bool) or not isinstance(budget_usd, int | float) or abs(budget_usd) > 1e12:
        return None
    return int((Decimal(str(budget_usd)) * 1_000_000).to_integral_value())
