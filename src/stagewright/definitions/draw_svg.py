"""A pipeline as an SVG of our own: no script, no outside reference, light and dark by the viewer's theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from stagewright.definitions.drawing import COLOURS, SIGNS, activity_of, drawn_stages, shortened, status_of
from stagewright.definitions.layout import Layout, Place, lay_out
from stagewright.model.pipeline import Pipeline, Stage

_CHARACTER_PX = 7.4  # mean width of a character of the larger text
_BOX_HEIGHT_PX, _POINT_HEIGHT_PX = 46, 10
_ROW_GAP_PX, _COLUMN_GAP_PX, _MARGIN_PX, _NOTE_HEIGHT_PX = 16, 60, 16, 20

_STYLE = """
.stage rect{fill:#fff;stroke:#b4bcc8}
.stage.deliverable rect{stroke:#3d4a5c;stroke-width:2.5}
.edge{fill:none;stroke:#8a94a3;stroke-width:1.4}
.tip{fill:#8a94a3}
text{font-family:system-ui,sans-serif;fill:#1b2330}
.id{font-size:13px;font-weight:600}
.activity,.note{font-size:11px;fill:#5a6575}
@media (prefers-color-scheme:dark){
.stage rect{fill:#1d232d;stroke:#4a5566}
.stage.deliverable rect{stroke:#c3cbd8}
.edge{stroke:#77839a}
.tip{fill:#77839a}
text{fill:#e6eaf0}
.activity,.note{fill:#9aa6b8}
}"""

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def right(self) -> float:
        return self.left + self.width


def svg(pipeline: Pipeline, statuses: Mapping[str, str] | None = None) -> str:
    """Return a complete SVG document; `statuses` maps stage ids to states, stages without one are plain."""
    drawn, left_out = drawn_stages(pipeline)
    stages = {stage.id: stage for stage in drawn}
    layout = lay_out(drawn)
    boxes = _boxes(layout, stages)
    width = max((box.right for box in boxes.values()), default=0) + _MARGIN_PX
    bottom = max((box.top + box.height for box in boxes.values()), default=0) + _MARGIN_PX
    height = bottom + (_NOTE_HEIGHT_PX if left_out else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{escape(pipeline.name)}</title>",
        f"<style>{_STYLE}</style>",
        _TIP,
    ]
    parts += [_edge([boxes[place] for place in way]) for way in layout.ways]
    parts += [_stage(stages[place[0]], boxes[place], statuses) for place in boxes if _is_stage(place)]
    if left_out:
        parts.append(f'<text class="note" x="{_MARGIN_PX}" y="{bottom}">… and {left_out} more stages</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _is_stage(place: Place) -> bool:
    return place[1] == ""


def _boxes(layout: Layout, stages: Mapping[str, Stage]) -> dict[Place, _Box]:
    """Give every stage and every point of an edge its rectangle; columns are centred on one line."""
    heights = [sum(_height(place) for place in column) + _ROW_GAP_PX * (len(column) - 1) for column in layout.columns]
    tallest = max(heights, default=0)
    boxes: dict[Place, _Box] = {}
    left: float = _MARGIN_PX
    for column, height in zip(layout.columns, heights, strict=True):
        width = max(_width(stages[place[0]]) for place in column if _is_stage(place))
        top = _MARGIN_PX + (tallest - height) / 2
        for place in column:
            boxes[place] = _Box(left, top, width, _height(place))
            top += _height(place) + _ROW_GAP_PX
        left += width + _COLUMN_GAP_PX
    return boxes


def _height(place: Place) -> int:
    return _BOX_HEIGHT_PX if _is_stage(place) else _POINT_HEIGHT_PX


def _width(stage: Stage) -> float:
    longest = max(len(shortened(stage.id)) + 2, len(shortened(activity_of(stage))))
    return 28 + _CHARACTER_PX * longest


def _edge(way: list[_Box]) -> str:
    """Draw a curve from box to box, level where it passes through a column."""
    x, y = way[0].right, way[0].middle
    path = f"M{x:.0f} {y:.0f}"
    for box in way[1:]:
        bend = (box.left - x) / 2
        path += f"C{x + bend:.0f} {y:.0f} {box.left - bend:.0f} {box.middle:.0f} {box.left:.0f} {box.middle:.0f}"
        x, y = box.right, box.middle
        if box is not way[-1]:
            path += f"H{x:.0f}"
    return f'<path class="edge" marker-end="url(#tip)" d="{path}"/>'


def _stage(stage: Stage, box: _Box, statuses: Mapping[str, str] | None) -> str:
    status = status_of(stage, statuses)
    classes = "stage deliverable" if stage.deliverable else "stage"
    title = escape(f"{stage.id}: {activity_of(stage)}" + (f", {status}" if status else ""))
    left, top = box.left, box.top
    parts = [
        f'<g class="{classes}"><title>{title}</title>',
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="8"/>',
        f'<text class="id" x="{left + 14:.0f}" y="{top + 20:.0f}">{escape(shortened(stage.id))}</text>',
        f'<text class="activity" x="{left + 14:.0f}" y="{top + 36:.0f}">{escape(shortened(activity_of(stage)))}</text>',
    ]
    if status:
        colour = COLOURS[status]
        bar = f"M{left + 4:.0f} {top + 8:.0f}v{box.height - 16:.0f}"
        parts.append(f'<path d="{bar}" stroke="{colour}" stroke-width="4" stroke-linecap="round"/>')
        parts.append(
            f'<text x="{box.right - 12:.0f}" y="{top + 20:.0f}" text-anchor="end" style="fill:{colour}">'
            f"{SIGNS[status]}</text>"
        )
    return "".join([*parts, "</g>"])
