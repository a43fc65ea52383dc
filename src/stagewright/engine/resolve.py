"""A step's inputs: rendered from parameters and outputs, at once if all is inline, else after loading."""

from __future__ import annotations

from typing import Any

import orjson

from stagewright.definitions import ExpressionError, NeedsData, Template
from stagewright.engine.actor import Actor
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost, TooLarge, Trouble
from stagewright.model.execution import STEP_FINAL, Execution, Failure
from stagewright.model.maps import public_tally
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Store

_SHOWN_BYTES_MAX = 60


class Unresolvable(Exception):
    """The inputs of a step cannot be computed; carries why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def render_inputs(actor: Actor, step: str) -> Any:
    """Return the inputs of a step, or raise `NeedsData` for values to load first, or `Unresolvable`."""
    if step[-1] == "]":
        return _render_item(actor, step)
    inputs = _render(actor, actor.bound.templates[step], step, "inputs")
    actor.loaded.pop(step, None)
    return inputs


def list_of(actor: Actor, stage: str, items_max: int) -> list[Any]:
    """Return what a mapped stage runs over; raises as `render_inputs`."""
    template = actor.bound.lists[stage]
    found = _render(actor, template, stage, "list (`for_each`)")
    if isinstance(found, DataRef):
        loaded = actor.loaded.get(stage, {})
        if found.storage_key not in loaded:
            raise NeedsData((found,))
        found = loaded[found.storage_key]
    written = "its `for_each`" if isinstance(template.value, list) else f"{template.value}"
    if not isinstance(found, list):
        shown = orjson.dumps(found)[:_SHOWN_BYTES_MAX].decode("utf-8", "replace")
        text = f"Stage '{stage}' runs for each item of a list, and {written} is none: {shown}"
        raise Unresolvable(Failure("expression_failed", text, stage_id=stage))
    if len(found) > items_max:
        text = f"Stage '{stage}' runs for at most {items_max} items (`engine.limits.items_max`), {written} has "
        raise Unresolvable(Failure("too_many_items", f"{text}{len(found)}: split it", stage_id=stage))
    actor.loaded.pop(stage, None)
    return found


def _render_item(actor: Actor, step: str) -> Any:
    stage, _, index = step.partition("[")
    template = actor.bound.templates[stage]
    if template.is_constant:
        return template.render({})
    scope = actor.scopes.get(stage)
    if scope is None:  # what is the same for each item is decoded once
        scope = _scope(actor, template, actor.loaded.get(stage, {}))
        actor.scopes[stage] = scope
    number = int(index[:-1])
    item = actor.lists[stage][number]
    if isinstance(item, DataRef):
        item = actor.loaded.get(stage, {}).get(item.storage_key, item)
    try:
        return template.render({**scope, "item": item, "index": number})
    except NeedsData:
        actor.scopes.pop(stage, None)  # it is made again with what will be loaded
        raise
    except ExpressionError as error:
        text = f"The inputs of item {step} cannot be computed: {error.problem.detail}"
        raise Unresolvable(Failure("expression_failed", text, stage_id=stage)) from error


def is_wanted(actor: Actor, step: str) -> bool:
    """Say whether the condition of a step holds; raises as `render_inputs`."""
    condition = actor.bound.conditions.get(step)
    if condition is None:
        return True
    answer = _render(actor, condition, step, "condition (`when`)")
    if isinstance(answer, bool):
        return answer
    found = "a large value" if isinstance(answer, DataRef) else orjson.dumps(answer)[:_SHOWN_BYTES_MAX].decode()
    text = f"The condition of stage '{step}', {condition.value}, must be true or false and is {found}: "
    raise Unresolvable(Failure("expression_failed", text + "compare it with something", stage_id=step))


def _render(actor: Actor, template: Template, step: str, what: str) -> Any:
    if template.is_constant:
        return template.render({})
    try:
        return template.render(_scope(actor, template, actor.loaded.get(step, {})))
    except ExpressionError as error:
        text = f"The {what} of stage '{step}' cannot be computed: {error.problem.detail}"
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
    if state.plan.stages[stage].is_map:
        name, summary = "outputs", public_tally(step.summary)
    else:
        name, summary = "output", step.summary or {}
    scope: dict[str, Any] = {"status": step.status, "summary": summary}
    if step.output is not None or step.status in STEP_FINAL:  # null where it did not complete: decision 0015
        scope[name] = _value(loaded, step.output)
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
