"""A pipeline as a Mermaid flowchart (mermaid.js.org/syntax/flowchart)."""

from __future__ import annotations

from collections.abc import Mapping

from stagewright.definitions.drawing import COLOURS, SIGNS, activity_of, drawn_stages, status_of
from stagewright.model.pipeline import Pipeline, Stage


def mermaid(pipeline: Pipeline, statuses: Mapping[str, str] | None = None) -> str:
    """Return the text of a flowchart; `statuses` maps stage ids to states, stages without one are plain."""
    drawn, left_out = drawn_stages(pipeline)
    # Ids of our own, because `end` and other words of the language cannot be ids there.
    names = {stage.id: f"s{number}" for number, stage in enumerate(drawn)}
    lines = ["flowchart LR"]
    lines += [f"  {names[stage.id]}{_box(stage, status_of(stage, statuses))}" for stage in drawn]
    lines += [f"  {names[need]} --> {names[stage.id]}" for stage in drawn for need in stage.needs]
    for status in SIGNS:
        of_status = [names[stage.id] for stage in drawn if status_of(stage, statuses) == status]
        if of_status:
            lines.append(f"  classDef {status} stroke:{COLOURS[status]},stroke-width:3px")
            lines.append(f"  class {','.join(of_status)} {status}")
    if left_out:
        lines.append(f'  more["… and {left_out} more stages"]')
    return "\n".join(lines) + "\n"


def _box(stage: Stage, status: str) -> str:
    sign = f"{SIGNS[status]} " if status else ""
    label = f'"{sign}{_escaped(stage.id)}<br/>{_escaped(activity_of(stage))}"'
    if stage.worker is None:
        return f"([{label}])"
    return f"[[{label}]]" if stage.deliverable else f"[{label}]"


def _escaped(text: str) -> str:
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, code)
    return text
