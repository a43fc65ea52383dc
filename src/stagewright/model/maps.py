"""A stage over a list: one step per item, begun a window at a time. Pure parts of `decide`.

The stage has a parent step under its own id. While it runs, the parent's `summary` is the tally of its items, so that
each commit holds both together; an item step is in memory only while it is open.
"""

from __future__ import annotations

from typing import Any

from stagewright.model.decision import Decision, Gather, GoOn
from stagewright.model.execution import Execution, Failure, Step
from stagewright.model.limits import Limits
from stagewright.model.transitions import (
    add_event,
    advance,
    begin_step,
    close_step,
    elapsed_ms,
    fail_step,
    renewed,
)


def begin_map(state: Execution, parent: Step, total: int, now: int, limits: Limits, decision: Decision) -> None:
    """Start a map over `total` items; those that an earlier round has completed are kept."""
    before = parent.summary or {}
    kept = state.done.get(parent.name)
    if kept is None or len(kept) != total:
        decision.forgotten.append(parent.name)
        kept, since = None, state.round
    else:
        since = before.get("since", state.round)
    running = renewed(parent, "running", parent.round)
    running.ready_at, running.started_at = parent.ready_at, now
    base = before.get("base", 0)
    running.summary = {
        "total": total, "completed": 0 if kept is None else kept.count(1), "failed": 0, "open": 0, "begun": 0,
        "base": base, "attempts": base, "since": since,
    }  # fmt: skip
    decision.steps[parent.name] = running
    worker = state.plan.stages[parent.name].stage.worker
    add_event(decision, now, "stage.started", {"worker": worker, "items": total}, running)
    go_on(state, parent.name, now, limits, decision)


def go_on(state: Execution, name: str, now: int, limits: Limits, decision: Decision) -> None:
    """Begin items as far as there is room, or come to the end of the map."""
    parent = decision.steps.get(name) or state.open[name]
    if parent.error is not None:
        _fail_map(state, parent, now, limits, decision)
        return
    tally: dict[str, Any] = dict(parent.summary or {})
    kept = None if name in decision.forgotten else state.done.get(name)
    room = min(state.plan.stages[name].stage.max_parallel, limits.map_window)
    index, total = tally["begun"], tally["total"]
    while index < total and tally["open"] < room:
        if kept is not None and kept[index]:
            index = _next_gap(kept, index, total)
            continue
        if len(decision.steps) >= limits.turn_changes_max:
            decision.effects.append(GoOn())
            break
        _begin_item(state, parent, f"{name}[{index}]", tally, now, decision)
        index += 1
    tally["begun"] = index
    put_parent(parent, tally, decision)
    if index == total and not tally["open"]:
        if total:
            decision.effects.append(Gather(name))
        else:
            complete_map(state, name, b"[]", now, limits, decision)


def is_hungry(state: Execution, parent: Step, limits: Limits) -> bool:
    """Say whether a further decision has something to do for a map."""
    tally = parent.summary
    if parent.status != "running" or tally is None:
        return False
    room = min(state.plan.stages[parent.name].stage.max_parallel, limits.map_window)
    return parent.error is not None or (tally["begun"] < tally["total"] and tally["open"] < room)


def pending_again(state: Execution, name: str, *, anew: bool, decision: Decision) -> dict[str, Any]:
    """Prepare a map for the next round; returns what of its tally is kept. `anew`: no item is kept."""
    old = state.steps[name].summary or {}
    decision.reset.extend(open_items(state, name, decision))
    if anew:
        decision.forgotten.append(name)
    since = state.round + 1 if anew else old.get("since", state.round + 1)
    kept = {"base": old.get("attempts", old.get("base", 0)), "since": since}
    return kept | {"total": old["total"]} if "total" in old and not anew else kept


def _next_gap(kept: bytearray, index: int, total: int) -> int:
    gap = kept.find(0, index)
    return total if gap < 0 else gap


def _begin_item(state: Execution, parent: Step, name: str, tally: dict[str, Any], now: int, decision: Decision) -> None:
    tally["open"] += 1
    begin_step(state, Step(name, "ready", tally["base"], parent.round), now, decision)
    tally["attempts"] = max(tally["attempts"], tally["base"] + 1)


def put_parent(parent: Step, tally: dict[str, Any], decision: Decision) -> None:
    """Put a parent with a new tally into the decision; a parent of the state itself is never changed."""
    changed = renewed(parent, "running", parent.round)
    changed.ready_at, changed.started_at = parent.ready_at, parent.started_at
    changed.summary, changed.error = tally, parent.error
    decision.steps[parent.name] = changed


def note_attempt(state: Execution, item: Step, decision: Decision) -> None:
    """Keep the highest attempt of any item: in the next round all attempts have higher numbers."""
    name = state.plan.stages[item.name].stage.id
    parent = decision.steps.get(name) or state.open[name]
    tally = parent.summary or {}
    if item.attempt <= tally["attempts"]:
        return
    noted = {**tally, "attempts": item.attempt}
    if parent.status == "running":
        put_parent(parent, noted, decision)
    else:  # the whole execution came to its end in this very decision
        parent.summary = noted


def end_item(
    state: Execution, item: Step, failure: Failure | None, now: int, limits: Limits, decision: Decision
) -> None:
    """Count an item that became final in this decision; too many failures fail the map."""
    planned = state.plan.stages[item.name]
    name = planned.stage.id
    parent = decision.steps.get(name) or state.open[name]
    tally = dict(parent.summary or {})
    tally["open"] -= 1
    tally["failed" if failure is not None else "completed"] += 1
    if parent.status != "running":  # the whole execution came to its end in this very decision
        parent.summary = tally
        return
    put_parent(parent, tally, decision)
    if decision.status is not None or decision.ending is not None:
        return
    if failure is not None and parent.error is None:
        allowed = planned.stage.tolerate.allowed(tally["total"])
        if tally["failed"] > allowed:
            decision.steps[name].error = _too_many(failure, item.name, name, tally, allowed)
    go_on(state, name, now, limits, decision)


def _too_many(failure: Failure, item: str, name: str, tally: dict[str, Any], allowed: int) -> Failure:
    bound = f"; {allowed} may fail" if allowed else ""
    text = (
        f"{tally['failed']} of {tally['total']} items of stage '{name}' failed{bound}. Item {item}: {failure.message}"
    )
    return Failure(failure.code, text, failure.type, stage_id=name, trace=failure.trace)


def _fail_map(state: Execution, parent: Step, now: int, limits: Limits, decision: Decision) -> None:
    """Close what is open of a map that failed, over several decisions if that is much, then the map itself."""
    tally = dict(parent.summary or {})
    for name in open_items(state, parent.name, decision):
        if len(decision.steps) - (parent.name in decision.steps) >= limits.turn_changes_max:
            decision.effects.append(GoOn())
            break
        close_step(state, name, "cancelled", now, decision)
        tally["open"] -= 1
    put_parent(parent, tally, decision)
    if tally["open"] == 0:
        assert parent.error is not None
        fail_step(state, decision.steps[parent.name], parent.error, now, limits, decision)


def open_items(state: Execution, name: str, decision: Decision) -> list[str]:
    """Return the names of the items of a map that are open after this decision."""
    prefix = name + "["
    names = dict.fromkeys((*state.open, *decision.steps))
    return [
        each
        for each in names
        if each.startswith(prefix) and (decision.steps.get(each) or state.open[each]).status not in _FINAL
    ]


def complete_map(state: Execution, name: str, output: Any, now: int, limits: Limits, decision: Decision) -> None:
    """End a map whose outputs are gathered."""
    parent = decision.steps.get(name) or state.open[name]
    done = renewed(parent, "completed", parent.round)
    done.ready_at, done.started_at, done.completed_at = parent.ready_at, parent.started_at, now
    done.output, done.summary = output, parent.summary
    decision.steps[name] = done
    decision.finished += 1
    data = {
        "duration_ms": elapsed_ms(now, parent.started_at),
        "output_bytes": len(output) if type(output) is bytes else output.size_bytes,
        "summary": public_tally(parent.summary),
    }
    add_event(decision, now, "stage.completed", data, done)
    advance(state, name, now, limits, decision)


def end_early(state: Execution, name: str, decision: Decision) -> None:
    """Note at the parent that an item ends the execution early: the item itself leaves the memory."""
    parent = state.open[name]
    put_parent(parent, {**(parent.summary or {}), "continue": False}, decision)


def is_gatherable(parent: Step) -> bool:
    """Say whether a loaded map only waits for its outputs to be put together."""
    tally = parent.summary
    return (
        parent.status == "running" and tally is not None and parent.error is None
        and tally["begun"] == tally["total"] > 0 and not tally["open"]
    )  # fmt: skip


def public_tally(summary: dict[str, Any] | None) -> dict[str, Any]:
    """Return what others see of a tally: how many items there are, completed and failed."""
    return {key: (summary or {}).get(key, 0) for key in ("total", "completed", "failed")}


_FINAL = ("completed", "failed", "skipped", "cancelled")
