"""Evaluates within the simulated process after a seeded delay: the simulation has no processes beside its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

from stagewright.definitions.evaluate import Unresolved, compute
from stagewright.ports.evaluator import Answer, Question

DELAY_S_MAX = 0.05


class SimEvaluator:
    """The port, with virtual time."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"{seed}/evaluator")

    async def evaluate(self, question: Question) -> Mapping[str, Answer]:
        """See the port."""
        await asyncio.sleep(self._random.uniform(0, DELAY_S_MAX))
        return {source: _answer(source, question) for source in question.sources}

    async def stop(self) -> None:
        """See the port."""


def _answer(source: str, question: Question) -> Answer:
    try:
        return Answer(compute(source, question.context))
    except Unresolved as unresolved:
        return Answer(None, str(unresolved), unresolved.is_vague)
