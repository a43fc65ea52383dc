"""What the drawings of a pipeline share: which stages are drawn, their words, and the look of each state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stagewright.definitions.durations import show_duration
from stagewright.definitions.graph import topological_order
from stagewright.model.pipeline import Pipeline, Stage

STAGES_DRAWN_MAX = 500  # more is no picture; the rest is counted in words
LABEL_LENGTH_MAX = 26  # characters

# A sign beside the colour, so that the state can be told without seeing colours.
SIGNS: Mapping[str, str] = {
    "pending": "○",
    "waiting": "◔",
    "ready": "◑",
    "running": "●",
    "completed": "✓",
    "failed": "✗",
    "skipped": "–",
    "cancelled": "⊘",
}
COLOURS: Mapping[str, str] = {
    "pending": "#8a94a3",
    "waiting": "#c98a00",
    "ready": "#4f7fd1",
    "running": "#2563eb",
    "completed": "#188a4b",
    "failed": "#cf2f2f",
    "skipped": "#8a94a3",
    "cancelled": "#8a5a9e",
}


def drawn_stages(pipeline: Pipeline) -> tuple[list[Stage], int]:
    """Return the stages that are drawn, needs only among them, and how many are left out.

    When there are too many, those that can run first are drawn.
    """
    stages = list(pipeline.stages)
    if len(stages) <= STAGES_DRAWN_MAX:
        return stages, 0
    kept = set(topological_order(stages)[:STAGES_DRAWN_MAX])
    drawn = [
        replace(stage, needs=tuple(need for need in stage.needs if need in kept))
        for stage in stages
        if stage.id in kept
    ]
    return drawn, len(stages) - len(drawn)


def status_of(stage: Stage, statuses: Mapping[str, str] | None) -> str:
    """Return the state of a stage, or an empty text when it is not known."""
    status = (statuses or {}).get(stage.id, "")
    return status if status in SIGNS else ""


def activity_of(stage: Stage) -> str:
    """Say in a few words what a stage does: its worker and action, or how long it sleeps."""
    if stage.worker is None:
        return f"sleeps {show_duration(stage.sleep_us or 0)}"
    return f"{stage.worker} · {stage.action}" if stage.action else stage.worker


def shortened(text: str) -> str:
    """Cut a label to `LABEL_LENGTH_MAX` characters."""
    return text if len(text) <= LABEL_LENGTH_MAX else text[: LABEL_LENGTH_MAX - 1] + "…"
