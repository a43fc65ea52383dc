"""Bounds of the state machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one decision may do, and how much bad luck a step may have."""

    turn_changes_max: int = 1000  # steps that one decision may change
    map_window: int = 1000  # items of one map that are open at once
    items_max: int = 1_000_000  # items of one map
    attempts_lost_max: int = 10  # lost attempts of one step in one round before it fails
