"""A step's inputs: rendered from parameters and outputs, at once if all is inline, else after loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from stagewright.definitions import ExpressionError, NeedsData, Template
from stagewright.engine.actor import Actor
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost, TooLarge, Trouble
from stagewright.model.execution import Execution, Failure
from stagewright.ports.evaluator import Answer, Question
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Store

WORK_MAX = EngineSettings().expression_inline_work_max


class Unresolvable(Exception):
    """The inputs of a step cannot be computed; carries why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class NeedsWork(Exception):
    """Expressions must be evaluated elsewhere, for they may be too much work; then render again with the answers."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"{len(question.sources)} expressions must be evaluated elsewhere")
        self.question = question


def render_inputs(
    actor: Actor,
    step: str,
    *,
    work_max: int = WORK_MAX,
    answers: Mapping[str, Answer] | None = None,
) -> Any:
    """Return the inputs of a step.

    `NeedsData` for values to load first, `NeedsWork` for expressions to evaluate elsewhere first, whose `answers`
    are then handed in, `Unresolvable` when there are none.
    """
    template = actor.bound.templates[step]
    if template.is_constant:
        return template.render({})
    try:
        scope = _scope(actor, template, actor.loaded.get(step, {}))
        question = template.ask(scope, work_max=work_max) if answers is None else None
        if question is not None:
            raise NeedsWork(question)
        inputs = template.render(scope, answers=answers)
        actor.loaded.pop(step, None)
        return inputs
    except ExpressionError as error:
        text = f"The inputs of stage '{step}' cannot be computed: {error.problem.detail}"
        raise Unresolvable(Failure("expression_failed", text, stage_id=step)) from error


async def load_value(store: Store, objects: ObjectStore, ref: DataRef, *, bytes_max: int) -> Any:
    """Read and decode a JSON value by reference; checked against its checksum; bounded."""
    return orjson.loads(await load_bytes(store, objects, ref, bytes_max=bytes_max))


async def load_bytes(store: Store, objects: ObjectStore, ref: DataRef, *, bytes_max: int) -> bytes:
    """Read bytes by reference from the kv or the object tier."""
    if ref.size_bytes > bytes_max:
        raise TooLarge(
            f"A value of {ref.size_bytes} bytes cannot be looked into (at most {bytes_max}): "
            "pass it whole, or let the stage that makes it put the small part into a field of its own"
        )
    if ref.storage_type == "object":
        return await objects.get(ref, bytes_max=bytes_max)
    rows = await store.read("content", ref.storage_key)
    if not rows:
        raise DataLost(f"The value {ref.storage_key} is not in the database any more")
    content: bytes = rows[0][0]
    from_row = DataRef(ref.storage_type, ref.storage_key, len(content), ref.checksum)
    _check(from_row, content)
    return content


def failure_of(step: str, error: Trouble | TooLarge) -> Failure:
    """Say why a value could not be loaded for a step."""
    may_pass = isinstance(error, Trouble) and not isinstance(error, DataLost)
    kind = "transient" if may_pass else "terminal"
    text = f"The inputs of stage '{step}' cannot be loaded: {error.detail}"
    return Failure(error.code, text, kind, may_pass, step)


def _check(ref: DataRef, content: bytes) -> None:
    if checksum_of(content) != ref.checksum:
        raise DataLost(f"The value {ref.storage_key} does not have its checksum {ref.checksum}")


def _scope(actor: Actor, template: Template, loaded: dict[str, Any]) -> dict[str, Any]:
    state = actor.state
    scope: dict[str, Any] = {"execution": _execution_scope(state)}
    stages: dict[str, Any] = {}
    for reference in template.references:
        if reference.root == "parameters" and "parameters" not in scope:
            scope["parameters"] = _value(loaded, state.parameters)
            if isinstance(scope["parameters"], DataRef):
                raise NeedsData((scope["parameters"],))
        elif reference.root == "stages" and reference.stage is not None and reference.stage not in stages:
            stages[reference.stage] = _stage_scope(loaded, state, reference.stage)
    scope["stages"] = stages
    return scope


def _stage_scope(loaded: dict[str, Any], state: Execution, stage: str) -> dict[str, Any]:
    step = state.steps.get(stage)
    if step is None:
        return {"status": "pending", "summary": {}}
    scope: dict[str, Any] = {"status": step.status, "summary": step.summary or {}}
    if step.output is not None:  # else an expression that asks for it is told the status
        scope["output"] = _value(loaded, step.output)
    return scope


def _execution_scope(state: Execution) -> dict[str, Any]:
    """Hold what `definitions` lets expressions ask of an execution."""
    return {
        "id": state.id,
        "pipeline": state.pipeline,
        "version": state.version,
        "project_id": state.project,
        "client_id": state.client,
        "request_id": state.request_id,
        "priority": state.priority,
        "created_at": state.created_at,
    }


def _value(loaded: dict[str, Any], value: bytes | DataRef | None) -> Any:
    if isinstance(value, DataRef):
        return loaded.get(value.storage_key, value)
    return None if value is None else orjson.loads(value)
