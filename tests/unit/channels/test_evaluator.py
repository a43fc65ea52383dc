"""Expressions that are much work are evaluated in a process of their own, which ends when it takes too much."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from stagewright.app.evaluator import COMMAND
from stagewright.channels.evaluator import EvaluatorSettings, ProcessEvaluator
from stagewright.ports.evaluator import Answer, Question

BOMB = "size(parameters.l.map(x, parameters.l.filter(y, y == x)))"


@asynccontextmanager
async def evaluator(settings: EvaluatorSettings) -> AsyncIterator[ProcessEvaluator]:
    subject = ProcessEvaluator(command=COMMAND, settings=settings, on_line=lambda line: None)
    try:
        yield subject
    finally:
        await subject.stop()


def question(*sources: str, items: int = 3) -> Question:
    return Question(sources, {"parameters": {"l": list(range(items))}, "stages": {"a": {"output": {"x": 1}}}})


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells when a process is gone
        await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


async def test_values_come_back_and_the_process_stays() -> None:
    async with evaluator(EvaluatorSettings()) as subject:
        first = await subject.evaluate(question(BOMB, "stages.a.output.x + 1"))
        second = await subject.evaluate(question("parameters.l.map(x, x * 2)"))

        assert first == {BOMB: Answer(3), "stages.a.output.x + 1": Answer(2)}
        assert second == {"parameters.l.map(x, x * 2)": Answer([0, 2, 4])}
        assert subject.started == 1


async def test_what_has_no_value_is_refused_and_the_rest_is_answered() -> None:
    async with evaluator(EvaluatorSettings()) as subject:
        answers = await subject.evaluate(question("1 / 0", "size(parameters.q)", "1 + 1"))

        assert "divides by zero" in str(answers["1 / 0"].refusal)
        assert answers["size(parameters.q)"].is_vague
        assert answers["1 + 1"] == Answer(2)


async def test_the_loop_goes_on_while_a_bomb_is_evaluated_and_the_bomb_ends() -> None:
    async with evaluator(EvaluatorSettings(timeout_s=0.5)) as subject:
        await subject.evaluate(question("1 + 1"))
        pid = next(iter(subject._links)).pid
        assert pid is not None
        ticks, evaluating = 0, asyncio.ensure_future(subject.evaluate(question(BOMB, "1 + 1", items=30_000)))
        while not evaluating.done():
            ticks += 1
            await asyncio.sleep(0)
        answers = evaluating.result()

        assert ticks > 1_000
        assert "takes more than 0.5 s; move the work into a worker" in str(answers[BOMB].refusal)
        assert f"not evaluated because of {BOMB}" in str(answers["1 + 1"].refusal)
        await asyncio.wait_for(until(lambda: is_gone(pid)), 5)
        assert (await subject.evaluate(question("1 + 1")))["1 + 1"] == Answer(2)
        assert subject.started == 2


async def test_a_process_that_needs_too_much_memory_ends_alone() -> None:
    bomb = "size([1]" + ".map(x, [x, x])" * 60 + ")"
    async with evaluator(EvaluatorSettings(memory_bytes_max=512 * 2**20, timeout_s=60)) as subject:
        answers = await subject.evaluate(question(bomb))

        assert "more than 512 MiB of memory" in str(answers[bomb].refusal)
        assert (await subject.evaluate(question("1 + 1")))["1 + 1"] == Answer(2)


async def test_a_result_that_is_too_large_is_refused() -> None:
    async with evaluator(EvaluatorSettings(result_bytes_max=1_000)) as subject:
        answers = await subject.evaluate(question("parameters.l.map(x, parameters.l)", items=100))

        assert "more than 1000 bytes" in str(answers["parameters.l.map(x, parameters.l)"].refusal)


async def test_values_that_are_too_large_are_refused_before_a_process_sees_them() -> None:
    async with evaluator(EvaluatorSettings()) as subject:
        large = Question(("size(parameters.s)",), {"parameters": {"s": "x" * (9 * 2**20)}})

        assert "too large" in str((await subject.evaluate(large))["size(parameters.s)"].refusal)
        assert subject.started == 0


async def test_one_process_serves_questions_in_turn() -> None:
    async with evaluator(EvaluatorSettings(processes_max=1)) as subject:
        answers = await asyncio.gather(*(subject.evaluate(question(f"1 + {number}")) for number in range(20)))

        assert [each[f"1 + {number}"].value for number, each in enumerate(answers)] == list(range(1, 21))
        assert subject.started == 1


async def test_stopping_and_giving_up_end_what_is_being_evaluated() -> None:
    async with evaluator(EvaluatorSettings(timeout_s=600)) as subject:
        await subject.evaluate(question("1 + 1"))
        pid = next(iter(subject._links)).pid
        assert pid is not None
        evaluating = asyncio.ensure_future(subject.evaluate(question(BOMB, items=30_000)))
        await until(lambda: bool(subject._asked))
        evaluating.cancel()
        await asyncio.wait_for(until(lambda: is_gone(pid)), 5)

        evaluating = asyncio.ensure_future(subject.evaluate(question(BOMB, items=30_000)))
        await until(lambda: bool(subject._asked))
        await asyncio.wait_for(subject.stop(), 5)
        assert "the server stops" in str((await evaluating)[BOMB].refusal)
