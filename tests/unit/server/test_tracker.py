"""What a stream says of an execution at each event."""

from __future__ import annotations

from typing import Any

from stagewright.server.tracker import Tracker


def event(seq: int, kind: str, stage: str | None = None, **data: Any) -> dict[str, Any]:
    where = {} if stage is None else {"stage_id": stage, "step": stage, "attempt": 1}
    return {"seq": seq, "type": kind, "at": 1_700_000_000_000_000 + seq, **where, "data": data}


def told(*events: dict[str, Any]) -> list[tuple[str, str | None, float, str]]:
    tracker = Tracker("exec_1")
    frames = [tracker.tell(one) for one in events]
    return [(frame["status"], frame["stage"], frame["progress"], frame["message"]) for frame in frames]


def test_progress_rises_with_the_stages_that_are_done() -> None:
    frames = told(
        event(1, "execution.created", stages=2),
        event(2, "execution.started"),
        event(3, "stage.started", "a"),
        event(4, "stage.progress", "a", progress=0.5, message="half of it"),
        event(5, "stage.completed", "a"),
        event(6, "stage.waiting", "b", reason="sleep"),
        event(7, "stage.completed", "b"),
        event(8, "execution.completed"),
    )

    assert frames == [
        ("pending", None, 0.0, "execution created"),
        ("running", None, 0.0, "execution started"),
        ("running", "a", 0.0, "stage 'a': started"),
        ("running", "a", 0.0, "half of it"),
        ("running", "a", 50.0, "stage 'a': completed"),
        ("running", "b", 50.0, "stage 'b': waiting (sleep)"),
        ("running", "b", 100.0, "stage 'b': completed"),
        ("completed", None, 100.0, "execution completed"),
    ]


def test_an_error_is_the_message_and_a_retry_goes_back_to_running() -> None:
    error = {"code": "x", "message": "the feed is gone"}
    frames = told(
        event(1, "execution.created", stages=2),
        event(2, "stage.started", "a"),
        event(3, "stage.failed", "a", error=error),
        event(4, "execution.failed", error=error),
        event(5, "execution.resumed", round=2),
        event(6, "stage.started", "a"),
    )

    assert [frame[3] for frame in frames[2:4]] == ["the feed is gone", "the feed is gone"]
    assert [frame[0] for frame in frames] == ["pending", "pending", "pending", "failed", "running", "running"]
    assert frames[5][1:3] == ("a", 0.0)


def test_a_stage_that_is_done_again_counts_once() -> None:
    frames = told(
        event(1, "execution.created", stages=1),
        event(2, "stage.completed", "a"),
        event(3, "stage.started", "a"),
        event(4, "stage.completed", "a"),
    )

    assert [frame[2] for frame in frames] == [0.0, 100.0, 0.0, 100.0]
