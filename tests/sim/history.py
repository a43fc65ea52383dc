"""What happened in a run as the outside saw it: what clients were told, what workers were given, what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagewright.ports.channel import Assignment


@dataclass(slots=True)
class Ack:
    """A submission that was told its execution."""

    number: int
    execution_id: str
    is_new: bool


@dataclass(slots=True)
class History:
    """Outlives crashes. `lines` is everything in order, for the comparison of two runs."""

    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    finals: dict[str, list[str]] = field(default_factory=dict)  # statuses told, by execution
    cancels: dict[str, int] = field(default_factory=dict)  # round in which a cancel was acknowledged
    retries: dict[str, int] = field(default_factory=dict)  # rounds that were acknowledged
    told: dict[str, dict[int, Any]] = field(default_factory=dict)  # events told to watchers, by execution and number
    attempts: dict[tuple[str, str, int], int] = field(default_factory=dict)  # dispatches of an attempt
    errors_allowed: set[str] = field(default_factory=set)

    def say(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def violation(self, text: str) -> None:
        """Note that a promise was broken."""
        self.lines.append("VIOLATION " + text)
        self.violations.append(text)

    def dispatched(self, assignment: Assignment) -> None:
        """Note an assignment; the same attempt twice breaks a promise."""
        key = (assignment.execution_id, assignment.step, assignment.attempt)
        self.attempts[key] = self.attempts.get(key, 0) + 1
        self.say(f"dispatch {key}")
        if self.attempts[key] > 1:
            self.violation(f"dispatched twice: {key}")

    def tell(self, execution_id: str, events: list[dict[str, Any]]) -> None:
        """Note events that a watcher was given; a number never means two things."""
        told = self.told.setdefault(execution_id, {})
        for event in events:
            present = told.setdefault(event["seq"], event)
            if present != event:
                self.violation(f"event {event['seq']} of {execution_id} was told as {present} and as {event}")
