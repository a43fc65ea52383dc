"""Drives `decide` with drawn messages as an engine would, and checks the counters after each decision."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from random import Random
from typing import Any

from stagewright.model.decide import decide, next_due
from stagewright.model.decision import Decision, Dispatch, Gather, GoOn, Prepare, apply
from stagewright.model.execution import NEVER_US, STEP_FINAL, Execution, Failure, Step
from stagewright.model.limits import Limits
from stagewright.model.maps import is_gatherable, is_hungry
from stagewright.model.message import (
    Cancel,
    Completed,
    Continue,
    Failed,
    Gathered,
    Granted,
    Halt,
    Lost,
    Mapped,
    Message,
    Progress,
    Queued,
    Retry,
    Skipped,
    Start,
    Timer,
    Unresolved,
)
from stagewright.model.pipeline import NONE_TOLERATED, Pipeline, Stage, Tolerance
from stagewright.model.plan import Plan, make_plan
from stagewright.model.policy import SECOND_US, RetryPolicy

FAILURE = Failure("drawn", "as drawn", "transient", True)
STAGES_MAX = 8
ITEMS_MAX = 4


def drawn_plan(chance: Random) -> Plan:
    """Draw a graph in which every stage needs some of those before it."""
    stages: list[Stage] = []
    for number in range(chance.randint(1, STAGES_MAX)):
        needs = tuple(stage.id for stage in stages if chance.random() < 0.35)
        sleeps = chance.random() < 0.15
        stage = Stage(
            f"s{number}", None if sleeps else "w", needs=needs, sleep_us=3 * SECOND_US if sleeps else None,
            retry=RetryPolicy(chance.randint(1, 3), SECOND_US, jitter="none"), timeout_us=10 * SECOND_US,
            queue_timeout_us=20 * SECOND_US, on_error=chance.choice(("fail", "fail", "continue")),
            when=chance.choice((True, True, "${{ drawn }}")),
        )  # fmt: skip
        if not sleeps and chance.random() < 0.3:
            tolerate = chance.choice((NONE_TOLERATED, Tolerance(1), Tolerance(None, 0.5)))
            items = list(range(chance.randint(0, ITEMS_MAX)))
            stage = replace(stage, for_each=items, max_parallel=chance.randint(1, 3), tolerate=tolerate)
        stages.append(stage)
    direct = {
        stage.id
        for stage in stages
        if stage.worker and (stage.when is True or stage.for_each is not None) and chance.random() < 0.5
    }
    return make_plan(Pipeline("drawn", tuple(stages)), lambda stage: stage.id in direct)


class Driver:
    """One execution, its messages and the deadline that an engine would have armed."""

    def __init__(self, chance: Random, *, turn_changes_max: int) -> None:
        self.chance = chance
        self.limits = Limits(turn_changes_max=turn_changes_max, attempts_lost_max=2)
        self.plan = drawn_plan(chance)
        self.state = Execution(
            id="exec_1", plan=self.plan, pipeline="drawn", version=1, digest="d", parameters=b"{}", created_at=0,
            deadline_at=self.plan.pipeline.timeout_us,
        )  # fmt: skip
        self.now = 0
        self.armed_at = NEVER_US
        self.inner: deque[Message] = deque()  # what an engine sends to the execution by itself
        self.events: list[dict[str, Any]] = []
        self.dispatched: list[tuple[str, int]] = []
        self.loaded: set[str] = set()
        self.gathering: set[str] = set()
        self.items: dict[str, Step] = {}  # as they were last written, also those that left the memory
        self.send(Start())

    # --- sending --------------------------------------------------------------------------------------------

    def send(self, message: Message) -> Decision:
        """Decide, check, apply, check again, and keep what the decision asks for."""
        before = dict(self.state.steps)
        decision = decide(self.state, message, self.now, self.limits)
        self._check_decision(message, decision, before)
        apply(self.state, decision)
        self.events += decision.events
        self.items |= {name: step for name, step in decision.steps.items() if name[-1] == "]"}
        if isinstance(message, Timer) or decision.round is not None:
            self.armed_at = min(next_due(self.state), decision.due_at)
        self.armed_at = min(self.armed_at, decision.due_at)
        for effect in decision.effects:
            if isinstance(effect, GoOn):
                self.inner.append(Continue())
            elif isinstance(effect, Prepare):
                self.loaded.add(effect.step)
            elif isinstance(effect, Gather):
                self.gathering.add(effect.step)
            elif isinstance(effect, Dispatch):
                self.dispatched.append((effect.step, effect.attempt))
        self.check_state()
        return decision

    def drawn_message(self) -> Message:
        """Draw any message: one that fits, a stale one, or one for a step that never was asked."""
        chance = self.chance
        name = chance.choice([*self.plan.stages, *(name for name in self.state.open if name[-1] == "]")])
        step = self.state.steps.get(name)
        attempt = max(0, (step.attempt if step else 0) - chance.choice([0, 0, 0, 0, 1]))
        self.now += chance.choice([0, 0, SECOND_US, 12 * SECOND_US])
        summary = {"continue": False} if chance.random() < 0.05 else None
        if self.inner and chance.random() < 0.5:
            return self.inner.popleft()
        return chance.choice(
            [
                Granted(name), Granted(name), Skipped(name), Queued(name, "no free slot"),
                Unresolved(name, FAILURE), Timer(), Timer(),
                *[Completed(name, attempt, b"{}", summary, cost_usd_micros=5)] * 6, Failed(name, attempt, FAILURE),
                Failed(name, attempt, FAILURE), Lost(name, attempt, "drawn"), Progress(name, attempt, 0.5), Continue(),
                *self._of_maps(name), *self._rare(name),
            ]
        )  # fmt: skip

    def _of_maps(self, name: str) -> list[Message]:
        if name not in self.plan.stages.items_of:
            return []
        return [self._mapped(name)] * 4 + [Gathered(name, b"[]")]

    def _mapped(self, name: str) -> Mapped:
        return Mapped(name, len(self.plan.stages[name].stage.for_each))

    def _rare(self, name: str) -> list[Message]:
        if self.chance.random() > 0.15:
            return []
        return [Cancel("drawn"), Retry(self.chance.choice([None, name])), Retry(None), Halt(FAILURE)]

    def restart(self, loaded: Execution) -> None:
        """Go on with a loaded state, as a node does that has started anew: what ran is lost."""
        self.state = loaded
        self.inner.clear()
        self.gathering = {step.name for step in loaded.open.values() if is_gatherable(step)}
        self.armed_at = next_due(loaded)
        hungry = any(is_hungry(loaded, step, self.limits) for step in loaded.open.values())
        if loaded.backlog or loaded.ending is not None or hungry:
            self.inner.append(Continue())
        for step in list(loaded.open.values()):
            if step.status == "running" and not self.plan.stages[step.name].is_map:
                self.send(Lost(step.name, step.attempt, "the node stopped"))

    def come_to_an_end(self) -> None:
        """Answer everything kindly until the execution ends; bounded by what a kind world needs."""
        for _ in range(40 * STAGES_MAX * (1 + ITEMS_MAX)):
            if self.state.status != "running":
                return
            if self.inner:
                self.send(self.inner.popleft())
                continue
            gatherable = next((step for step in self.state.open.values() if is_gatherable(step)), None)
            if gatherable is not None:
                self.send(Gathered(gatherable.name, b"[]"))
                continue
            at_work = (step for step in self.state.open.values() if step.status == "running")
            running = next((step for step in at_work if not self.plan.stages[step.name].is_map), None)
            ready = next((step for step in self.state.open.values() if step.status == "ready"), None)
            if running is not None:
                self.send(Completed(running.name, running.attempt, b"{}"))
            elif ready is not None:
                self.send(self._mapped(ready.name) if self.plan.stages[ready.name].is_map else Granted(ready.name))
            else:
                assert self.armed_at < NEVER_US, "nothing would ever wake it"
                self.now = max(self.now, self.armed_at)
                self.send(Timer())
        raise AssertionError(f"it does not end: {self.state.steps}")

    # --- checking -------------------------------------------------------------------------------------------

    def _check_decision(self, message: Message, decision: Decision, before: dict[str, Step]) -> None:
        if not isinstance(message, Retry):  # which puts back the steps of a whole round at once
            parents = sum(name in self.plan.stages.items_of for name in decision.steps)
            ended = len(decision.ended_items)
            assert len(decision.steps) <= self.limits.turn_changes_max + parents + ended
        assert not any(step is before.get(name) for name, step in decision.steps.items()), "a step was changed in place"
        started = Counter(event["step"] for event in decision.events if event["type"] == "stage.started")
        maps = self.plan.stages.items_of
        for name, step in decision.steps.items():
            old = before.get(name)
            if name in self.plan.stages:
                assert step.attempt == (old.attempt if old else 0) + (started[name] if name not in maps else 0)
            assert started[name] <= 1
        if isinstance(message, Completed | Failed | Lost) and decision.steps:
            old = before[message.step]
            assert (old.status, old.attempt) == ("running", message.attempt), "a stale result counted"

    def check_state(self) -> None:
        """The counters are what a count from nothing gives."""
        state, steps = self.state, self.state.steps
        final = {name for name, step in steps.items() if step.status in STEP_FINAL}
        assert not any(name[-1] == "]" for name in final), "an item that ended stays in memory"
        assert state.unfinished == len(self.plan.stages) - len(final)
        assert state.open == {
            name: step for name, step in steps.items() if name not in final and step.status != "pending"
        }
        assert len(state.backlog) == len(set(state.backlog))
        if state.status != "running":
            return
        self._check_maps()
        if state.ending is not None or state.backlog:
            assert any(isinstance(message, Continue) for message in self.inner), "nothing makes it go on"
        if state.ending is None:
            self._check_what_can_begin(final)
            assert self.armed_at <= next_due(state), "a deadline is not armed"

    def _check_maps(self) -> None:
        """The tally of each running map is what a count of its open and completed items gives."""
        state = self.state
        for name in self.plan.stages.items_of:
            parent = state.open.get(name)
            items = [each for each in state.open if each.startswith(name + "[")]
            if parent is None or parent.status != "running":
                assert not items or state.ending is not None, "items without their map"
                continue
            tally = parent.summary
            assert tally is not None
            if state.ending is not None:
                continue  # what an end closes is not counted any more
            assert tally["open"] == len(items) <= self.plan.stages[name].stage.max_parallel
            assert tally["completed"] == sum(state.done.get(name, b""))
            assert tally["completed"] + tally["failed"] + tally["open"] <= tally["total"]
            assert all(state.open[each].attempt <= tally["attempts"] + 1 for each in items)
            if is_hungry(state, parent, self.limits):
                assert any(isinstance(message, Continue) for message in self.inner), "a map with room stands still"
            elif not items:
                assert is_gatherable(parent) and name in self.gathering, "a map never ends"

    def _check_what_can_begin(self, final: set[str]) -> None:
        state, stages = self.state, self.plan.stages
        untouched = [name for name in stages if name not in final and name not in state.open]
        left = {name: sum(not self._is_done(need) for need in stages[name].stage.needs) for name in untouched}
        assert {name: state.remaining[name] for name in untouched} == left
        assert {name for name in untouched if not left[name]} == set(state.backlog), (
            "a step that can begin is forgotten"
        )

    def _is_done(self, name: str) -> bool:
        step = self.state.steps.get(name)
        if step is None:
            return False
        goes_on = self.plan.stages[name].stage.on_error == "continue"
        passed_over = step.status == "skipped" and step.waiting == "when"
        return step.status == "completed" or passed_over or (step.status == "failed" and goes_on)

    def check_events(self) -> None:
        """Numbers have no gap, and each step and each execution ends once in a round."""
        assert [event["seq"] for event in self.events] == list(range(1, len(self.events) + 1))
        round_, ended = 1, Counter[Any]()
        for event in self.events:
            if event["type"] == "execution.resumed":
                round_ = event["data"]["round"]
            elif event["type"] in ("execution.completed", "execution.failed", "execution.cancelled"):
                ended[round_] += 1
            elif event["type"] in ("stage.completed", "stage.failed", "stage.skipped", "stage.cancelled"):
                ended[round_, event["step"]] += 1
                assert not ended[round_], "a step ends after its execution"
        assert all(count == 1 for count in ended.values()), ended
        assert len(self.dispatched) == len(set(self.dispatched)), "an attempt was dispatched twice"
