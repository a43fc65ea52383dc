"""What happens to steps and executions within a decision: begin, fail, advance, end. Pure parts of `decide`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stagewright.model.decision import Decision, Dispatch, Free, GoOn, Prepare, Revoke
from stagewright.model.execution import NEVER_US, SKIPPED_BY_WHEN, STEP_FINAL, Execution, Failure, Step
from stagewright.model.limits import Limits


def step_due(state: Execution, step: Step) -> int:
    """Return when something must happen to an open step even if nobody sends a message."""
    planned = state.plan.stages[step.name]
    stage = planned.stage
    if step.status == "running":
        assert step.started_at is not None
        return NEVER_US if planned.is_map else step.started_at + stage.timeout_us
    if step.wake_at is not None:
        return step.wake_at
    assert step.ready_at is not None
    return step.ready_at + stage.queue_timeout_us


# --- steps begin ------------------------------------------------------------------------------------------------


def begin(state: Execution, names: Iterable[str], now: int, limits: Limits, decision: Decision) -> None:
    names = tuple(names)
    for index, name in enumerate(names):
        if len(decision.steps) >= limits.turn_changes_max:
            decision.backlog.extend(names[index:])
            decision.effects.append(GoOn())
            return
        old = decision.steps.get(name) or state.steps.get(name)
        step = Step(name, "ready", 0 if old is None else old.attempt, decision.round or state.round)
        if old is not None and old.summary is not None:
            step.summary = old.summary  # of a map: what of it is kept
        begin_step(state, step, now, decision)


def begin_step(state: Execution, step: Step, now: int, decision: Decision) -> None:
    planned = state.plan.stages[step.name]
    if planned.is_direct:
        start_attempt(state, step, now, decision, None)
        return
    step.ready_at = now
    if planned.stage.sleep_us is not None and planned.stage.when is True:
        fall_asleep(state, step, planned.stage.sleep_us, now, decision)
        return
    decision.effects.append(Prepare(step.name))
    put_step(state, step, decision)


def fall_asleep(state: Execution, step: Step, sleep_us: int, now: int, decision: Decision) -> None:
    step.status, step.waiting, step.wake_at = "waiting", "sleep", now + sleep_us
    step.started_at = now
    add_event(decision, now, "stage.waiting", {"reason": "sleep", "until": step.wake_at}, step)
    put_step(state, step, decision)


def skip_step(state: Execution, step: Step, now: int, limits: Limits, decision: Decision) -> None:
    """Pass over a step whose condition is false; for what needs it that counts as done."""
    skipped = renewed(step, "skipped", step.round)
    skipped.ready_at, skipped.completed_at, skipped.waiting = step.ready_at, now, SKIPPED_BY_WHEN
    skipped.summary = step.summary  # of a map: its attempts go on
    decision.steps[step.name] = skipped
    decision.finished += 1
    add_event(decision, now, "stage.skipped", {"reason": SKIPPED_BY_WHEN}, skipped)
    advance(state, step.name, now, limits, decision)


def start_attempt(state: Execution, step: Step, now: int, decision: Decision, worker_id: str | None) -> None:
    planned = state.plan.stages[step.name]
    attempt = step.attempt + 1
    running = Step(
        step.name, "running", attempt, step.round, step.failures, step.lost, step.ready_at,
        now, None, None, None, worker_id,
    )  # fmt: skip
    decision.steps[step.name] = running
    if attempt > 1 and planned.is_item:
        decision.retried_items.append(running)
    decision.events.append(
        {"type": "stage.started", "at": now, "stage_id": planned.stage.id, "step": step.name, "attempt": attempt,
         "data": planned.started}
    )  # fmt: skip
    decision.effects.append(Dispatch(step.name, attempt))
    due_at = now + planned.stage.timeout_us
    if due_at < decision.due_at:
        decision.due_at = due_at


def renewed(step: Step, status: str, round_: int) -> Step:
    return Step(step.name, status, step.attempt, round_, step.failures, step.lost)


def put_step(state: Execution, step: Step, decision: Decision) -> None:
    decision.steps[step.name] = step
    decision.due_at = min(decision.due_at, step_due(state, step))


# --- attempts end -----------------------------------------------------------------------------------------------


def attempt_failed(
    state: Execution, step: Step, failure: Failure, now: int, limits: Limits, decision: Decision
) -> None:
    retry = state.plan.stages[step.name].stage.retry
    failures = step.failures + 1
    if not failure.retryable or failures >= retry.max_attempts:
        fail_step(state, step, failure, now, limits, decision)
        return
    delay_us = retry.delay_us(failures, f"{state.id}/{step.name}/{step.attempt}")
    if failure.retry_after_us is not None:
        delay_us = max(failure.retry_after_us, delay_us)
    waiting = renewed(step, "waiting", step.round)
    waiting.failures, waiting.waiting, waiting.wake_at = failures, "retry", now + delay_us
    waiting.error, waiting.ready_at = failure, now
    put_step(state, waiting, decision)
    data = {"error": failure.as_json(), "failures": failures, "next_attempt_at": waiting.wake_at}
    add_event(decision, now, "stage.retrying", data, step)


def fail_step(state: Execution, step: Step, failure: Failure, now: int, limits: Limits, decision: Decision) -> None:
    failed = renewed(step, "failed", step.round)
    failed.failures += 1
    failed.ready_at, failed.started_at, failed.completed_at = step.ready_at, step.started_at, now
    failed.error, failed.worker_id = failure, step.worker_id
    decision.steps[step.name] = failed
    add_event(decision, now, "stage.failed", {"error": failure.as_json(), "failures": failed.failures}, step)
    planned = state.plan.stages[step.name]
    if planned.is_item:
        decision.items.append(step.name)
        decision.ended_items.append((failed, failure))
        return
    if planned.is_map:
        failed.summary = step.summary
    decision.finished += 1
    if state.plan.stages[step.name].stage.on_error == "continue":
        advance(state, step.name, now, limits, decision)
    else:
        end_execution(state, "failed", failure, now, limits, decision)


# --- executions advance and end ---------------------------------------------------------------------------------


def advance(state: Execution, name: str, now: int, limits: Limits, decision: Decision) -> None:
    if state.unfinished == decision.finished:
        end_execution(state, "completed", None, now, limits, decision)
        return
    runnable = []
    for successor in state.plan.stages[name].successors:
        left = decision.remaining.get(successor)
        left = (state.remaining[successor] if left is None else left) - 1
        decision.remaining[successor] = left
        if left == 0:
            runnable.append(successor)
    if runnable:
        begin(state, runnable, now, limits, decision)


def end_execution(
    state: Execution, status: str, failure: Failure | None, now: int, limits: Limits, decision: Decision
) -> None:
    """Come to an end: close the steps that are not final, over several decisions if they are many."""
    skip = status == "completed"
    for name in _unfinished(state, decision, pending_too=skip):
        if len(decision.steps) >= limits.turn_changes_max:
            decision.ending = (status, failure)
            decision.changed = True  # with its error in its row it comes to the same end after a crash
            decision.effects.append(GoOn())
            return
        close_step(state, name, "skipped" if skip else "cancelled", now, decision)
    decision.ending = None
    decision.changed, decision.status, decision.completed_at = True, status, now
    decision.error = failure
    data: dict[str, Any] = {"duration_ms": elapsed_ms(now, state.created_at)}
    if failure is not None:
        data["error"] = failure.as_json()
    add_event(decision, now, "execution." + status, data)


def _unfinished(state: Execution, decision: Decision, *, pending_too: bool) -> Iterable[str]:
    changed = decision.steps
    if not pending_too:
        names = dict.fromkeys((*state.open, *changed))
        return [name for name in names if _is_open(changed.get(name) or state.open[name])]
    if state.unfinished == decision.finished:
        return ()
    items = [name for name in state.open if name[-1] == "]" and _is_open(changed.get(name) or state.open[name])]
    return items + [
        name
        for name in state.plan.stages
        if ((step := changed.get(name) or state.steps.get(name)) is None or step.status not in STEP_FINAL)
    ]


def _is_open(step: Step) -> bool:
    return step.status not in STEP_FINAL and step.status != "pending"


def close_step(state: Execution, name: str, status: str, now: int, decision: Decision) -> None:
    """End a step that is not final, or has not begun, without a result."""
    old = decision.steps.get(name) or state.steps.get(name)
    step = Step(name, status, 0, state.round) if old is None else renewed(old, status, old.round)
    step.completed_at = now
    if old is not None and _is_open(old):
        step.ready_at, step.started_at, step.worker_id = old.ready_at, old.started_at, old.worker_id
        effect = Revoke if old.status == "running" else Free
        decision.effects.append(effect(name, old.attempt))
        step.summary = old.summary
    decision.steps[name] = step
    if name[-1] == "]":
        decision.items.append(name)
    else:
        decision.finished += 1
    add_event(decision, now, "stage." + status, {}, step)


# --- events -----------------------------------------------------------------------------------------------------


def add_event(decision: Decision, now: int, type_: str, data: dict[str, Any], step: Step | None = None) -> None:
    event: dict[str, Any] = {"type": type_, "at": now}
    if step is not None:
        name = step.name
        event["stage_id"], event["step"] = name if name[-1] != "]" else name[: name.index("[")], name
        if step.attempt:
            event["attempt"] = step.attempt
    event["data"] = data
    decision.events.append(event)


def elapsed_ms(now: int, since: int | None) -> float:
    return (now - (since or now)) / 1000


def in_seconds(duration_us: int) -> str:
    return f"{duration_us / 1e6:g} s"
