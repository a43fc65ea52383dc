"""What is loaded after a crash is what was committed: after any messages, state → rows → database → state."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stagewright.engine.rows import execution_row, item_row, load_execution, step_row
from stagewright.model.execution import Execution
from stagewright.ports.store import Batch, NodeIdentity
from stagewright.store.database import SqliteDatabase
from tests.unit.model.driver import Driver

NODE = NodeIdentity("node", "incarnation")


def reloaded(driver: Driver) -> Execution:
    """Write the state with the product's own rows and queries, and load it as a start would."""
    database = SqliteDatabase(":memory:")
    database.migrate()
    database.write([("node_start", (NODE.node, NODE.incarnation, 1))])
    state = driver.state
    kept = {**driver.items, **state.steps}
    steps = [step_row(state.id, step, expires_at=9) for name, step in kept.items() if name in driver.plan.stages]
    items = [item_row(state.id, step, expires_at=9) for name, step in kept.items() if name not in driver.plan.stages]
    database.flush(NODE, Batch(1, executions=[execution_row(state)], steps=steps, items=items), 1)
    row = database.run("execution_to_load", (state.id,))[0]
    ids = f'["{state.id}"]'
    rows = database.run("steps_to_load", (ids,)) + database.run("items_to_load", (ids,))
    return load_execution(row, rows, driver.plan, 0, database.run("items_done", (ids,)))


@given(st.randoms(use_true_random=False), st.sampled_from([1, 2, 1000]), st.integers(0, 25))
def test_a_loaded_execution_is_the_one_that_was_written(chance: Random, bound: int, messages: int) -> None:
    driver = Driver(chance, turn_changes_max=bound)
    # Ids carry their shard, which the rows want to know.
    driver.state.id = "exec_" + "0" * 26
    for _ in range(messages):
        driver.send(driver.drawn_message())
    state = driver.state

    loaded = reloaded(driver)

    for name in ("id", "status", "round", "error", "seq", "created_at", "deadline_at", "started_at", "completed_at",
                 "cost_usd_micros", "unfinished", "parameters", "priority", "tags"):  # fmt: skip
        assert getattr(loaded, name) == getattr(state, name), name
    assert loaded.steps == state.steps
    assert loaded.open == state.open
    if state.status == "running":
        assert loaded.ending == state.ending
        if state.ending is None:
            assert set(loaded.backlog) == set(state.backlog)
            untouched = [name for name in driver.plan.stages if name not in state.open and name not in state.steps]
            assert {name: loaded.remaining[name] for name in untouched} == {
                name: state.remaining[name] for name in untouched
            }


@given(st.randoms(use_true_random=False), st.sampled_from([1, 2, 1000]), st.integers(0, 25))
def test_a_loaded_execution_comes_to_an_end(chance: Random, bound: int, messages: int) -> None:
    driver = Driver(chance, turn_changes_max=bound)
    driver.state.id = "exec_" + "0" * 26
    for _ in range(messages):
        driver.send(driver.drawn_message())

    driver.restart(reloaded(driver))

    driver.come_to_an_end()
    assert driver.state.status != "running"
