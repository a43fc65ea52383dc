"""Whatever comes in whatever order, the counters of an execution hold and it can still end."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.model.decide import decide, next_due
from stagewright.model.execution import FINAL_STATUSES, NEVER_US, Execution, Failure, Step
from stagewright.model.limits import Limits
from stagewright.model.message import Retry
from stagewright.model.pipeline import Pipeline, Stage
from stagewright.model.plan import make_plan
from tests.unit.model.driver import Driver

CHANCE = st.randoms(use_true_random=False)
BOUNDS = st.sampled_from([1, 2, 3, 1000])


@given(CHANCE, BOUNDS, st.integers(0, 60))
def test_no_sequence_of_messages_breaks_a_counter(chance: Random, turn_changes_max: int, messages: int) -> None:
    driver = Driver(chance, turn_changes_max=turn_changes_max)

    for _ in range(messages):
        driver.send(driver.drawn_message())

    driver.check_events()


@given(CHANCE, BOUNDS, st.integers(0, 30))
def test_after_any_trouble_a_kind_world_brings_it_to_an_end(
    chance: Random, turn_changes_max: int, messages: int
) -> None:
    driver = Driver(chance, turn_changes_max=turn_changes_max)
    for _ in range(messages):
        driver.send(driver.drawn_message())

    driver.come_to_an_end()
    if driver.state.status == "paused":
        driver.send(Retry(None))
        driver.come_to_an_end()

    assert driver.state.status in FINAL_STATUSES
    driver.check_events()


@given(CHANCE, BOUNDS)
def test_a_kind_world_completes_every_pipeline_with_one_attempt_a_stage(chance: Random, turn_changes_max: int) -> None:
    driver = Driver(chance, turn_changes_max=turn_changes_max)

    driver.come_to_an_end()

    assert driver.state.status == "completed"
    assert {step.status for step in driver.state.steps.values()} == {"completed"}
    worked = [name for name, planned in driver.plan.stages.items() if planned.stage.worker]
    maps = driver.plan.stages.items_of
    items = [f"{name}[{item}]" for name in maps for item in driver.plan.stages[name].stage.for_each]
    assert sorted(driver.dispatched) == sorted((name, 1) for name in [*worked, *items] if name not in maps)


@given(CHANCE)
def test_the_bound_of_changes_makes_more_decisions_and_no_other_end(chance: Random) -> None:
    seed = chance.getrandbits(32)
    ends = []
    for bound in (1, 1000):
        driver = Driver(Random(seed), turn_changes_max=bound)
        driver.come_to_an_end()
        ends.append((driver.state.status, {name: step.status for name, step in driver.state.steps.items()}))

    assert ends[0] == ends[1]


def test_a_retry_of_a_ladder_of_forty_joins_looks_at_each_stage_once() -> None:
    stages = [Stage("top", "w")]
    for rung in range(40):
        below = tuple(stage.id for stage in stages[-2:])
        stages += [Stage(f"left{rung}", "w", needs=below), Stage(f"right{rung}", "w", needs=below)]
    plan = make_plan(Pipeline("ladder", tuple(stages)), lambda stage: True)
    state = Execution(
        id="exec_1", plan=plan, pipeline="ladder", version=1, digest="d", parameters=b"{}", created_at=0,
        deadline_at=1, status="completed",
    )  # fmt: skip
    state.steps = {stage.id: Step(stage.id, "completed", 1) for stage in stages}

    decision = decide(state, Retry("top"), 0, Limits())

    assert decision.reset == [stage.id for stage in stages]
    assert decision.backlog == ["top"]


@pytest.mark.parametrize("status", ["paused", "completed", "failed", "cancelled", "running to its end"])
def test_no_deadline_comes_while_it_would_change_nothing(status: str) -> None:
    driver = Driver(Random(1), turn_changes_max=1000)
    assert next_due(driver.state) < NEVER_US
    driver.state.status = status.split()[0]
    if status == "running to its end":
        driver.state.ending = ("failed", Failure("code", "text"))

    assert next_due(driver.state) == NEVER_US
