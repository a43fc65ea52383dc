"""A pipeline: a named, versioned definition, as the engine sees it. Made by `definitions`, never by hand elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stagewright.model.policy import SECOND_US, RetryPolicy

OnError = Literal["fail", "continue"]

STAGE_TIMEOUT_US = 5 * 60 * SECOND_US
QUEUE_TIMEOUT_US = 3600 * SECOND_US
SILENCE_TIMEOUT_US = 30 * SECOND_US
NO_RETRY_WRITTEN = RetryPolicy()
EXECUTION_TIMEOUT_US = 24 * 3600 * SECOND_US


MAX_PARALLEL = 1_000


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many items of a map may fail before it fails itself; where both bounds are given both hold."""

    failed: int | None = None
    failed_ratio: float | None = None  # 0.0 to 1.0 of all items

    def allowed(self, total: int) -> int:
        """Return how many of `total` items may fail; none unless a bound is given."""
        bounds = [] if self.failed is None else [self.failed]
        if self.failed_ratio is not None:
            bounds.append(int(self.failed_ratio * total + _ROUNDING))
        return min(bounds, default=0)


_ROUNDING = 1e-9  # 29 of 100 are 0.29 of them, although 0.29 * 100 is a little less than 29
NONE_TOLERATED = Tolerance()


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of a pipeline, known by its own symbolic `id`. Either `worker` or `sleep_us` is set."""

    id: str
    worker: str | None
    action: str | None = None  # None: the worker's default action
    worker_version: str | None = None
    template_ref: str | None = None
    needs: tuple[str, ...] = ()  # written needs and those implied by references; in document order, no repeats
    inputs: Any = field(default_factory=dict)  # JSON value; strings may hold `${{ }}`
    demand: Mapping[str, Any] = field(default_factory=dict)  # amounts by pool: a number or an expression
    retry: RetryPolicy = NO_RETRY_WRITTEN
    timeout_us: int = STAGE_TIMEOUT_US  # start to close of one attempt
    queue_timeout_us: int = QUEUE_TIMEOUT_US  # ready to started
    silence_timeout_us: int = SILENCE_TIMEOUT_US  # no sign of life from the worker of a running attempt
    priority: str | None = None  # None: the execution's
    sleep_us: int | None = None
    for_each: Any = None  # a list or a text that is one expression; the stage then has one step per item
    max_parallel: int = MAX_PARALLEL  # open items at once
    tolerate: Tolerance = NONE_TOLERATED
    when: Any = True  # JSON value: true or false, or a text that is one expression; false skips the stage
    on_error: OnError = "fail"
    deliverable: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A definition that passed all checks: ids unique, needs known, no cycle, references upstream."""

    name: str
    stages: tuple[Stage, ...]
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})  # a JSON Schema
    timeout_us: int = EXECUTION_TIMEOUT_US
    budget_usd_micros: int | None = None
    version: int = 0  # 0 until registered
    digest: str = ""  # `sha256:…` of the canonical document
    document: Mapping[str, Any] = field(default_factory=dict)  # canonical form, JSON-able
