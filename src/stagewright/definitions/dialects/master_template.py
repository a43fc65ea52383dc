"""Master templates: numbered stages; those of one number run side by side, each waits for all of the number before.

A step is given the execution's parameters, over them the stage's own `params`, and `previous`: the outputs of all
stages of smaller numbers by their ids. `previous` is there in every stage, empty in the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from stagewright.definitions.dialects.texts import literal
from stagewright.definitions.dialects.translation import (
    NOBODY,
    Translation,
    begin,
    check_shape,
    free_id,
    is_name,
    misspelt,
    sound,
)
from stagewright.definitions.expressions import SPREAD
from stagewright.definitions.read_json import NotReadable, read_json
from stagewright.definitions.values import check_value
from stagewright.definitions.words import pointer
from stagewright.model.errors import Problem

OUTPUTS_MAX = 250_000  # outputs of stages before, counted once for each stage that is given them
PREVIOUS = "previous"

_STAGES = "#/pipeline_stages"
_TEXT = {"type": ["string", "null"]}
_STAGE: dict[str, Any] = {
    "type": "object",
    "required": ["stage", "worker"],
    "properties": {
        "stage": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
        "worker": {"type": "string", "minLength": 1},
        "template_ref": _TEXT,
        "action": _TEXT,
        "params": {"type": ["object", "null"]},
    },
}
_LIST = {"type": "array", "minItems": 1, "items": _STAGE}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["template_name", "pipeline_stages"],
    "properties": {"template_name": {"type": "string", "minLength": 1}},
}


def translate_master_template(original: Mapping[str, Any]) -> Translation:
    """Return the canonical document of a master template whose `pipeline_stages` are a list or a JSON text."""
    translation = begin(original, "template_name", "template")
    translation.places |= {"#/stages": (_STAGES, False)}
    translation.problems += check_shape(original, _SCHEMA)
    translation.problems += misspelt(original, ("template_id", "template_name", "pipeline_stages"), "#")
    if "pipeline_stages" not in original:
        return translation
    written = original["pipeline_stages"]
    if isinstance(written, str):
        translation.text_at = _STAGES
        written = _parsed(written, translation)
    if not translation.problems or written:
        translation.problems += check_shape(written, _LIST, _STAGES)
    for number, stage in enumerate(written if isinstance(written, list) else []):
        if isinstance(stage, Mapping):
            translation.problems += misspelt(stage, tuple(_STAGE["properties"]), f"{_STAGES}/{number}")
    if isinstance(written, list) and written:
        _fill(translation, [sound(stage, _STAGE) for stage in written])
    return translation


def stages_of(original: Mapping[str, Any]) -> list[Any]:
    """Return the stages of a master template that was checked."""
    written = original["pipeline_stages"]
    stages: list[Any] = read_json(written)[0] if isinstance(written, str) else written
    return stages


def _parsed(text: str, translation: Translation) -> Any:
    try:
        stages, problems = read_json(text)
    except NotReadable as error:
        translation.refuse(f"Expected a list, or a list as JSON in a text. {error}", _STAGES)
        return []
    problems += check_value(stages)
    translation.problems += [Problem(each.detail, each.pointer.replace("#", _STAGES, 1)) for each in problems]
    return [] if problems else stages


def _fill(translation: Translation, written: list[dict[str, Any]]) -> None:
    """Write the stages by their numbers; one without a number counts as the first, as its problem is told anyway."""
    ordered = sorted(enumerate(written), key=_number_of)
    stages: list[dict[str, Any]] = []
    taken: dict[str, None] = {}
    group_before: list[str] = []
    outputs = 0
    for number, same_number in groupby(ordered, key=_number_of):
        before, group = list(taken), []
        for place, stage in same_number:
            outputs += len(before)
            if outputs > OUTPUTS_MAX:
                detail = f"The stages would be given more than {OUTPUTS_MAX} outputs of stages before; make it smaller."
                translation.refuse(detail, _STAGES)
                return
            worker = stage.get("worker") or NOBODY
            id = free_id(f"s{number}-{worker if is_name(worker) else NOBODY}", taken)
            taken[id] = None
            group.append(id)
            _note_places(translation, len(stages), f"{_STAGES}/{place}")
            stages.append(_stage(id, worker, stage, group_before, before))
        group_before = group
    translation.document["stages"] = stages
    translation.has_all_needs = True


def _number_of(placed: tuple[int, Mapping[str, Any]]) -> int:
    return int(placed[1].get("stage", 0))


def _stage(id: str, worker: str, stage: Mapping[str, Any], needs: list[str], before: list[str]) -> dict[str, Any]:
    canonical: dict[str, Any] = {"id": id, "worker": worker, "needs": needs}
    for optional in ("action", "template_ref"):
        if stage.get(optional):
            canonical[optional] = stage[optional]
    previous = {each: f"${{{{ stages['{each}'].output }}}}" for each in before}
    canonical["inputs"] = {SPREAD: "${{ parameters }}", **literal(stage.get("params", {})), PREVIOUS: previous}
    return canonical


def _note_places(translation: Translation, number: int, original: str) -> None:
    canonical = f"#/stages/{number}"
    pairs = {"id": "worker", "worker": "worker", "needs": "stage", "action": "action", "template_ref": "template_ref"}
    translation.places |= {pointer(canonical, ours): (pointer(original, pairs[ours]), False) for ours in pairs}
    translation.places |= {canonical: (original, False), f"{canonical}/inputs": (f"{original}/params", True)}
