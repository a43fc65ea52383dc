"""The journal: one flush in flight, nothing answered before its commit, and every outcome of a write told right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stagewright.engine.actor import Actor, Unsaved
from stagewright.engine.bind import Bound
from stagewright.engine.journal import Journal, Saved
from stagewright.engine.settings import EngineSettings
from stagewright.model.errors import BadRows, Fenced, StoreTrouble
from stagewright.model.execution import Execution, Step
from stagewright.model.pipeline import Pipeline, Stage
from stagewright.model.plan import make_plan
from stagewright.ports.store import Batch, Winner
from tests.sim.clock import SimClock
from tests.sim.loop import SimLoop

WRITE_S = 0.01


class Script:
    """A store that does what it is told: for each flush a list of outcomes, `ok` when none is left."""

    def __init__(self, loop: SimLoop, *outcomes: str, flushed: tuple[int | Exception, ...] = ()) -> None:
        self.loop, self.outcomes, self.answers = loop, list(outcomes), list(flushed)
        self.sent: list[Batch] = []
        self.written: list[int] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def flush(self, batch: Batch) -> dict[str, Winner]:
        self.sent.append(batch)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await _pause(self.loop, WRITE_S)
        finally:
            self.in_flight -= 1
        poisoned = [row[0] for row in batch.steps if row[1] == "poison"]
        if poisoned:
            raise BadRows(f"refused: {poisoned}")
        outcome = self.outcomes.pop(0) if self.outcomes else "ok"
        if outcome in ("ok", "committed"):
            self.written.append(batch.number)
        if outcome == "fenced":
            raise Fenced("fenced")
        if outcome != "ok":
            raise StoreTrouble(outcome)
        return {}

    async def flushed(self) -> int:
        await _pause(self.loop, WRITE_S)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self.written[-1] if self.written else 0

    async def read(self, query: str, *params: Any) -> list[Any]:
        assert query == "key_winner"
        return [("exec_winner", "fingerprint")]


def _pause(loop: SimLoop, seconds: float) -> Awaitable[None]:
    future = loop.create_future()
    loop.call_later(seconds, lambda: future.done() or future.set_result(None))
    return future


class Bench:
    """A journal on a simulated loop, and what came out of it."""

    def __init__(self, *outcomes: str, flushed: tuple[int | Exception, ...] = (), **settings: Any) -> None:
        self.loop = SimLoop("journal", 1_000_000)
        self.store = Script(self.loop, *outcomes, flushed=flushed)
        self.saved: list[Saved] = []
        self.fatal: list[BaseException] = []
        self.journal = Journal(
            self.store,  # type: ignore[arg-type]
            SimClock(self.loop), EngineSettings(**settings), self.saved.extend, self.fatal.append,
        )  # fmt: skip

    def actor(self, name: str, *steps: str, key: bool = False) -> Actor:
        plan = make_plan(Pipeline("p", tuple(Stage(step, "w") for step in steps)), lambda stage: True)
        state = Execution(f"exec_{name:0>26}", plan, "p", 1, "d", b"{}", 1, 2)
        actor = Actor(state, Bound(plan.pipeline, plan, {}))
        actor.unsaved = Unsaved({step: Step(step, "running", 1) for step in steps}, has_row=True)
        if key:
            actor.unsaved.keys.append(("request", "k", state.id, "other", None))
        self.journal.add(actor, len(steps) + 1, is_asked=False)
        return actor

    def run(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.loop.run_until_complete(_as_coroutine(work))


async def _as_coroutine(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


def test_what_comes_during_a_flush_goes_into_the_next_and_two_never_fly() -> None:
    bench = Bench()
    actors = [bench.actor("0", "a")]

    async def work() -> None:
        bench.journal.kick()
        actors.extend(bench.actor(str(number), "a") for number in range(1, 5))
        bench.journal.kick()
        await bench.journal.drain()

    bench.run(work)

    assert [len(batch.executions) for batch in bench.store.sent] == [1, 4]
    assert bench.store.most_in_flight == 1
    assert [saved.actor for saved in bench.saved] == actors
    assert bench.journal.pending_rows == 0


def test_a_flush_is_bounded_in_rows() -> None:
    bench = Bench(flush_rows_max=6)
    for number in range(5):
        bench.actor(str(number), "a")

    bench.run(bench.journal.drain)

    assert [len(batch.executions) for batch in bench.store.sent] == [2, 2, 1]


def test_answers_without_rows_are_given_too() -> None:
    bench = Bench()

    async def work() -> None:
        actor = bench.actor("0")
        actor.unsaved = Unsaved()
        bench.journal.add(actor, 0, is_asked=False)
        await bench.journal.drain()

    bench.run(work)

    assert len(bench.saved) == 1


def test_the_row_is_written_as_it_was_when_it_was_taken() -> None:
    bench = Bench("not committed")
    actor = bench.actor("0", "a")

    async def work() -> None:
        bench.journal.kick()
        actor.state.status = "completed"  # decided while the flush is on its way, and resent
        await bench.journal.drain()

    bench.run(work)

    assert [batch.executions[0][8] for batch in bench.store.sent] == ["pending", "pending"]


def test_a_write_that_did_not_happen_is_sent_again_with_the_same_number() -> None:
    bench = Bench("not committed", "not committed")
    bench.actor("0", "a")

    bench.run(bench.journal.drain)

    assert [batch.number for batch in bench.store.sent] == [1, 1, 1]
    assert bench.store.written == [1]
    assert not bench.journal.is_stalled
    assert len(bench.saved) == 1


def test_a_write_that_happened_without_an_answer_is_not_sent_again() -> None:
    bench = Bench("committed")
    bench.actor("0", "a")

    bench.run(bench.journal.drain)

    assert len(bench.store.sent) == 1
    assert len(bench.saved) == 1


def test_as_long_as_nobody_says_whether_it_happened_it_is_not_sent_again() -> None:
    bench = Bench("committed", flushed=(StoreTrouble("deaf"), StoreTrouble("deaf")))
    bench.actor("0", "a")

    bench.run(bench.journal.drain)

    assert len(bench.store.sent) == 1
    assert len(bench.saved) == 1


def test_who_lost_a_key_is_told_so_even_if_the_answer_was_lost() -> None:
    bench = Bench("committed")
    loser = bench.actor("0", "a", key=True)

    bench.run(bench.journal.drain)

    assert [saved.winner for saved in bench.saved] == [Winner("exec_winner", "fingerprint", "request")]
    assert not loser.is_active


def test_a_refused_row_stops_its_execution_and_no_other() -> None:
    bench = Bench()
    well = [bench.actor(str(number), "a") for number in range(5)]
    culprit = bench.actor("9", "poison")

    bench.run(bench.journal.drain)

    assert {saved.actor.state.id: saved.error is not None for saved in bench.saved} == {
        **{actor.state.id: False for actor in well}, culprit.state.id: True,
    }  # fmt: skip
    assert not culprit.is_active
    assert bench.fatal == []


def test_work_on_top_of_what_was_refused_is_never_written() -> None:
    bench = Bench()
    culprit = bench.actor("9", "poison")

    async def work() -> None:
        bench.journal.kick()
        culprit.unsaved = Unsaved({"b": Step("b", "running", 1)})
        bench.journal.add(culprit, 1, is_asked=False)
        await bench.journal.drain()

    bench.run(work)

    assert [row[1] for batch in bench.store.sent for row in batch.steps] == ["poison"]


def test_a_fenced_node_ends_and_sends_nothing_more() -> None:
    bench = Bench("fenced")
    bench.actor("0", "a")

    async def work() -> None:
        bench.journal.kick()
        await _pause(bench.loop, 1)

    bench.run(work)

    assert [type(error) for error in bench.fatal] == [Fenced]
    assert len(bench.store.sent) == 1
    assert bench.saved == []


def test_a_database_that_stays_away_ends_the_process_after_the_bound() -> None:
    bench = Bench(*["not committed"] * 10_000, stall_s=10.0)
    bench.actor("0", "a")

    async def work() -> None:
        bench.journal.kick()
        await _pause(bench.loop, 5)
        assert bench.journal.is_stalled
        assert bench.fatal == []
        await _pause(bench.loop, 6)

    bench.run(work)

    assert [type(error) for error in bench.fatal] == [StoreTrouble]
    assert bench.saved == []


def test_too_many_rows_that_wait_are_a_stall() -> None:
    bench = Bench(pending_rows_max=10)
    for number in range(6):
        bench.actor(str(number), "a")

    assert bench.journal.is_stalled
    bench.run(bench.journal.drain)
    assert not bench.journal.is_stalled
