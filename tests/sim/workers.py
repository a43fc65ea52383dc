"""Simulated workers: each attempt ends as its seed says, and each assignment is held against the database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from stagewright.channels.inputs import load_inputs
from stagewright.channels.outputs import completed
from stagewright.model.errors import TooLarge, Trouble
from stagewright.model.execution import Artifact, Failure
from stagewright.model.message import Completed, Failed, Lost, Message, Progress
from stagewright.ports.channel import Assignment, Loader, Mailbox, WorkerFacts
from stagewright.sdk.outcome import Result
from tests.sim.history import History
from tests.sim.loop import SimLoop
from tests.sim.objects import SimObjects
from tests.sim.store import ALL_STEPS, POISON, SimDisk

SLOTS = {"one": 1, "few": 3, "free": 0}
"""The simulated workers and how many attempts each performs at once; `free` is direct and has no bound."""

LATENCY_US = (200, 900_000)
PADDING_BYTES = {"inline": 40, "kv": 20_000, "object": 1_100_000}
TWINS = ("duplicate", "late", "wrong")
_NEVER = Failure("never", "this speaks of an attempt that does not exist and must never count")


@dataclass(slots=True)
class _Attempt:
    assignment: Assignment
    chance: random.Random
    is_revoked: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class SimWorkers:
    """`ports.channel.Channel` with scripted workers. Violations of what it is promised go into the history."""

    def __init__(self, *, seed: str, loop: SimLoop, disk: SimDisk, objects: SimObjects, load: Loader,
                 history: History) -> None:  # fmt: skip
        self._seed, self._loop, self._disk = seed, loop, disk
        self._objects, self._load, self._history = objects, load, history
        self._mailbox: Mailbox | None = None
        self.running: dict[tuple[str, str], _Attempt] = {}

    def workers(self) -> Mapping[str, WorkerFacts]:
        """See the port."""
        return {
            name: WorkerFacts(name, "1", "simulated", ("work",), slots, is_direct=slots == 0)
            for name, slots in SLOTS.items()
        }

    async def start(self, mailbox: Mailbox) -> None:
        """See the port."""
        self._mailbox = mailbox

    async def stop(self) -> None:
        """See the port."""
        for attempt in self.running.values():
            attempt.is_revoked = True
        self.running.clear()

    def dispatch(self, assignment: Assignment) -> None:
        """Check what a channel may rely on, then begin."""
        self._check(assignment)
        key = (assignment.execution_id, assignment.step)
        chance = random.Random(f"{self._seed}/{assignment.execution_id}/{assignment.step}/{assignment.attempt}")
        attempt = self.running[key] = _Attempt(assignment, chance)
        self._history.dispatched(assignment)
        self._loop.create_task(self._perform(attempt), name=f"worker-{assignment.step}")

    def revoke(self, execution_id: str, step: str, attempt: int) -> None:
        """See the port; what was taken back may still report, as a real worker might."""
        running = self.running.get((execution_id, step))
        if running is not None and running.assignment.attempt == attempt:
            running.is_revoked = True
            del self.running[execution_id, step]

    # --- what a channel may rely on -------------------------------------------------------------------------

    def _check(self, assignment: Assignment) -> None:
        history, execution_id, step = self._history, assignment.execution_id, assignment.step
        where = f"{execution_id} {step} attempt {assignment.attempt}"
        rows = self._disk.sql(
            f"SELECT status, attempt FROM ({ALL_STEPS}) WHERE execution_id = ? AND step = ?", execution_id, step
        )
        if rows != [("running", assignment.attempt)]:
            history.violation(f"dispatched before its commit: {where}, the database has {rows}")
        if (execution_id, step) in self.running:
            other = self.running[execution_id, step].assignment.attempt
            history.violation(f"dispatched while attempt {other} was neither ended nor revoked: {where}")
        slots = SLOTS[assignment.worker]
        held = sum(each.assignment.worker == assignment.worker for each in self.running.values())
        if slots and held >= slots:
            history.violation(f"more attempts than the {slots} slots of worker '{assignment.worker}': {where}")
        for need, mark in (assignment.inputs.get("up") or {}).items():
            self._check_input(where, execution_id, need, mark)

    def _check_input(self, where: str, execution_id: str, need: str, mark: Any) -> None:
        rows = self._disk.sql(
            "SELECT status, attempt FROM steps WHERE execution_id = ? AND step = ?", execution_id, need
        )
        expected = f"{execution_id}/{need}/{rows[0][1]}" if rows and rows[0][0] == "completed" else None
        if mark != expected:
            self._history.violation(f"input from {need} of {where}: expected {expected}, found {mark!r}")

    # --- what workers do ------------------------------------------------------------------------------------

    async def _check_parts(self, assignment: Assignment) -> None:
        """The outputs of a map are those of its items in their order, with null for those that failed."""
        for need, parts in (assignment.inputs.get("parts") or {}).items():
            try:
                (outputs,) = await load_inputs([parts], self._load)
            except (Trouble, TooLarge) as error:
                self._history.violation(f"the outputs of {need} do not resolve: {error}")
                continue
            rows = self._disk.sql(
                "SELECT item, i.status, i.attempt FROM item_steps i JOIN steps s USING (execution_id) "
                "WHERE stage = step AND execution_id = ? AND stage = ? AND i.round >= s.summary ->> 'since' "
                "ORDER BY item",
                assignment.execution_id, need,
            )  # fmt: skip
            expected = [
                f"{assignment.execution_id}/{need}[{item}]/{attempt}" if status == "completed" else None
                for item, status, attempt in rows
            ]
            found = None if outputs is None else [(part or {}).get("mark") for part in outputs]
            state = self._disk.sql(
                "SELECT status, summary ->> 'total' FROM steps WHERE execution_id = ? AND step = ?",
                assignment.execution_id, need,
            )[0]  # fmt: skip
            is_of_probe = bool(outputs) and "mark" not in (outputs[0] or {"mark": 1})
            if not is_of_probe and found != (expected[: state[1]] if state[0] == "completed" else None):
                self._history.violation(f"the outputs of {need}, {state}, are {found}, expected {expected}")

    async def _perform(self, attempt: _Attempt) -> None:
        chance, inputs = attempt.chance, attempt.assignment.inputs
        await self._check_parts(attempt.assignment)
        if "whole" in inputs:
            try:
                await load_inputs(inputs["whole"], self._load)
            except (Trouble, TooLarge) as error:
                self._history.violation(f"a reference in the inputs of {attempt.assignment} does not resolve: {error}")
        await asyncio.sleep(chance.randint(*LATENCY_US) / 1e6)
        behaviour = self._behaviour(attempt)
        if chance.random() < 0.2:
            self._post(attempt, Progress(attempt.assignment.step, attempt.assignment.attempt, 0.5, "half"))
            await asyncio.sleep(chance.randint(*LATENCY_US) / 1e6)
        if behaviour == "silent":
            return
        message = await self._ending(attempt, behaviour)
        if behaviour == "late":
            await asyncio.sleep(attempt.assignment.timeout_us / 1e6 + chance.random())
        if behaviour == "wrong":
            self._post(attempt, Failed(message.step, message.attempt + 1000, _NEVER))  # type: ignore[union-attr]
        self._post(attempt, message, ends=True)
        if behaviour in TWINS:
            await asyncio.sleep(chance.choice([0.0, 0.01, 1.0]))
            self._post(attempt, await self._ending(attempt, behaviour), ends=True)

    def _behaviour(self, attempt: _Attempt) -> str:
        script = attempt.assignment.inputs.get("script")
        if script:  # the pipeline says how it goes, whatever the seed
            number = min(attempt.assignment.attempt, len(script)) - 1
            return str(script[number])
        if attempt.chance.random() >= self._disk.plan.worker_fault_rate:
            return "ok"
        kinds = ["retry", "retry", "lost", "silent", "duplicate", "late", "wrong", "terminal"]
        return attempt.chance.choice(kinds)

    async def _ending(self, attempt: _Attempt, behaviour: str) -> Message:
        assignment, chance = attempt.assignment, attempt.chance
        step, number = assignment.step, assignment.attempt
        if behaviour == "lost":
            return Lost(step, number, "the simulated worker vanished")
        if behaviour in ("retry", "terminal"):
            after_us = chance.choice([None, 300_000])
            retryable = behaviour == "retry"
            failure = Failure(
                f"simulated_{behaviour}", "as the seed says", "transient", retryable, step, None, after_us
            )
            return Failed(step, number, failure)
        if behaviour == "bug":
            return Completed(step, number, None)  # type: ignore[arg-type]  # no channel may say this
        mark = f"{assignment.execution_id}/{step}/{number}"
        output: dict[str, Any] = {"mark": mark, "padding": "x" * PADDING_BYTES[assignment.inputs.get("size", "inline")]}
        if behaviour == "poison":
            output["note"] = POISON
        usage = [{"cost_usd": 0.25}] if chance.random() < 0.3 else []
        result = Result(output, {"items_processed": number}, usage, behaviour != "stop")
        return await completed(self._objects, step, number, result, await self._artifacts(attempt))

    async def _artifacts(self, attempt: _Attempt) -> list[Artifact]:
        assignment = attempt.assignment
        if not assignment.inputs.get("artifact"):
            return []
        ref = await self._objects.put(orjson.dumps([assignment.execution_id, assignment.step, assignment.attempt]))
        name = f"art_{assignment.execution_id}_{assignment.step}_{assignment.attempt}_{attempt.chance.getrandbits(30)}"
        return [Artifact(name, "result.json", "application/json", ref)]

    def _post(self, attempt: _Attempt, message: Message, *, ends: bool = False) -> None:
        assert self._mailbox is not None, "the channel is not started"
        key = (attempt.assignment.execution_id, attempt.assignment.step)
        if ends and self.running.get(key) is attempt:
            del self.running[key]
        self._mailbox.post(attempt.assignment.execution_id, message)
