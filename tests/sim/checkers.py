"""The invariants, checked from what the outside was told and from the final database, without any engine code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from stagewright.engine.audit import audit
from stagewright.model.data import DataRef
from stagewright.model.errors import DataLost
from tests.sim.objects import SimObjects
from tests.sim.store import ALL_STEPS

if TYPE_CHECKING:
    from tests.sim.world import World

FINAL = ("completed", "failed", "cancelled")
STEP_FINAL = (*FINAL, "skipped", "passed over")
PASSED = ("completed", "passed over")
"""A step is passed over when its own condition skips it; `skipped` is one that an early end has skipped."""
CODES = {
    "simulated_terminal", "simulated_retry", "timeout", "queue_timeout", "worker_lost", "probe_failed", "cancelled",
}  # fmt: skip
"""How executions of the simulated workloads may fail at any time; other codes need a cause in the workload."""


def check(world: World) -> None:
    """Add every broken invariant to the history."""
    executions = {row[0]: row for row in world.disk.sql(
        "SELECT execution_id, pipeline, status, round, last_seq, error, request_id FROM executions"
    )}  # fmt: skip
    events = {execution_id: _events(world, execution_id) for execution_id in executions}
    for checker in (_ended, _acknowledged, _keys, _told, _data, _orphans):
        checker(world, executions, events)
    for execution_id, row in executions.items():
        Story(world, row, events[execution_id]).check()
    check_by_auditor(world)


def check_by_auditor(world: World) -> None:
    """Let the product's own auditor look, too: also at what a crash has left."""

    async def read(query: str, *params: Any) -> list[Any]:
        return world.disk.database.run(query, params)

    auditing = audit(read, now_us=world.now_us, objects=_AtOnce(world.objects.kept))
    try:
        auditing.send(None)
        raise AssertionError("the auditor waits for something")
    except StopIteration as answer:
        for finding in answer.value:
            world.history.violation(f"the auditor found: {finding}")


class _AtOnce(SimObjects):
    """The simulated objects, read without waiting."""

    def __init__(self, kept: dict[str, bytes]) -> None:
        self.kept = kept

    async def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        content = self.kept.get(ref.storage_key)
        if content is None or "sha256:" + sha256(content).hexdigest() != ref.checksum:
            raise DataLost(f"The object {ref.storage_key} is missing or damaged")
        yield content


def _events(world: World, execution_id: str) -> list[dict[str, Any]]:
    pages = world.disk.sql("SELECT events FROM event_pages WHERE execution_id = ? ORDER BY first_seq", execution_id)
    found = [event for (page,) in pages for event in orjson.loads(page)]
    numbers = [event["seq"] for event in found]
    if numbers != list(range(1, len(numbers) + 1)):
        world.history.violation(f"events of {execution_id} have gaps or repeats: {numbers}")
    return found


def _ended(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    for execution_id, row in executions.items():
        _, pipeline, status, _, last_seq, error, _ = row
        if status not in (*FINAL, "paused"):
            world.history.violation(f"{execution_id} has not ended: {status}")
            continue
        if last_seq != len(events[execution_id]) and status != "paused":
            world.history.violation(f"{execution_id}: last_seq {last_seq}, {len(events[execution_id])} events")
        code = orjson.loads(error)["code"] if error else None
        if (status == "completed") != (code is None):
            world.history.violation(f"{execution_id} is {status} with error {error}")
        if code is not None and code not in CODES | _codes_of(world, pipeline, execution_id):
            world.history.violation(f"{execution_id} of {pipeline} ended for a reason that nobody gave: {error}")


def _codes_of(world: World, pipeline: str, execution_id: str) -> set[str]:
    document = world.workload.documents[pipeline]
    codes = {"execution_timeout"} if document["timeout"] == "4s" else set()
    parameters = world.disk.sql("SELECT parameters FROM executions WHERE execution_id = ?", execution_id)[0][0]
    if '"storage_type":"object"' in parameters and b"parameters." in orjson.dumps(document):
        codes.add("too_large")
    if world.plan.poison and b"poison" in orjson.dumps(document):
        codes.add("internal_error")
    if b'["bug"]' in orjson.dumps(document):
        codes.add("internal_error")
    if len(world.plan.crashes) > 3:
        codes.add("internal_error")  # parked after crashes during its load
    for stage in document["stages"]:
        if _looks_into_what_may_be_missing(document, stage):
            codes.add("expression_failed")
    return codes


def _looks_into_what_may_be_missing(document: dict[str, Any], stage: dict[str, Any]) -> bool:
    by_id = {each["id"]: each for each in document["stages"]}
    text = orjson.dumps(stage.get("inputs", {})).decode()
    if "${{ parameters.topic }}" in (stage.get("when"), stage.get("for_each")):
        return True  # which is no condition and no list
    return any(f"stages.{id}." in text and each.get("on_error") == "continue" for id, each in by_id.items())


def _acknowledged(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    history = world.history
    for ack in history.acks:
        if ack.execution_id not in executions:
            history.violation(f"order {ack.number} was told {ack.execution_id}, which does not exist")
    for execution_id, round_ in history.retries.items():
        if execution_id in executions and executions[execution_id][3] < round_:
            history.violation(f"{execution_id}: round {round_} was acknowledged, it has {executions[execution_id][3]}")
    for execution_id, round_ in history.cancels.items():
        ends = [event for event in _of_round(events[execution_id], round_) if event["type"] in _ENDS]
        if [event["type"] for event in ends] != ["execution.cancelled"]:
            history.violation(f"{execution_id} was told to be cancelled in round {round_} and ended with {ends}")
    for execution_id, statuses in history.finals.items():
        written = [event["type"].removeprefix("execution.") for event in events.get(execution_id, ())
                   if event["type"] in (*_ENDS, "execution.paused")]  # fmt: skip
        if any(status not in written for status in statuses):
            history.violation(f"{execution_id} was told to be {statuses}, its events say {written}")


def _of_round(events: list[dict[str, Any]], round_: int) -> list[dict[str, Any]]:
    found, number = [], 1
    for event in events:
        if event["type"] == "execution.resumed":
            number = event["data"]["round"]
        if number == round_:
            found.append(event)
    return found


_ENDS = ("execution.completed", "execution.failed", "execution.cancelled")


def _keys(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    """Exactly one execution for each key, and everybody who used it was told that one."""
    history = world.history
    by_key: dict[tuple[str, str], set[str]] = {}
    orders = world.workload.orders
    for ack in history.acks:
        order = orders[ack.number]
        for kind, key in (("request", order.request_id), ("idempotency", order.idempotency_key)):
            if key is not None:
                by_key.setdefault((kind, key), set()).add(ack.execution_id)
    for (kind, key), told in by_key.items():
        if len(told) > 1:
            history.violation(f"{kind} key {key} was told several executions: {told}")
        if kind == "request":
            there = {execution_id for execution_id, row in executions.items() if row[6] == key}
            if there != told:
                history.violation(f"request {key}: told {told}, in the database {there}")
    for scope, key, execution_id in world.disk.sql("SELECT scope, key, execution_id FROM submit_keys"):
        if execution_id not in executions:
            history.violation(f"key {key} of {scope} names {execution_id}, which does not exist")


def _told(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    for execution_id, told in world.history.told.items():
        written = {event["seq"]: event for event in events.get(execution_id, ())}
        for seq, event in told.items():
            if written.get(seq) != event:
                world.history.violation(
                    f"watchers of {execution_id} were told {event}, the database has {written.get(seq)}"
                )


def _data(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    refs = [orjson.loads(row[0]) for table in ("steps", "item_steps")
            for row in world.disk.sql(f"SELECT output_ref FROM {table} WHERE output_ref NOT NULL")]  # fmt: skip
    refs += [orjson.loads(row[0])["$data_ref"] for row in
             world.disk.sql("SELECT parameters FROM executions WHERE parameters LIKE '{\"$data_ref%'")]  # fmt: skip
    refs += [{"storage_type": kind, "storage_key": key, "size_bytes": size, "checksum": checksum} for
             kind, key, size, checksum in
             world.disk.sql("SELECT storage_type, storage_key, size_bytes, checksum FROM artifacts")]  # fmt: skip
    blobs = {row[0] for row in world.disk.sql("SELECT key FROM blobs")}
    for ref in refs:
        content = _bytes_of(world, ref)
        if content is None or len(content) != ref["size_bytes"]:
            world.history.violation(f"a reference does not resolve: {ref}")
        elif "sha256:" + sha256(content).hexdigest() != ref["checksum"]:
            world.history.violation(f"a reference has another checksum: {ref}")
        if ref["storage_key"] not in blobs:
            world.history.violation(f"nobody would ever remove what lies at {ref}")


def _bytes_of(world: World, ref: dict[str, Any]) -> bytes | None:
    if ref["storage_type"] == "object":
        return world.objects.kept.get(ref["storage_key"])
    rows = world.disk.sql("SELECT bytes FROM contents WHERE key = ?", ref["storage_key"])
    return rows[0][0] if rows else None


def _orphans(world: World, executions: dict[str, Any], events: dict[str, Any]) -> None:
    for table in ("steps", "item_steps", "event_pages", "artifacts", "blob_refs"):
        for (execution_id,) in world.disk.sql(f"SELECT DISTINCT execution_id FROM {table}"):
            if execution_id not in executions:
                world.history.violation(f"{table} has rows of {execution_id}, which does not exist")


class Story:
    """The events of one execution, read as a story of its steps; any turn that cannot be is a violation."""

    def __init__(self, world: World, row: Any, events: list[dict[str, Any]]) -> None:
        self.world, self.events = world, events
        self.id, pipeline, self.status, self.round = row[0], row[1], row[2], row[3]
        self.stages = {stage["id"]: stage for stage in world.workload.documents[pipeline]["stages"]}
        self.state = dict.fromkeys(self.stages, "pending")
        self.attempt = dict.fromkeys(self.stages, 0)
        self.completions: set[tuple[str, int]] = set()
        self.number = 1
        self.is_over = False
        self.is_created = False

    def check(self) -> None:
        """Follow the events, then compare with the rows."""
        for event in self.events:
            kind, _, what = event["type"].partition(".")
            if kind == "execution":
                self._execution(what, event)
            elif kind == "stage":
                self._stage(what, event)
        self._compare_with_rows()

    def _wrong(self, text: str, event: dict[str, Any] | None = None) -> None:
        self.world.history.violation(f"{self.id}: {text}" + (f": {event}" if event else ""))

    def _execution(self, what: str, event: dict[str, Any]) -> None:
        if what == "created":
            if self.is_created:
                self._wrong("created twice", event)
            self.is_created = True
        elif what in FINAL:
            if self.is_over:
                self._wrong("ends twice in one round", event)
            self.is_over = True
            if what == "completed":
                self._check_completed(event)
        elif what == "resumed":
            if event["data"]["round"] != self.number + 1:
                self._wrong(f"round {self.number} is followed by another than the next", event)
            self.number, self.is_over = event["data"]["round"], False
            self._resume(event)

    def _check_completed(self, event: dict[str, Any]) -> None:
        for name, state in self.state.items():
            stage, is_item, _ = name.partition("[")
            goes_on = is_item or self.stages[stage].get("on_error") == "continue"
            if is_item and self.state[stage] == "failed" and state in ("cancelled", "pending"):
                continue  # what was open when the map failed, and what had not begun
            if state not in (*PASSED, "skipped") and not (state == "failed" and goes_on):
                self._wrong(f"completed while {name} is {state}", event)

    def _resume(self, event: dict[str, Any]) -> None:
        again = {name for name, state in self.state.items() if state not in PASSED}
        if event["data"].get("from_stage"):
            again.add(event["data"]["from_stage"])
        for _ in self.stages:
            again |= {name for name, stage in self.stages.items() if again & self._needs(stage)}
        for name, state in self.state.items():
            stage, is_item, _ = name.partition("[")
            anew = stage == event["data"].get("from_stage") or again & self._needs(self.stages[stage])
            if stage in again and (not is_item or anew or state != "completed"):
                self.state[name] = "pending"

    def _needs(self, stage: dict[str, Any]) -> set[str]:
        text = orjson.dumps([stage.get("inputs", {}), stage.get("when"), stage.get("for_each")]).decode()
        return set(stage.get("needs", ())) | {name for name in self.stages if f"stages.{name}." in text}

    def _stage(self, what: str, event: dict[str, Any]) -> None:
        name, attempt = event["step"], event.get("attempt", 0)
        stage = name.partition("[")[0]
        if event["stage_id"] != stage:
            self._wrong("the event names another stage than its step", event)
        state = self.state.setdefault(name, "pending")
        if self.is_over:
            self._wrong("a stage goes on after the end", event)
        if state in STEP_FINAL:
            self._wrong(f"stage {name} was {state} in this round", event)
        if what == "started":
            self._started(name, attempt, event)
        elif what in ("completed", "failed", "retrying", "progress") and not self._is_latest(name, attempt):
            self._wrong(f"speaks of attempt {attempt}, the latest is {self.attempt.get(name)}", event)
        if what == "skipped" and event["data"] == {"reason": "when"}:
            self._passed_over(name, event)
        elif what in ("completed", "failed", "skipped", "cancelled"):
            self.state[name] = what
        elif what in ("started", "waiting", "retrying"):
            self.state[name] = {"started": "running"}.get(what, "waiting")
        if what == "completed":
            if (name, self.number) in self.completions:
                self._wrong("two results of one step in one round", event)
            self.completions.add((name, self.number))

    def _started(self, name: str, attempt: int, event: dict[str, Any]) -> None:
        stage, is_item, _ = name.partition("[")
        before = self.attempt.get(name, 0)
        is_map = not is_item and "for_each" in self.stages[name]
        if not is_map and attempt != before + 1 and not (is_item and self.number > 1 and attempt > before):
            self._wrong(f"attempt {before} is followed by another than the next", event)
        self.attempt[name] = attempt
        if is_item:
            self._item_started(name, stage, event)
            return
        if self.stages[name].get("when") is False:
            self._wrong(f"{name} starts although it must not", event)
        self._check_needs(name, event)

    def _is_latest(self, name: str, attempt: int) -> bool:
        """In a later round the attempts of items have numbers above all before, also where none has begun yet."""
        latest = self.attempt.get(name, 0)
        return attempt == latest or ("[" in name and self.number > 1 and attempt > latest)

    def _item_started(self, name: str, stage: str, event: dict[str, Any]) -> None:
        if self.state[stage] != "running":
            self._wrong(f"an item starts while its stage is {self.state[stage]}", event)
        others = {each: state for each, state in self.state.items() if each.startswith(stage + "[") and each != name}
        at_work = list(others.values()).count("running")
        if at_work >= self.stages[stage]["max_parallel"]:
            self._wrong(f"{at_work} items of {stage} are at work already", event)

    def _passed_over(self, name: str, event: dict[str, Any]) -> None:
        if self.stages[name].get("when", True) is True:
            self._wrong(f"{name} has no condition and is passed over for it", event)
        self._check_needs(name, event)
        self.state[name] = "passed over"

    def _check_needs(self, name: str, event: dict[str, Any]) -> None:
        for need in self._needs(self.stages[name]):
            goes_on = self.stages[need].get("on_error") == "continue"
            if self.state[need] not in PASSED and not (goes_on and self.state[need] == "failed"):
                self._wrong(f"{name} begins while its need {need} is {self.state[need]}", event)

    def _compare_with_rows(self) -> None:
        rows = self.world.disk.sql(
            "SELECT step, iif(status = 'skipped' AND waiting = 'when', 'passed over', status), attempt, output, "
            f"output_ref, round FROM ({ALL_STEPS}) WHERE execution_id = ?",
            self.id,
        )
        if self.number != self.round:
            self._wrong(f"its events speak of {self.number} rounds, its row of {self.round}")
        if self.is_over != (self.status in FINAL):
            self._wrong(f"its row says {self.status}, its events end with {self.events[-1:]}")
        written = {row[0]: row for row in rows}
        for name, state in self.state.items():
            row = written.get(name)
            status = "pending" if row is None else row[1]
            if "[" in name and state == "pending" and row is not None and row[5] < self.round:
                status = "pending"  # the row is of a round before
            if status == "ready":
                status = "pending" if state == "pending" else "waiting"
            if self.status != "paused" and status != state:
                self._wrong(f"stage {name} is {status} in its row and {state} by its events")
            if row is not None and not self._is_latest(name, row[2]):
                self._wrong(
                    f"stage {name} has attempt {row[2]} in its row, its events speak of {self.attempt.get(name)}"
                )
            stage, is_item, _ = name.partition("[")
            is_map = not is_item and "for_each" in self.stages[stage]
            if status == "completed" and self.stages[stage].get("worker") in ("one", "few", "free") and not is_map:
                self._check_mark(name, row)
            if is_map and row is not None:
                self._check_items(name, status)

    def _check_items(self, stage: str, status: str) -> None:
        """The tally is what a count of the items gives, and failures beyond what is tolerated fail the stage."""
        found = self.world.disk.sql(
            "SELECT summary, round FROM steps WHERE execution_id = ? AND step = ?", self.id, stage
        )
        tally = orjson.loads(found[0][0]) if found[0][0] else {}
        if "total" not in tally:
            return
        states = [state for name, state in self.state.items() if name.startswith(stage + "[")]
        completed, failed = states.count("completed"), states.count("failed")
        if status in ("completed", "failed") and (completed, failed) != (tally["completed"], tally["failed"]):
            self._wrong(f"{stage} has {completed} completed and {failed} failed items, its tally says {tally}")
        if status == "completed" and completed + failed != tally["total"]:
            self._wrong(f"{stage} is completed with {states}")
        tolerate = self.stages[stage].get("tolerate", {"failed": 0})
        allowed = tolerate.get("failed", tolerate.get("failed_ratio", 0) * tally["total"])
        if status in ("completed", "failed") and (status == "failed") != (failed > allowed):
            self._wrong(f"{stage} is {status} with {failed} failed items of {tally['total']}")

    def _check_mark(self, name: str, row: Any) -> None:
        """The committed output is the one that this very attempt returned."""
        _, _, attempt, output, output_ref, _ = row
        content = output.encode() if output else _bytes_of(self.world, orjson.loads(output_ref)) or b"{}"
        mark = orjson.loads(content).get("mark")
        if mark != f"{self.id}/{name}/{attempt}":
            self._wrong(f"the result of stage {name}, attempt {attempt}, was made by {mark}")


__all__ = ["Callable", "check"]
