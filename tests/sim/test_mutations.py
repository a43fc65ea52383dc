"""A simulation that cannot fail shows nothing: with a rule taken out of the product some seed must break a promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stagewright.engine import rows
from stagewright.engine.core import Engine
from stagewright.engine.journal import Journal
from stagewright.engine.recover import Recovery
from stagewright.model import decide
from stagewright.model.decision import Dispatch
from stagewright.model.message import Completed
from stagewright.store import database
from stagewright.store.queries import queries
from tests.sim.runs import crash_runs, run_once

SEEDS = range(1, 21)


class EagerEngine(Engine):
    """Dispatches before the commit."""

    def _note(self, actor: Any, decision: Any, message: Any, answer: Any) -> None:
        super()._note(actor, decision, message, answer)
        for effect in decision.effects:
            if isinstance(effect, Dispatch):
                self._carry_out(actor, effect)


def violations(engine: type[Engine] = Engine) -> Iterator[str]:
    """Yield what breaks, seed after seed, plain runs first and then some with crashes."""
    for seed in SEEDS:
        yield from run_once(seed, None, engine).violations
    for seed in SEEDS:
        for outcome in crash_runs(seed, 24, engine):
            yield from outcome.violations


def test_without_a_mutation_these_seeds_break_nothing() -> None:
    assert [text for seed in SEEDS for text in run_once(seed).violations] == []


def test_an_effect_before_its_commit_is_found() -> None:
    assert any("dispatched before its commit" in text for text in violations(EagerEngine))


def test_a_result_of_an_attempt_that_is_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decide._HANDLERS[Completed]

    def careless(state: Any, message: Any, *rest: Any) -> None:
        step = state.open.get(message.step)
        if step is not None:
            message.attempt = step.attempt
        real(state, message, *rest)

    monkeypatch.setitem(decide._HANDLERS, Completed, careless)

    assert any("was made by" in text for text in violations())


def test_a_flush_without_its_fence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fence = queries()["flush_fence"]
    assert "AND incarnation = ?2" in fence
    open_gate = fence.replace("AND incarnation = ?2", "AND ?2 IS NOT NULL")
    monkeypatch.setattr(database, "queries", lambda: queries() | {"flush_fence": open_gate})

    assert next(violations(), None) is not None


async def _nobody_lost(journal: Any, batch: Any) -> dict[str, Any]:
    return {}


def _active_though_paused(actor: Any, name: str) -> bool:
    step = actor.state.open.get(name)
    return step is not None and step.status in ("ready", "running")


def _forget_unknown(journal: Any, number: int) -> Any:
    async def never() -> bool:
        return False

    return never()


@pytest.mark.parametrize(
    ("where", "name", "mutant"),
    [
        (Journal, "_is_written", _forget_unknown),
        (Journal, "_losers", _nobody_lost),
        (rows, "_ending", lambda state: None),
        (Engine, "_is_active", staticmethod(_active_though_paused)),
        (Recovery, "_activate", lambda recovery, actor: recovery._engine.actors.update({actor.state.id: actor})),
    ],
    ids=[
        "sent again although it was committed",
        "a lost key is taken for won",
        "an end over several decisions is forgotten",
        "a paused execution keeps its slots",
        "loaded and not woken",
    ],
)
def test_a_recovery_that_forgets_something_is_found(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, mutant: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, mutant)

    assert next(violations(), None) is not None
