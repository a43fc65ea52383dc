"""Slots: never more holders than slots, nobody forgotten, the order of readiness and priority."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stagewright.engine.slots import Slots
from stagewright.model.policy import SECOND_US

OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 9)))


def waiting(slots: Slots, *entries: tuple[str, str, int]) -> None:
    for name, priority, ready_at_s in entries:
        assert not slots.acquire("w", (name, "s"), priority=priority, ready_at=ready_at_s * SECOND_US)


def served(slots: Slots, first: str) -> list[str]:
    """Release one holder after another and return who came next each time."""
    order, holder = [], (first, "s")
    while granted := slots.release(holder):
        (holder,) = granted
        order.append(holder[0])
    return order


def one_slot() -> Slots:
    slots = Slots(lambda worker: 1)
    assert slots.acquire("w", ("first", "s"), priority="normal", ready_at=0)
    return slots


def test_who_is_ready_longest_goes_first() -> None:
    slots = one_slot()
    waiting(slots, ("late", "normal", 30), ("early", "normal", 10), ("middle", "normal", 20))

    assert served(slots, "first") == ["early", "middle", "late"]


def test_a_priority_is_a_head_start_and_the_old_overtake_it_in_time() -> None:
    slots = one_slot()
    waiting(
        slots, ("low", "low", 0), ("normal", "normal", 0), ("high", "high", 0), ("critical", "critical", 0),
        ("high a minute and more later", "high", 61), ("low a minute before", "low", -61),
    )  # fmt: skip

    assert served(slots, "first") == [
        "critical", "high", "low a minute before", "normal", "high a minute and more later", "low",
    ]  # fmt: skip


def test_among_equals_the_first_to_ask_goes_first() -> None:
    slots = one_slot()
    waiting(slots, ("a", "normal", 5), ("b", "normal", 5), ("c", "normal", 5))

    assert [slots.position((name, "s")) for name in ("a", "b", "c", "first", "nobody")] == [1, 2, 3, None, None]
    assert served(slots, "first") == ["a", "b", "c"]


def test_asking_twice_is_asking_once() -> None:
    slots = one_slot()
    assert slots.acquire("w", ("first", "s"), priority="normal", ready_at=0)
    waiting(slots, ("a", "normal", 5), ("a", "normal", 5))

    assert served(slots, "first") == ["a"]
    assert slots.in_use("w") == 0


def test_who_gave_up_a_place_and_comes_again_stands_at_the_end() -> None:
    slots = one_slot()
    waiting(slots, ("again", "normal", 1), ("b", "normal", 2))
    assert slots.release(("again", "s")) == []
    waiting(slots, ("again", "normal", 3))

    assert slots.position(("again", "s")) == 2
    assert served(slots, "first") == ["b", "again"]


def test_more_capacity_is_handed_out_when_asked() -> None:
    capacity = {"w": 0}
    slots = Slots(lambda worker: capacity[worker])
    waiting(slots, ("a", "normal", 1), ("b", "normal", 2), ("c", "normal", 3))
    capacity["w"] = 2

    assert slots.grant("w") == [("a", "s"), ("b", "s")]
    assert slots.in_use("w") == 2


def test_releasing_what_is_not_held_changes_nothing() -> None:
    slots = one_slot()

    assert slots.release(("nobody", "s")) == []
    assert slots.in_use("w") == 1


@given(st.integers(0, 3), OPERATIONS)
def test_no_slot_is_lost_or_given_twice(capacity: int, operations: list[tuple[bool, int, int]]) -> None:
    slots, asked = Slots(lambda worker: capacity), set[tuple[str, str]]()
    holding: set[tuple[str, str]] = set()
    for asks, number, ready_at in operations:
        holder = (f"exec_{number}", "s")
        if asks:
            asked.add(holder)
            if slots.acquire("w", holder, priority="normal", ready_at=ready_at):
                holding.add(holder)
        else:
            asked.discard(holder)
            holding.discard(holder)
            granted = slots.release(holder)
            assert not holding.intersection(granted)
            holding.update(granted)
        assert holding <= asked
        assert slots.in_use("w") == len(holding) == min(capacity, len(asked))
