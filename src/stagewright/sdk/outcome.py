"""How a handler ends: a value, a `Result`, or one of two errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """An output with what is worth saying about it.

    `output` is a JSON value and not None. `summary` may hold `items_processed`, `quality_score`, `errors`
    (a list of strings) and `continue_` is False to end the pipeline early and cleanly.
    """

    output: Any
    summary: Mapping[str, Any] = field(default_factory=dict)
    usage: Sequence[Mapping[str, Any]] = ()
    continue_: bool = True


class Terminal(Exception):
    """The work cannot succeed however often it is tried; `code` is a stable snake_case word."""

    def __init__(self, message: str, *, code: str = "terminal") -> None:
        super().__init__(message)
        self.code = code


class Retry(Exception):
    """The work may succeed later, not before `after_s` seconds; `pool` names the resource that refused."""

    def __init__(
        self, message: str, *, after_s: float | None = None, code: str = "retry", pool: str | None = None
    ) -> None:
        super().__init__(message)
        self.after_s = after_s
        self.code = code
        self.pool = pool
