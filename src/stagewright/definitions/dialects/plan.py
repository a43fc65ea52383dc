"""Plans: steps of tools, one after another unless a step says what it needs. A tool names a worker.

Inputs are given as they are written; `{{steps.NAME.output.a}}` in them is what an earlier step returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagewright.definitions.dialects.texts import Roots, translated
from stagewright.definitions.dialects.translation import (
    NOBODY,
    Translation,
    begin,
    check_shape,
    free_id,
    is_name,
    misspelt,
    name_from,
    sound,
)
from stagewright.definitions.words import did_you_mean, listed, shown

_STEP: dict[str, Any] = {
    "type": "object",
    "required": ["name", "tool"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "tool": {"type": "string", "minLength": 1},
        "inputs": {"type": ["object", "null"]},
        "needs": {"type": ["array", "null"], "items": {"type": "string"}},
    },
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["goal", "steps"],
    "properties": {
        "goal": {"type": "string", "minLength": 1},
        "steps": {"type": "array", "minItems": 1, "items": _STEP},
    },
}


def translate_plan(original: Mapping[str, Any]) -> Translation:
    """Return the canonical document of a plan."""
    translation = begin(original, "goal", "plan")
    translation.places |= {"#/stages": ("#/steps", False)}
    found = check_shape(original, _SCHEMA) + misspelt(original, tuple(_SCHEMA["properties"]), "#")
    written = original.get("steps")
    for number, step in enumerate(written if isinstance(written, list) else []):
        if isinstance(step, Mapping):
            found += misspelt(step, tuple(_STEP["properties"]), f"#/steps/{number}")
    translation.problems += found
    if isinstance(written, list) and written:
        _fill(translation, [_nameable(sound(step, _STEP), number) for number, step in enumerate(written)])
    return translation


def _nameable(step: dict[str, Any], number: int) -> dict[str, Any]:
    return step if step.get("name") else {**step, "name": f"{NOBODY}-{number}"}


def step_ids(original: Mapping[str, Any]) -> list[str]:
    """Return the stage ids of a plan that was checked, in the order of its steps."""
    return list(_ids(original["steps"]).values())


def _ids(steps: list[Any]) -> dict[str, str]:
    """Map the name of each step to its stage id: the name itself where it can be one."""
    names = dict.fromkeys(step["name"] for step in steps)
    ids = {name: name for name in names if is_name(name)}
    taken = set(ids)
    for name in names:
        if name not in ids:
            ids[name] = free_id(name_from(name, "step"), taken)
            taken.add(ids[name])
    return {name: ids[name] for name in names}


def _fill(translation: Translation, steps: list[dict[str, Any]]) -> None:
    ids = _ids(steps)
    roots = Roots("steps", None, ids)
    first: dict[str, int] = {}
    stages: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        here, name = f"#/steps/{number}", step["name"]
        if name in first:
            detail = f"The name {shown(name)} is used twice, first by #/steps/{first[name]}; give each step its own."
            translation.refuse(detail, f"{here}/name")
        first.setdefault(name, number)
        _note_places(translation, number, here)
        needs = _needs(translation, steps, number, ids)
        inputs = translated(step.get("inputs", {}), roots, f"{here}/inputs", translation.problems)
        stages.append({"id": ids[name], "worker": step.get("tool") or NOBODY, "needs": needs, "inputs": inputs})
    translation.document["stages"] = stages


def _needs(translation: Translation, steps: list[Any], number: int, ids: Mapping[str, str]) -> list[str]:
    written = steps[number].get("needs")
    if written is None:
        return [ids[steps[number - 1]["name"]]] if number else []
    needs: list[str] = []
    for at, need in enumerate(written):
        if isinstance(need, str) and need in ids:
            if ids[need] not in needs:
                translation.places[f"#/stages/{number}/needs/{len(needs)}"] = (f"#/steps/{number}/needs/{at}", False)
                needs.append(ids[need])
        elif isinstance(need, str):
            detail = f"There is no step {shown(need)}{did_you_mean(need, ids)}; known: {listed(ids)}."
            translation.refuse(detail, f"#/steps/{number}/needs/{at}")
    return needs


def _note_places(translation: Translation, number: int, original: str) -> None:
    canonical = f"#/stages/{number}"
    translation.places |= {
        canonical: (original, False),
        f"{canonical}/id": (f"{original}/name", False),
        f"{canonical}/worker": (f"{original}/tool", False),
        f"{canonical}/inputs": (f"{original}/inputs", True),
    }
