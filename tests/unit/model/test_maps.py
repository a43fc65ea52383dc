"""A stage over a list: what is begun, counted, tolerated and kept."""

from __future__ import annotations

from typing import Any

import pytest

from stagewright.model.decide import decide
from stagewright.model.decision import Decision, Dispatch, Gather, GoOn, apply
from stagewright.model.execution import Execution, Failure
from stagewright.model.limits import Limits
from stagewright.model.message import Completed, Continue, Failed, Gathered, Mapped, Message, Retry, Start
from stagewright.model.pipeline import NONE_TOLERATED, Pipeline, Stage, Tolerance
from stagewright.model.plan import make_plan
from stagewright.model.policy import RetryPolicy

LIMITS = Limits(map_window=1000, turn_changes_max=1000)
FAILURE = Failure("broken", "as drawn")


def send(state: Execution, message: Message, limits: Limits = LIMITS) -> Decision:
    decision = decide(state, message, 1, limits)
    apply(state, decision)
    return decision


def mapped(total: int, limits: Limits = LIMITS, **fields: Any) -> tuple[Execution, Decision]:
    """Make an execution with a map `m` of direct items, and `after` it; return the decision that began the items."""
    stages = (Stage("m", "w", for_each=[], retry=RetryPolicy(1), **fields), Stage("after", "w", needs=("m",)))
    plan = make_plan(Pipeline("p", stages), lambda stage: True)
    state = Execution("exec_1", plan, "p", 1, "d", b"{}", 0, 10**12)
    send(state, Start(), limits)
    return state, send(state, Mapped("m", total), limits)


def begun(decision: Decision) -> list[str]:
    return [effect.step for effect in decision.effects if isinstance(effect, Dispatch)]


def tally(state: Execution) -> tuple[int, int, int, int]:
    found = state.steps["m"].summary
    assert found is not None
    return found["total"], found["open"], found["completed"], found["failed"]


def test_no_more_items_are_open_than_may_be() -> None:
    state, decision = mapped(10, max_parallel=3)
    assert begun(decision) == ["m[0]", "m[1]", "m[2]"]

    decision = send(state, Completed("m[1]", 1, b"1"))

    assert begun(decision) == ["m[3]"]
    assert tally(state) == (10, 3, 1, 0)


@pytest.mark.parametrize(("window", "turn", "expected"), [(4, 1000, 4), (1000, 6, 6)])
def test_a_window_and_a_decision_are_bounded(window: int, turn: int, expected: int) -> None:
    limits = Limits(map_window=window, turn_changes_max=turn)

    _, decision = mapped(1_000_000, limits)

    assert len(decision.steps) == expected + (window == 4)  # the parent counts as one of a turn
    assert any(isinstance(effect, GoOn) for effect in decision.effects) == (turn == 6)


def test_what_a_decision_did_not_begin_the_next_one_begins() -> None:
    limits = Limits(turn_changes_max=3)
    state, decision = mapped(4, limits)
    names = begun(decision)

    while any(isinstance(effect, GoOn) for effect in decision.effects):
        decision = send(state, Continue(), limits)
        names += begun(decision)

    assert names == ["m[0]", "m[1]", "m[2]", "m[3]"]


def test_items_that_ended_leave_the_memory() -> None:
    state, _ = mapped(3)

    send(state, Completed("m[0]", 1, b"0"))

    assert set(state.steps) == {"m", "m[1]", "m[2]"}
    assert state.done["m"] == bytearray([1, 0, 0])


def test_when_all_items_are_final_their_outputs_are_gathered_and_then_the_map_is_done() -> None:
    state, _ = mapped(2)
    send(state, Completed("m[0]", 1, b"0"))

    gathering = send(state, Completed("m[1]", 1, b"1"))
    assert [effect.step for effect in gathering.effects if isinstance(effect, Gather)] == ["m"]
    assert state.steps["m"].status == "running"
    decision = send(state, Gathered("m", b"[0,1]"))

    assert (state.steps["m"].status, state.steps["m"].output) == ("completed", b"[0,1]")
    assert begun(decision) == ["after"]


def test_a_second_answer_with_outputs_changes_nothing() -> None:
    state, _ = mapped(1)
    assert send(state, Gathered("m", b"[0]")).is_empty
    send(state, Completed("m[0]", 1, b"0"))
    send(state, Gathered("m", b"[0]"))

    assert send(state, Gathered("m", b"[7]")).is_empty


@pytest.mark.parametrize(
    ("tolerate", "total", "allowed"),
    [
        (NONE_TOLERATED, 100, 0), (Tolerance(failed=3), 100, 3), (Tolerance(failed_ratio=0.29), 100, 29),
        (Tolerance(failed_ratio=0.5), 3, 1), (Tolerance(failed=5, failed_ratio=0.01), 100, 1),
        (Tolerance(failed_ratio=1.0), 7, 7), (Tolerance(failed=3), 0, 3),
    ],
)  # fmt: skip
def test_so_many_may_fail(tolerate: Tolerance, total: int, allowed: int) -> None:
    assert tolerate.allowed(total) == allowed


def test_more_failures_than_are_tolerated_end_the_map_and_what_is_open_of_it() -> None:
    state, _ = mapped(10, max_parallel=3, tolerate=Tolerance(failed=1), on_error="continue")
    send(state, Failed("m[0]", 1, FAILURE))
    assert state.steps["m"].error is None

    decision = send(state, Failed("m[1]", 1, FAILURE))

    assert state.steps["m"].status == "failed"
    assert state.steps["m"].error is not None
    assert "2 of 10 items" in state.steps["m"].error.message
    closed = [event["step"] for event in decision.events if event["type"] == "stage.cancelled"]
    assert closed == ["m[2]", "m[3]"]
    assert begun(decision) == ["after"]


def test_a_map_that_fails_fails_its_execution() -> None:
    state, _ = mapped(3)

    send(state, Failed("m[0]", 1, FAILURE))

    assert state.status == "failed"
    assert state.error is not None and (state.error.code, state.error.stage_id) == ("broken", "m")


def test_a_retry_keeps_completed_items_and_goes_on_with_higher_attempts() -> None:
    state, _ = mapped(3, max_parallel=2)
    send(state, Completed("m[1]", 1, b"1"))
    send(state, Failed("m[0]", 1, FAILURE))
    assert state.status == "failed"

    send(state, Retry())
    send(state, Continue())
    decision = send(state, Mapped("m", 3))

    assert begun(decision) == ["m[0]", "m[2]"]
    assert {step.attempt for name, step in decision.steps.items() if name != "m"} == {2}
    assert tally(state) == (3, 2, 1, 0)


def test_a_retry_from_the_map_does_every_item_anew() -> None:
    state, _ = mapped(2)
    for item in (0, 1):
        send(state, Completed(f"m[{item}]", 1, b"0"))
    send(state, Gathered("m", b"[0,0]"))
    send(state, Completed("after", 1, b"{}"))
    assert state.status == "completed"

    send(state, Retry("m"))
    send(state, Continue())
    decision = send(state, Mapped("m", 2))

    assert begun(decision) == ["m[0]", "m[1]"]
    assert tally(state) == (2, 2, 0, 0)
