"""One execution's events, read as a story of its steps, and compared with its rows. Part of the auditor; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from stagewright.model.execution import SKIPPED_BY_WHEN
from stagewright.model.pipeline import Pipeline
from stagewright.ports.store import Row

FINDINGS_MAX = 20  # of one execution: the first ones tell what is wrong, the rest follow from them

_FINAL = ("completed", "failed", "cancelled")
_STEP_FINAL = ("completed", "failed", "skipped", "cancelled", "passed over")
_PASSED = ("completed", "passed over")  # `passed over`: skipped by its own condition, not by an early end
_OPEN = ("ready", "waiting", "running")


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken invariant: which one, of which execution (None: of no single one), and what is wrong."""

    invariant: str
    execution_id: str | None
    detail: str


class Story:
    """Is told all event pages, then all steps, then that this was all; gathers findings meanwhile."""

    def __init__(self, row: Row, pipeline: Pipeline | None) -> None:
        self.execution_id, self._status, self._round, self._last_seq, self._completed_at, self._error, _ = row
        self._stages = {stage.id: stage for stage in pipeline.stages} if pipeline else {}
        self.findings: list[Finding] = []
        self._seq = 0
        self._state = dict.fromkeys(self._stages, "pending")
        self._attempts: dict[str, int] = {}
        self._number = 1  # the round that the events speak of
        self._ended: str | None = None
        self._rows: dict[str, str] = {}  # status of each step that has a row

    def _wrong(self, invariant: str, detail: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(invariant, self.execution_id, detail))

    # --- events ---------------------------------------------------------------------------------------------

    def page(self, row: Row) -> None:
        """Take the next page of `audit_pages`."""
        _, first_seq, last_seq, text = row
        try:
            events = orjson.loads(text)
            numbers = [event["seq"] for event in events]
        except (ValueError, KeyError, TypeError) as error:
            self._wrong("events", f"its events {first_seq} to {last_seq} cannot be read: {error}")
            self._seq = last_seq
            return
        if first_seq != self._seq + 1 or numbers != list(range(first_seq, last_seq + 1)):
            self._wrong("events", f"event {self._seq} is followed by {numbers[:5]}, expected {self._seq + 1}")
        self._seq = last_seq
        for event in events:
            self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        kind, _, what = str(event.get("type", "")).partition(".")
        if kind == "stage":
            self._of_step(what, event)
        elif kind == "execution" and what in _FINAL:
            if self._ended is not None:
                self._wrong("one_result", f"it ends in event {event['seq']} although it was {self._ended}")
            self._ended = what
        elif kind == "execution" and what == "resumed":
            self._resume(event)

    def _resume(self, event: dict[str, Any]) -> None:
        number, from_stage = event["data"]["round"], event["data"].get("from_stage")
        if number != self._number + 1:
            self._wrong("rounds", f"round {self._number} is followed by {number} in event {event['seq']}")
        self._number, self._ended = number, None
        stages = {name: state for name, state in self._state.items() if "[" not in name}
        again = {name for name, state in stages.items() if state not in _PASSED or name == from_stage}
        grown = True
        while grown:
            behind = {name for name, stage in self._stages.items() if again.intersection(stage.needs)}
            grown = not behind <= again
            again |= behind
        behind = {name for name, stage in self._stages.items() if again.intersection(stage.needs)}
        anew = {name for name in again if name == from_stage or name in behind}
        for name, state in self._state.items():
            stage, is_item, _ = name.partition("[")
            if name in again or (is_item and stage in again and (stage in anew or state != "completed")):
                self._state[name] = "pending"

    def _of_step(self, what: str, event: dict[str, Any]) -> None:
        name, attempt, seq = event.get("step", ""), event.get("attempt", 0), event["seq"]
        state = self._state.get(name, "pending")
        if self._ended is not None:
            self._wrong("one_result", f"event {seq}, {what} of {name}, comes after its end")
        elif state in _STEP_FINAL:
            self._wrong("one_result", f"event {seq}, {what} of {name}, comes after that was {state} in this round")
        if what == "started":
            self._started(name, attempt, seq)
        elif what in ("completed", "failed", "retrying") and not self._is_latest(name, attempt):
            self._wrong("attempts", f"event {seq} speaks of attempt {attempt} of {name}, the latest did not start it")
        if what == "skipped" and event["data"].get("reason") == SKIPPED_BY_WHEN:
            self._state[name] = "passed over"
            self._check_needs(name, seq)
        elif what in _STEP_FINAL:
            self._state[name] = what
        elif what in ("started", "waiting", "retrying"):
            self._state[name] = "open"

    def _started(self, name: str, attempt: int, seq: int) -> None:
        stage, is_item, _ = name.partition("[")
        if not is_item and name in self._stages and self._stages[name].for_each is not None:
            self._check_needs(name, seq)  # a map as a whole has no attempts
            return
        before = self._attempts.get(name, 0)
        if attempt <= before or (attempt > before + 1 and not (is_item and self._number > 1)):
            self._wrong("attempts", f"attempt {attempt} of {name} starts in event {seq} after attempt {before}")
        self._attempts[name] = attempt
        if is_item and self._state.get(stage) != "open":
            self._wrong("order", f"{name} begins in event {seq} while {stage} is {self._state.get(stage)}")
        self._check_needs(name, seq)

    def _is_latest(self, name: str, attempt: int) -> bool:
        """In a later round the attempts of items have numbers above all before, also where none has begun yet."""
        latest = self._attempts.get(name, 0)
        return attempt == latest or ("[" in name and self._number > 1 and attempt > latest)

    def _check_needs(self, name: str, seq: int) -> None:
        stage = self._stages.get(name)
        for need in stage.needs if stage else ():
            if not self._is_done(need, self._state.get(need)):
                self._wrong("order", f"{name} begins in event {seq} while its need {need} is {self._state.get(need)}")

    def _is_done(self, name: str, state: str | None) -> bool:
        if state in _PASSED:
            return True
        return state == "failed" and name in self._stages and self._stages[name].on_error == "continue"

    # --- rows -----------------------------------------------------------------------------------------------

    def step(self, row: Row) -> None:
        """Take a row of `audit_steps`."""
        _, name, status, attempt, round_, waiting = row
        if status == "skipped" and waiting == SKIPPED_BY_WHEN:
            status = "passed over"
        self._rows[name] = status
        is_item = "[" in name
        if self._stages and name.partition("[")[0] not in self._stages:
            self._wrong("definition", f"it has a step {name}, its definition has none")
            return
        if status == "waiting" and not waiting:
            self._wrong("ended", f"step {name} waits without a reason")
        if not self._is_latest(name, attempt):
            self._wrong("attempts", f"step {name} is at attempt {attempt}, its events at {self._attempts.get(name, 0)}")
        told = self._state.get(name, "pending")
        if is_item and told == "pending" and round_ < self._round:
            return  # it will begin anew
        if (status in _STEP_FINAL or told in _STEP_FINAL) and status != told:
            self._wrong("status", f"step {name} is {status} in its row and {told} by its events")
        if status in _OPEN and self._status in _FINAL:
            self._wrong("ended", f"step {name} is {status} although the execution is {self._status}")

    def end(self) -> None:
        """All was told: compare the whole."""
        if self._number != self._round:
            self._wrong("rounds", f"its row is in round {self._round}, its events in {self._number}")
        if self._last_seq > self._seq or (self._status in _FINAL and self._last_seq != self._seq):
            self._wrong("events", f"its row says that event {self._last_seq} is the last, there are {self._seq}")
        told = self._ended or "open"
        if told != (self._status if self._status in _FINAL else "open"):
            self._wrong("status", f"it is {self._status} in its row and {told} by its events")
        for name, state in self._state.items():
            if state in _STEP_FINAL and name not in self._rows:
                self._wrong("status", f"step {name} is {state} by its events and has no row")
        if self._stages:
            self._check_whole()

    def _check_whole(self) -> None:
        statuses = {name: self._rows.get(name, "pending") for name in self._stages}
        if self._status == "completed":
            for name, status in statuses.items():
                if status != "skipped" and not self._is_done(name, status):
                    self._wrong("ended", f"it is completed and its step {name} is {status}")
        elif self._status in ("pending", "running") and self._error is None and not self._can_go_on(statuses):
            self._wrong("ended", f"it is {self._status} and nothing of it can go on: {_few(statuses)}")
        elif self._status == "paused" and self._error is None:
            self._wrong("ended", "it is paused without a reason")

    def _can_go_on(self, statuses: dict[str, str]) -> bool:
        if any(status in _OPEN for status in statuses.values()):
            return True
        if any(status == "skipped" for status in statuses.values()):
            return True  # it comes to an early end, over several decisions
        return any(
            status == "pending" and all(self._is_done(need, statuses[need]) for need in self._stages[name].needs)
            for name, status in statuses.items()
        )


def _few(statuses: dict[str, str]) -> str:
    return ", ".join(f"{name} {status}" for name, status in list(statuses.items())[:5])
