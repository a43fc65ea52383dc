"""Evaluates expressions that may be much work, where they block nobody and can be ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """Expressions that are no plain paths, and the JSON values that they name, root first. No repeats."""

    sources: tuple[str, ...]
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON value of an expression, or why it has none; `is_vague`: a missing name would be the better reason."""

    value: Any = None
    refusal: str | None = None
    is_vague: bool = False


class Evaluator(Protocol):
    """Where expressions are evaluated with a deadline and a bound of memory."""

    async def evaluate(self, question: Question) -> Mapping[str, Answer]:
        """Return the answers by source. What is over a bound is refused; the caller's loop is never blocked by it.

        `Trouble` if nothing can be evaluated at all.
        """
        ...

    async def stop(self) -> None:
        """End what is being evaluated, at once; idempotent."""
        ...
