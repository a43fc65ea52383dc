"""A stage whose condition is false is skipped, and that counts as done."""

from __future__ import annotations

from typing import Any

from stagewright.model.decide import decide
from stagewright.model.decision import Decision, Dispatch, Prepare, apply
from stagewright.model.execution import Execution, Failure
from stagewright.model.limits import Limits
from stagewright.model.message import Completed, Failed, Granted, Message, Retry, Skipped, Start, Timer
from stagewright.model.pipeline import Pipeline, Stage
from stagewright.model.plan import make_plan
from stagewright.model.policy import SECOND_US, RetryPolicy

LIMITS = Limits()
CONDITION = "${{ parameters.go }}"


def begun(*stages: Stage) -> Execution:
    """Make a running execution whose unconditional stages are direct."""
    plan = make_plan(Pipeline("p", stages), lambda stage: stage.when is True and stage.worker is not None)
    state = Execution("exec_1", plan, "p", 1, "d", b"{}", 0, 10**12)
    send(state, Start())
    return state


def send(state: Execution, message: Message, now: int = 1) -> Decision:
    decision = decide(state, message, now, LIMITS)
    apply(state, decision)
    return decision


def types(decision: Decision) -> list[Any]:
    return [(event["type"], event.get("step")) for event in decision.events]


def test_a_condition_is_asked_before_anything_begins() -> None:
    state = begun(Stage("a", "w"), Stage("b", "w", needs=("a",), when=CONDITION))

    decision = send(state, Completed("a", 1, b"{}"))

    assert [type(effect) for effect in decision.effects] == [Prepare]
    assert state.steps["b"].status == "ready"


def test_a_skipped_step_counts_as_done_and_tells_why() -> None:
    state = begun(Stage("a", "w", when=CONDITION), Stage("b", "w", needs=("a",)))

    decision = send(state, Skipped("a"))

    assert types(decision) == [("stage.skipped", "a"), ("stage.started", "b")]
    assert decision.events[0]["data"] == {"reason": "when"}
    assert [effect for effect in decision.effects if isinstance(effect, Dispatch)] == [Dispatch("b", 1)]


def test_an_execution_of_skipped_stages_completes() -> None:
    state = begun(Stage("a", "w", when=False), Stage("b", None, sleep_us=5, when=False))

    send(state, Skipped("a"))
    send(state, Skipped("b"))

    assert state.status == "completed"


def test_a_sleep_with_a_condition_begins_once_that_holds() -> None:
    state = begun(Stage("a", None, sleep_us=SECOND_US, when=CONDITION))

    send(state, Granted("a"), now=5)
    assert (state.steps["a"].status, state.steps["a"].wake_at) == ("waiting", SECOND_US + 5)
    send(state, Timer(), now=SECOND_US + 5)

    assert state.status == "completed"


def test_a_retry_keeps_what_a_condition_has_skipped_and_what_completed_behind_it() -> None:
    state = begun(
        Stage("a", "w", when=CONDITION), Stage("b", "w", needs=("a",)),
        Stage("c", "w", needs=("b",), retry=RetryPolicy(1)),
    )  # fmt: skip
    send(state, Skipped("a"))
    send(state, Completed("b", 1, b"{}"))
    send(state, Failed("c", 1, Failure("x", "y")))
    assert state.status == "failed"

    decision = send(state, Retry())

    assert (decision.reset, decision.backlog) == (["c"], ["c"])
    assert state.steps["a"].status == "skipped"


def test_a_retry_from_before_a_skipped_stage_asks_its_condition_again() -> None:
    state = begun(Stage("a", "w"), Stage("b", "w", needs=("a",), when=CONDITION))
    send(state, Completed("a", 1, b"{}"))
    send(state, Skipped("b"))

    decision = send(state, Retry("a"))

    assert decision.reset == ["a", "b"]


def test_a_retry_begins_what_an_early_end_has_skipped() -> None:
    state = begun(Stage("a", "w"), Stage("b", "w", needs=("a",)), Stage("c", "w"))
    send(state, Completed("a", 1, b"{}", {"continue": False}))
    assert (state.status, state.steps["b"].status) == ("completed", "skipped")

    decision = send(state, Retry("c"))

    assert decision.reset == ["b", "c"]


def test_a_late_answer_about_a_condition_changes_nothing() -> None:
    state = begun(Stage("a", "w"), Stage("b", "w", needs=("a",), when=CONDITION))

    assert send(state, Skipped("a")).is_empty
    assert send(state, Skipped("b")).is_empty
