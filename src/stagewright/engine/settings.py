"""Bounds of the engine; each is a setting with a unit."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from stagewright.model.limits import Limits


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Defaults fit one node of two cores on an embedded database."""

    limits: Limits = field(default_factory=Limits)
    flush_rows_max: int = 5_000  # rows in one flush
    flush_rows_early: int = 384  # so many rows are handed over while the loop still decides
    pending_rows_max: int = 200_000  # rows that wait for the journal before new work is refused
    stall_s: float = 10.0  # a journal that cannot write for so long ends the process
    slice_us: int = 5_000  # the engine gives the loop back after so long
    slice_asked: int = 64  # executions of one slice that are served before others because somebody waits for an answer
    slice_turns: int = 16  # executions served between two looks at the clock and at what waits for the journal
    load_page: int = 500  # executions loaded at once at a start
    load_crashes_max: int = 3  # crashes while loading an execution before it is parked
    reference_bytes_max: int = 1024 * 1024  # what an expression may load to look into
    list_bytes_max: int = 8 * 1024 * 1024  # a list that a mapped stage runs over
    outputs_bytes_max: int = 256 * 1024 * 1024  # the outputs of all items of one map together
    event_page_max: int = 500  # events in one row
    load_tries_max: int = 10  # how often a database that does not answer is asked for a value before its step fails
    load_bytes_max: int = 64 * 1024 * 1024  # a value that is loaded for a worker that cannot read references
    progress_interval_us: int = 1_000_000  # between durable progress events of a step
    data_ttl_us: int = 30 * 24 * 3600 * 1_000_000  # outputs and artifacts outside the rows, after their execution
    key_ttl_us: int = 24 * 3600 * 1_000_000  # idempotency keys
    retain_interval_s: float = 60.0
    retain_grace_us: int = 3600 * 1_000_000  # between condemning and deleting an object
    retain_rows_max: int = 500  # rows of one kind in one round

    def __post_init__(self) -> None:
        """Refuse bounds that bound nothing: zero, negative, infinite or no number; names them all."""
        wrong = [name for name, value in asdict(self).items() if name != "limits" and not 0 < value < math.inf]
        wrong += [f"limits.{name}" for name, value in asdict(self.limits).items() if not 0 < value < math.inf]
        if wrong:
            raise ValueError(f"must be above 0 and finite: {', '.join(wrong)}")
