"""Drawings: well formed, complete, without overlap, and harmless whatever the names are."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.definitions import load_value, mermaid, svg
from stagewright.definitions.drawing import STAGES_DRAWN_MAX
from stagewright.model.pipeline import Pipeline

SVG = "{http://www.w3.org/2000/svg}"

DIAMOND = load_value(
    {
        "name": "diamond",
        "stages": [
            {"id": "end", "worker": "report-builder", "needs": ["left", "right", "start"], "deliverable": True},
            {"id": "left", "worker": "w", "action": "go", "needs": ["start"]},
            {"id": "right", "sleep": "90s", "needs": ["start"]},
            {"id": "start", "worker": "w"},
        ],
    }
)


def boxes_of(picture: str) -> dict[str, tuple[float, float, float, float]]:
    boxes = {}
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        rect, title = group.find(f"{SVG}rect"), group.findtext(f"{SVG}title") or ""
        assert rect is not None
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        boxes[title.split(":")[0]] = (x, y, x + width, y + height)
    return boxes


def test_mermaid_names_stages_edges_and_states() -> None:
    assert mermaid(DIAMOND, {"start": "completed", "left": "failed", "right": "running"}) == (
        "flowchart LR\n"
        '  s0[["end<br/>report-builder"]]\n'
        '  s1["✗ left<br/>w · go"]\n'
        '  s2(["● right<br/>sleeps 1m30s"])\n'
        '  s3["✓ start<br/>w"]\n'
        "  s1 --> s0\n"
        "  s2 --> s0\n"
        "  s3 --> s0\n"
        "  s3 --> s1\n"
        "  s3 --> s2\n"
        "  classDef running stroke:#2563eb,stroke-width:3px\n"
        "  class s2 running\n"
        "  classDef completed stroke:#188a4b,stroke-width:3px\n"
        "  class s3 completed\n"
        "  classDef failed stroke:#cf2f2f,stroke-width:3px\n"
        "  class s1 failed\n"
    )


def test_without_states_mermaid_has_no_classes() -> None:
    assert "class" not in mermaid(DIAMOND)


def test_the_svg_shows_every_stage_to_the_right_of_what_it_needs() -> None:
    boxes = boxes_of(svg(DIAMOND))

    assert boxes.keys() == {"start", "left", "right", "end"}
    for stage in DIAMOND.stages:
        for need in stage.needs:
            assert boxes[need][2] < boxes[stage.id][0]


def test_the_svg_has_an_arrow_for_every_need() -> None:
    paths = ElementTree.fromstring(svg(DIAMOND)).findall(f"{SVG}path[@class='edge']")

    assert len(paths) == 5


def test_the_svg_follows_light_and_dark_and_reaches_nothing_outside() -> None:
    picture = svg(DIAMOND, {"start": "completed"})

    assert "prefers-color-scheme:dark" in picture
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture and "@import" not in picture


def test_the_svg_says_the_state_in_words_and_sign() -> None:
    picture = svg(DIAMOND, {"left": "failed", "right": "nonsense"})

    assert "<title>left: w · go, failed</title>" in picture
    assert "✗" in picture
    assert "nonsense" not in picture


@pytest.mark.parametrize("name", ["<b>&\"'", "x" * 500, "]]>"])
def test_strange_names_do_no_harm(name: str) -> None:
    stage = replace(DIAMOND.stages[3], id=name, worker=name)
    pipeline = Pipeline(name, (stage,))

    picture = svg(pipeline, {name: "completed"})

    assert f"{name}: {name}, completed" in [title.text for title in ElementTree.fromstring(picture).iter(f"{SVG}title")]
    assert mermaid(pipeline).count('"') == 2


def test_a_pipeline_too_large_for_a_picture_is_drawn_in_part() -> None:
    stages = [{"id": f"s{n}", "worker": "w", "needs": ["s0"] if n else []} for n in range(STAGES_DRAWN_MAX + 7)]
    pipeline = load_value({"name": "wide", "stages": stages})

    picture = svg(pipeline)

    assert len(boxes_of(picture)) == STAGES_DRAWN_MAX
    assert "… and 7 more stages" in picture
    assert "… and 7 more stages" in mermaid(pipeline)


@given(st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=1, max_size=12))
def test_no_two_boxes_overlap(needs: list[set[int]]) -> None:
    stages = [
        {"id": f"stage-{n}", "worker": "w" * (n + 1), "needs": [f"stage-{m}" for m in sorted(inner) if m < n]}
        for n, inner in enumerate(needs)
    ]
    boxes = list(boxes_of(svg(load_value({"name": "p", "stages": stages}))).values())

    assert len(boxes) == len(stages)
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other_left, other_top, other_right, other_bottom in boxes[number + 1 :]:
            assert right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
