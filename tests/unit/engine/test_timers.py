"""Timers: one deadline an execution, never early, and no memory for what was dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stagewright.engine.timers import STALE_TICKS_MAX, TICK_US, Timers

MANY = 1_000
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["set", "set", "drop", "take"]), st.integers(0, 5), st.integers(0, 9 * TICK_US))
)


def test_a_deadline_never_comes_early_and_at_most_a_tick_late() -> None:
    timers = Timers()
    timers.set("exec_1", 3 * TICK_US + 1)

    assert timers.next_at() == 4 * TICK_US
    assert timers.take_due(3 * TICK_US + 1, MANY) == []
    assert timers.take_due(4 * TICK_US, MANY) == ["exec_1"]
    assert timers.next_at() is None
    assert len(timers) == 0


def test_a_new_deadline_takes_the_place_of_the_old_one() -> None:
    timers = Timers()
    timers.set("exec_1", 9 * TICK_US)
    timers.set("exec_1", 2 * TICK_US)

    assert timers.take_due(9 * TICK_US, MANY) == ["exec_1"]
    assert timers.take_due(99 * TICK_US, MANY) == []


def test_a_dropped_execution_is_never_due() -> None:
    timers = Timers()
    timers.set("exec_1", TICK_US)
    timers.drop("exec_1")
    timers.drop("exec_1")

    assert timers.take_due(99 * TICK_US, MANY) == []
    assert timers.next_at() is None


def test_what_is_due_is_taken_in_portions() -> None:
    timers = Timers()
    for number in range(5):
        timers.set(f"exec_{number}", TICK_US)

    first, second = timers.take_due(TICK_US, 3), timers.take_due(TICK_US, 3)

    assert (len(first), len(second)) == (3, 2)
    assert len({*first, *second}) == 5


def test_a_million_short_executions_with_far_deadlines_leave_nothing() -> None:
    timers = Timers()
    for number in range(20 * STALE_TICKS_MAX):
        timers.set("exec_1", (number + 1_000_000) * TICK_US)
        timers.drop("exec_1")

    assert len(timers._ticks) <= STALE_TICKS_MAX + 1


@given(OPERATIONS)
def test_timers_agree_with_a_plain_dictionary(operations: list[tuple[str, int, int]]) -> None:
    timers, plain = Timers(), dict[str, int]()
    for what, number, at_us in operations:
        name = f"exec_{number}"
        if what == "set":
            timers.set(name, at_us)
            plain[name] = -(-at_us // TICK_US) * TICK_US
        elif what == "drop":
            timers.drop(name)
            plain.pop(name, None)
        else:
            due = {each for each, at in plain.items() if at <= at_us}
            assert set(timers.take_due(at_us, MANY)) == due
            plain = {each: at for each, at in plain.items() if each not in due}
        assert timers.next_at() == min(plain.values(), default=None)
        assert len(timers) == len(plain)
