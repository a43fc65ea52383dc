"""The state machine: state + message + time → decision. Pure; every ending of an attempt comes through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagewright.model import message as messages
from stagewright.model.decision import Decision, Free, GoOn, Revoke
from stagewright.model.execution import NEVER_US, Execution, Failure, Step
from stagewright.model.limits import Limits
from stagewright.model.maps import (
    begin_map,
    complete_map,
    end_early,
    end_item,
    go_on,
    is_gatherable,
    is_hungry,
    note_attempt,
    pending_again,
)
from stagewright.model.message import Message
from stagewright.model.transitions import (
    add_event,
    advance,
    attempt_failed,
    begin,
    begin_step,
    elapsed_ms,
    end_execution,
    fail_step,
    fall_asleep,
    in_seconds,
    put_step,
    renewed,
    skip_step,
    start_attempt,
    step_due,
)


def decide(state: Execution, message: Message, now: int, limits: Limits) -> Decision:
    """Answer a message at `now` (microseconds). A message that comes too late gets an empty decision."""
    decision = Decision()
    decision.ending = state.ending
    _HANDLERS[type(message)](state, message, now, limits, decision)
    for item in decision.retried_items:
        note_attempt(state, item, decision)
    for item, failure in decision.ended_items:
        end_item(state, item, failure, now, limits, decision)
    return decision


def next_due(state: Execution) -> int:
    """Return the earliest deadline of the execution; NEVER_US unless it is running and comes to no end yet."""
    if not _is_live(state):
        return NEVER_US  # no deadline changes anything: one that has passed would come again and again
    first = min((step_due(state, step) for step in state.open.values()), default=NEVER_US)
    return min(first, state.deadline_at)


# --- the messages -----------------------------------------------------------------------------------------------


def _on_start(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    if state.status != "pending":
        return
    add_event(decision, now, "execution.created", _created_data(state))
    add_event(decision, now, "execution.admitted", {"estimate": message.estimate, "reserved": {}})
    add_event(decision, now, "execution.started", {})
    decision.changed, decision.status, decision.started_at = True, "running", now
    decision.due_at = state.deadline_at
    begin(state, state.plan.roots, now, limits, decision)


def _created_data(state: Execution) -> dict[str, Any]:
    return {
        "pipeline": state.pipeline,
        "version": state.version,
        "priority": state.priority,
        "client_id": state.client,
        "request_id": state.request_id,
        "stages": len(state.plan.stages),
    }


def _on_continue(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    if state.ending is not None:
        end_execution(state, *state.ending, now, limits, decision)
        return
    if state.status != "running":
        return
    names = [name for name, _ in zip(state.backlog, range(limits.turn_changes_max), strict=False)]
    decision.taken = len(names)
    begin(state, names, now, limits, decision)
    if len(state.backlog) > decision.taken:
        decision.effects.append(GoOn())
    for name in state.plan.stages.items_of:
        parent = state.open.get(name)
        if parent is not None and is_hungry(state, parent, limits):
            go_on(state, name, now, limits, decision)


def _on_granted(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or step.status != "ready" or not _is_live(state):
        return
    planned = state.plan.stages[step.name]
    if planned.is_map:
        return
    sleep_us = planned.stage.sleep_us
    if sleep_us is None:
        start_attempt(state, step, now, decision, message.worker_id)
        return
    asleep = renewed(step, "ready", step.round)
    asleep.ready_at = step.ready_at
    fall_asleep(state, asleep, sleep_us, now, decision)


def _on_skipped(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or step.status != "ready" or not _is_live(state) or state.plan.stages[step.name].is_item:
        return  # an item has no condition of its own
    decision.effects.append(Free(step.name, step.attempt))
    skip_step(state, step, now, limits, decision)


def _on_mapped(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or step.status != "ready" or not _is_live(state) or not state.plan.stages[step.name].is_map:
        return
    begin_map(state, step, message.total, now, limits, decision)


def _on_gathered(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or not is_gatherable(step) or not _is_live(state):
        return
    complete_map(state, step.name, message.output, now, limits, decision)


def _on_queued(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or step.status != "ready" or step.waiting == message.reason or not _is_live(state):
        return
    waiting = renewed(step, "ready", state.round)
    waiting.waiting, waiting.ready_at, waiting.summary = message.reason, step.ready_at, step.summary
    put_step(state, waiting, decision)
    add_event(decision, now, "stage.waiting", {"reason": message.reason}, step)


def _on_unresolved(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or not _is_live(state):
        return
    if step.status != "ready" and not is_gatherable(step):
        return
    attempt_failed(state, step, message.failure, now, limits, decision)


def _on_completed(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = state.open.get(message.step)
    if step is None or step.status != "running" or step.attempt != message.attempt or not _is_live(state):
        return
    planned = state.plan.stages[step.name]
    if planned.is_item:
        decision.items.append(step.name)
    elif planned.is_map:
        return
    else:
        decision.finished = 1
    done = Step(
        step.name, "completed", step.attempt, step.round, step.failures, step.lost, step.ready_at,
        step.started_at, now, None, None, step.worker_id, message.output, message.summary, None,
        message.cost_usd_micros,
    )  # fmt: skip
    decision.steps[step.name] = done
    if not planned.is_direct:
        decision.effects.append(Free(step.name, step.attempt))
    for artifact in message.artifacts:
        decision.artifacts.append((done, artifact))
        add_event(decision, now, "artifact.created", _artifact_data(artifact), done)
    add_event(decision, now, "stage.completed", _completed_data(step, message, now), done)
    if message.cost_usd_micros is not None:
        decision.changed = True
        decision.cost_usd_micros = (state.cost_usd_micros or 0) + message.cost_usd_micros
    if planned.is_item:
        decision.ended_items.append((done, None))
    if message.summary is not None and message.summary.get("continue") is False:
        if planned.is_item:
            end_early(state, planned.stage.id, decision)
        end_execution(state, "completed", None, now, limits, decision)
        return
    over = _over_budget(state, decision, step)
    if over is not None and state.unfinished > 1:
        add_event(decision, now, "budget.exceeded", {"error": over.as_json()})
        end_execution(state, "failed", over, now, limits, decision)
        return
    if not planned.is_item:
        advance(state, step.name, now, limits, decision)


def _on_failed(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = _attempted(state, message)
    if step is None:
        return
    decision.effects.append(Free(step.name, step.attempt))
    attempt_failed(state, step, message.failure, now, limits, decision)


def _on_lost(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = _attempted(state, message)
    if step is None:
        return
    decision.effects.append(Free(step.name, step.attempt))
    add_event(decision, now, "worker.lost", {"reason": message.reason}, step)
    if message.counts and step.lost >= limits.attempts_lost_max:
        failure = Failure(
            "worker_lost",
            f"The worker vanished in {step.lost + 1} attempts of stage '{step.name}' (last: {message.reason}). "
            "See whether the stage ends its own process, for example by using too much memory",
            "lost",
            stage_id=step.name,
        )
        fail_step(state, step, failure, now, limits, decision)
        return
    again = renewed(step, "ready", state.round)
    again.lost = step.lost + message.counts
    begin_step(state, again, now, decision)


def _on_progress(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    step = _attempted(state, message)
    if step is None:
        return
    add_event(decision, now, "stage.progress", {"progress": message.fraction, "message": message.message}, step)


def _on_timer(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    if not _is_live(state):
        return
    if now >= state.deadline_at:
        text = f"The execution was not done {in_seconds(state.deadline_at - state.created_at)} after it was created. "
        failure = Failure("execution_timeout", text + "Raise the pipeline's `timeout`", "timeout")
        end_execution(state, "failed", failure, now, limits, decision)
        return
    for step in list(state.open.values()):
        if step_due(state, step) > now:
            continue
        if len(decision.steps) >= limits.turn_changes_max or decision.ending is not None:
            decision.due_at = now
            return
        _step_due_now(state, step, now, limits, decision)
        if decision.status is not None:
            return


def _on_cancel(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    if state.is_final:
        return
    failure = Failure("cancelled", message.reason, "cancelled")
    end_execution(state, "cancelled", failure, now, limits, decision)


def _on_retry(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    """Reset what did not complete (and all behind `from_stage`), count needs anew and begin what can begin."""
    if not (state.is_final or state.status == "paused"):
        return
    names = _to_run_again(state, message.from_stage)
    decision.changed, decision.status, decision.round = True, "running", state.round + 1
    decision.deadline_at = now + state.plan.pipeline.timeout_us
    decision.due_at = decision.deadline_at
    decision.ending = None
    for name in names:
        old = state.steps.get(name)
        needs = state.plan.stages[name].stage.needs
        if old is not None:
            decision.reset.append(name)
            decision.steps[name] = pending = Step(name, "pending", old.attempt, state.round + 1)
            if state.plan.stages[name].is_map:
                anew = name == message.from_stage or not names.keys().isdisjoint(needs)
                pending.summary = pending_again(state, name, anew=anew, decision=decision)
        decision.remaining[name] = sum(need in names for need in needs)
    add_event(decision, now, "execution.resumed", {"round": state.round + 1, "from_stage": message.from_stage})
    decision.taken = len(state.backlog)  # what the round before had not begun is among what can begin now
    decision.backlog = [name for name in state.plan.stages if name in names and not decision.remaining[name]]
    decision.effects.append(GoOn())


def _to_run_again(state: Execution, from_stage: str | None) -> dict[str, None]:
    again = {name for name in state.plan.stages if not state.is_passed(name)}
    if from_stage is not None:
        again.add(from_stage)
    behind = list(again)
    while behind:  # also what completed although it needs something that failed (on_error: continue)
        name = behind.pop()
        for successor in state.plan.stages[name].successors:
            if successor not in again:
                again.add(successor)
                behind.append(successor)
    return dict.fromkeys(name for name in state.plan.stages if name in again)


def _step_due_now(state: Execution, step: Step, now: int, limits: Limits, decision: Decision) -> None:
    stage = state.plan.stages[step.name].stage
    if step.status == "running":
        decision.effects.append(Revoke(step.name, step.attempt))
        text = f"Attempt {step.attempt} of stage '{step.name}' was not done after {in_seconds(stage.timeout_us)}. "
        failure = Failure("timeout", text + "Raise its `timeout`, or make it quicker", "timeout", True, step.name)
        attempt_failed(state, step, failure, now, limits, decision)
    elif step.waiting == "sleep":
        done = renewed(step, "completed", step.round)
        done.ready_at, done.started_at, done.completed_at, done.output = step.ready_at, step.started_at, now, b"{}"
        decision.steps[step.name] = done
        decision.finished += 1
        add_event(decision, now, "stage.completed", {"duration_ms": elapsed_ms(now, step.started_at)}, done)
        advance(state, step.name, now, limits, decision)
    elif step.status == "waiting":
        again = renewed(step, "ready", step.round)
        begin_step(state, again, now, decision)
    else:
        decision.effects.append(Free(step.name, step.attempt))
        text = f"Stage '{step.name}' found no free worker within {in_seconds(stage.queue_timeout_us)}: {step.waiting}. "
        failure = Failure(
            "queue_timeout", text + "Add workers, or raise its `queue_timeout`", "timeout", stage_id=step.name
        )
        fail_step(state, step, failure, now, limits, decision)


def _over_budget(state: Execution, decision: Decision, step: Step) -> Failure | None:
    budget, cost = state.budget_usd_micros, decision.cost_usd_micros
    if budget is None or cost is None or cost <= budget:
        return None
    text = f"The execution has cost {cost / 1e6:.6f} USD, over its budget of {budget / 1e6:.6f} USD. "
    return Failure("budget_exceeded", text + "Raise `budget_usd`, then retry", stage_id=step.name)


def _attempted(state: Execution, message: Any) -> Step | None:
    """Return the step whose running attempt a message speaks of; None if that is over."""
    step = state.open.get(message.step)
    if step is None or step.status != "running" or step.attempt != message.attempt or not _is_live(state):
        return None
    return None if state.plan.stages[step.name].is_map else step


def _is_live(state: Execution) -> bool:
    return state.status == "running" and state.ending is None


def _completed_data(step: Step, message: Any, now: int) -> dict[str, Any]:
    data: dict[str, Any] = {"duration_ms": elapsed_ms(now, step.started_at)}
    output = message.output
    data["output_bytes"] = len(output) if type(output) is bytes else output.size_bytes
    if message.summary:
        data["summary"] = message.summary
    return data


def _artifact_data(artifact: Any) -> dict[str, Any]:
    return {
        "artifact_id": artifact.artifact_id,
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size_bytes": artifact.ref.size_bytes,
    }


def _on_halt(state: Execution, message: Any, now: int, limits: Limits, decision: Decision) -> None:
    if state.is_final:
        return
    decision.changed, decision.status, decision.error = True, "paused", message.failure
    decision.ending = None
    for step in state.open.values():
        effect = Revoke if step.status == "running" else Free
        decision.effects.append(effect(step.name, step.attempt))
    add_event(decision, now, "execution.paused", {"error": message.failure.as_json()})


_HANDLERS: dict[type, Callable[[Execution, Any, int, Limits, Decision], None]] = {
    messages.Start: _on_start,
    messages.Continue: _on_continue,
    messages.Granted: _on_granted,
    messages.Skipped: _on_skipped,
    messages.Mapped: _on_mapped,
    messages.Gathered: _on_gathered,
    messages.Queued: _on_queued,
    messages.Unresolved: _on_unresolved,
    messages.Completed: _on_completed,
    messages.Failed: _on_failed,
    messages.Lost: _on_lost,
    messages.Progress: _on_progress,
    messages.Timer: _on_timer,
    messages.Cancel: _on_cancel,
    messages.Retry: _on_retry,
    messages.Halt: _on_halt,
}
