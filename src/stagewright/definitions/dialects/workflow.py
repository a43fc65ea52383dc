"""Workflows: nodes with symbolic ids in any order. A node's agent is a worker, `config.action` its action.

The other keys of `config`, and `inputs`, are what the worker is given. In them `{{nodes.scan-node.output.a}}` is
what another node returned, and `{{inputs.a}}` what the workflow was triggered with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagewright.definitions.dialects.texts import Roots, translated
from stagewright.definitions.dialects.translation import NOBODY, Translation, begin, check_shape, misspelt, sound
from stagewright.definitions.words import pointer

_NODE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "agent"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "agent": {"type": "string", "minLength": 1},
        "dependsOn": {"type": ["array", "null"], "items": {"type": "string"}},
        "config": {"type": ["object", "null"], "properties": {"action": {"type": ["string", "null"]}}},
        "inputs": {"type": ["object", "null"]},
    },
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "nodes"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "projectId": {"type": ["string", "null"], "maxLength": 200},
        "nodes": {"type": "array", "minItems": 1, "items": _NODE},
    },
}


def translate_workflow(original: Mapping[str, Any]) -> Translation:
    """Return the canonical document of a workflow."""
    translation = begin(original, "name", "workflow")
    translation.places |= {"#/stages": ("#/nodes", False)}
    found = check_shape(original, _SCHEMA) + misspelt(original, tuple(_SCHEMA["properties"]), "#")
    nodes = original.get("nodes")
    for number, node in enumerate(nodes if isinstance(nodes, list) else []):
        if isinstance(node, Mapping):
            found += misspelt(node, tuple(_NODE["properties"]), f"#/nodes/{number}")
    translation.problems += found
    if isinstance(nodes, list) and nodes:
        kept = [sound(node, _NODE) for node in nodes]
        roots = Roots("nodes", "inputs", {node["id"]: node["id"] for node in kept if "id" in node})
        translation.document["stages"] = [_stage(translation, n, node, roots) for n, node in enumerate(kept)]
    return translation


def _stage(translation: Translation, number: int, node: Mapping[str, Any], roots: Roots) -> dict[str, Any]:
    canonical, original = f"#/stages/{number}", f"#/nodes/{number}"
    translation.places |= {
        canonical: (original, False),
        f"{canonical}/id": (f"{original}/id", False),
        f"{canonical}/worker": (f"{original}/agent", False),
        f"{canonical}/action": (f"{original}/config/action", False),
    }
    needs: list[str] = []
    for place, need in enumerate(node.get("dependsOn", ())):
        if isinstance(need, str) and need not in needs:
            translation.places[f"{canonical}/needs/{len(needs)}"] = (f"{original}/dependsOn/{place}", False)
            needs.append(need)
    stage: dict[str, Any] = {
        "id": node.get("id") or f"{NOBODY}-{number}",
        "worker": node.get("agent") or NOBODY,
        "needs": needs,
    }
    action = node.get("config", {}).get("action")
    if isinstance(action, str) and action:
        stage["action"] = action
    stage["inputs"] = _inputs(translation, canonical, original, node, roots)
    return stage


def _inputs(
    translation: Translation, canonical: str, original: str, node: Mapping[str, Any], roots: Roots
) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for part in ("config", "inputs"):
        for key, value in node.get(part, {}).items():
            if part == "config" and key == "action":
                continue
            place = pointer(original, part, key)
            if key in inputs:
                translation.refuse(f"{key} stands in config and in inputs; keep one of them.", place)
            translation.places[pointer(canonical, "inputs", key)] = (place, True)
            inputs[key] = translated(value, roots, place, translation.problems)
    return inputs
