"""Seeded pipelines and clients: random graphs with all that a stage may say, submissions with and without keys."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

ROUND_S = 1.0
LONG_TIMEOUT = "2h"
"""Executions with this timeout must never need it: whoever does hung."""


@dataclass(slots=True)
class Order:
    """One submission by one client; the same `key` with the same `body` is the same request."""

    number: int
    at_s: float
    pipeline: str
    parameters: dict[str, Any]
    request_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    priority: str = "normal"
    execution_id: str | None = None  # once told
    is_done: bool = False  # this client has heard all that it wanted to hear


@dataclass(slots=True)
class Intervention:
    """Something done to the execution of an order: cancelled, retried, watched."""

    kind: Literal["cancel", "retry", "watch"]
    order: int
    at_s: float
    from_first: bool = False
    is_done: bool = False
    resume_after: int = 0  # watchers: the number of the last event that was seen


@dataclass(slots=True)
class Workload:
    """All that the clients of a run want."""

    documents: dict[str, dict[str, Any]]
    orders: list[Order]
    interventions: list[Intervention]
    turn_changes_max: int = 1000
    map_window: int = 1000
    flush_rows_early: int = 384
    flush_rows_max: int = 5000
    slice_us: int = 5000
    slice_turns: int = 16
    allowed: set[str] = field(default_factory=set)  # codes of failures that this workload may bring about


def workload_of(seed: int, *, orders: int = 3, stages: int = 6, pipelines: int = 2) -> Workload:
    """Draw a workload; larger counts make longer runs."""
    chance = random.Random(f"workload/{seed}")
    wide = seed % 4 == 3  # many steps at once, more than one decision may change
    documents = {
        f"p{number}": pipeline(chance, f"p{number}", stages + 3 if wide else stages, wide=wide)
        for number in range(pipelines)
    }
    if seed % 5 == 0:
        _spoil(chance, documents)
    drawn = _orders(chance, documents, orders - 1 if wide else orders)
    workload = Workload(documents, drawn, _interventions(chance, drawn))
    workload.turn_changes_max = chance.choice([1, 2] if wide else [2, 3, 1000])
    workload.map_window = chance.choice([1, 2, 1000])
    workload.flush_rows_early = chance.choice([1, 4, 384])
    workload.flush_rows_max = chance.choice([3, 20, 5000])
    workload.slice_us = chance.choice([1, 5000])
    workload.slice_turns = chance.choice([1, 2, 16])
    return workload


# --- pipelines --------------------------------------------------------------------------------------------------


def pipeline(chance: random.Random, name: str, stages_max: int, *, wide: bool = False) -> dict[str, Any]:
    """Draw a pipeline document: every stage needs some of those before it."""
    stages: list[dict[str, Any]] = []
    for number in range(stages_max if wide else chance.randint(1, stages_max)):
        before = [stage["id"] for stage in stages]
        needs = chance.sample(before, min(len(before), chance.choice([0, 0, 0, 1, 3] if wide else [0, 1, 1, 2, 3])))
        stage = _mapped(chance, _stage(chance, f"s{number}", needs, stages), stages)
        stages.append(
            _conditional(
                chance,
                stage,
                {each["id"] for each in stages if "for_each" in each or each.get("inputs", {}).get("size") == "object"},
            )
        )
    workers = [stage for stage in stages if stage.get("worker") in ("one", "few", "free")]
    if workers:
        chosen = chance.choice(workers)
        chosen["deliverable"] = True
        chosen["inputs"]["artifact"] = True
    return {
        "name": name,
        "parameters": {"type": "object", "properties": {"topic": {"type": "string"}, "text": {"type": "string"}}},
        "timeout": "4s" if chance.random() < 0.1 else LONG_TIMEOUT,
        "stages": stages,
    }


def _stage(chance: random.Random, name: str, needs: list[str], before: list[dict[str, Any]]) -> dict[str, Any]:
    stage: dict[str, Any] = {"id": name, **({"needs": needs} if needs else {})}
    kind = chance.random()
    if kind < 0.12:
        return stage | {"sleep": chance.choice(["10ms", "700ms", "5s"])}
    if kind < 0.35:
        return stage | _probe(chance)
    stage |= {
        "worker": chance.choice(["one", "few", "free"]),
        "timeout": chance.choice(["1500ms", "3s", "10s"]),
        "queue_timeout": "2s" if chance.random() < 0.1 else "1h",
        "retry": {"max_attempts": chance.choice([1, 3, 5]), "initial": chance.choice(["0s", "200ms"]), "max": "1s"},
        "inputs": _inputs(chance, needs, before),
    }
    if chance.random() < 0.25:
        stage["on_error"] = "continue"
    if chance.random() < 0.3:
        stage["priority"] = chance.choice(["low", "high", "critical"])
    return stage


def _mapped(chance: random.Random, stage: dict[str, Any], before: list[dict[str, Any]]) -> dict[str, Any]:
    """Let some stages run over a list; one that runs over no list fails."""
    if chance.random() > 0.25 or stage.get("action", "echo") in ("produce", "count") or "sleep" in stage:
        return stage
    by_id = {each["id"]: each for each in before}
    lists: list[Any] = [[], ["a"], [1, 2, 3], list(range(7)), "${{ [parameters.topic, 'more'] }}"]
    counts = [
        need for need in stage.get("needs", ()) if by_id[need].get("action") == "count" and "when" not in by_id[need]
    ]
    lists += [f"${{{{ stages.{need}.output.items }}}}" for need in counts for _ in range(3)]
    if chance.random() < 0.05:
        lists = ["${{ parameters.topic }}"]
    inputs = stage.get("inputs", {}) | (
        {"item": "${{ item }}", "index": "${{ index }}"} if chance.random() < 0.7 else {}
    )
    mapped = stage | {"for_each": chance.choice(lists), "inputs": inputs, "max_parallel": chance.choice([1, 2, 1000])}
    tolerate = chance.choice([None, {"failed": 1}, {"failed_ratio": 0.5}, {"failed_ratio": 1}])
    return mapped if tolerate is None else mapped | {"tolerate": tolerate}


def _conditional(chance: random.Random, stage: dict[str, Any], large: set[str]) -> dict[str, Any]:
    """Let some stages depend on a condition; one that is no condition fails its stage."""
    if chance.random() > 0.2:
        return stage
    conditions: list[Any] = [
        False,
        True,
        "${{ parameters.topic == 'topic 0' }}",
        "${{ parameters.topic != 'topic 0' }}",
    ]
    conditions += [f"${{{{ stages.{need}.status == 'completed' }}}}" for need in stage.get("needs", ())]
    needs = [need for need in stage.get("needs", ()) if need not in large]
    conditions += [f"${{{{ stages.{need}.output != null }}}}" for need in needs]
    if chance.random() < 0.1:
        conditions = ["${{ parameters.topic }}"]
    return stage | {"when": chance.choice(conditions)}


def _spoil(chance: random.Random, documents: dict[str, dict[str, Any]]) -> None:
    """Let one stage return what the database refuses, or what the engine itself stumbles over."""
    stages = [
        stage for document in documents.values() for stage in document["stages"] if "size" in stage.get("inputs", {})
    ]
    if stages:
        chance.choice(stages)["inputs"]["script"] = chance.choice([["poison"], ["bug"]])


def _probe(chance: random.Random) -> dict[str, Any]:
    action, inputs = chance.choice(
        [
            ("echo", {"text": "hello"}),
            ("echo", {"topic": "${{ parameters.topic }}"}),
            ("sleep", {"seconds": 0.4}),
            ("fail", {"times": 1}),
            ("produce", {"bytes": 30_000}),
            ("count", {"to": 5}),
        ]
    )
    retry = {"max_attempts": 4, "initial": "100ms", "max": "1s"}
    return {"worker": "probe", "action": action, "inputs": inputs, "retry": retry, "timeout": "20s"}


def _inputs(chance: random.Random, needs: list[str], before: list[dict[str, Any]]) -> dict[str, Any]:
    inputs: dict[str, Any] = {"size": chance.choice(["inline"] * 9 + ["kv", "kv", "kv", "object"])}
    by_id = {stage["id"]: stage for stage in before}
    marked = [need for need in needs if "size" in by_id[need].get("inputs", {}) and _always_completes(by_id[need])]
    inputs |= {"parts": {need: f"${{{{ stages.{need}.outputs }}}}" for need in needs if "for_each" in by_id[need]}}
    small = [need for need in marked if by_id[need]["inputs"]["size"] != "object"]
    if small and chance.random() < 0.7:
        inputs["up"] = {need: f"${{{{ stages.{need}.output.mark }}}}" for need in small}
    if marked and chance.random() < 0.5:
        inputs["whole"] = [f"${{{{ stages.{chance.choice(marked)}.output }}}}"]
    if chance.random() < 0.3:
        inputs["topic"] = "about ${{ parameters.topic }}"
    if chance.random() < 0.06:
        inputs["script"] = chance.choice(
            [["stop"], ["poison"], ["late", "ok"], ["lost", "lost", "ok"], ["silent", "ok"]]
        )
    return inputs


def _always_completes(stage: dict[str, Any]) -> bool:
    return stage.get("on_error") != "continue" and "when" not in stage and "for_each" not in stage


# --- clients ----------------------------------------------------------------------------------------------------


def _orders(chance: random.Random, documents: dict[str, Any], count: int) -> list[Order]:
    orders: list[Order] = []
    for number in range(count):
        text = "t" * chance.choice([5] * 16 + [20_000] * 3 + [1_100_000])
        order = Order(
            number, chance.choice([0.0, 0.0, chance.random() * 3]), chance.choice(list(documents)),
            {"topic": f"topic {number}", "text": text}, priority=chance.choice(["low", "normal", "high", "critical"]),
        )  # fmt: skip
        if chance.random() < 0.6:
            order.request_id = f"request-{number}"
        if chance.random() < 0.3:
            order.idempotency_key = f"key-{number}"
        order.fingerprint = f"body-{number}"
        orders.append(order)
    for order in [each for each in orders if each.request_id or each.idempotency_key]:
        if chance.random() < 0.5:
            orders.append(_again(chance, order, len(orders)))
    return orders


def _again(chance: random.Random, order: Order, number: int) -> Order:
    """The same request once more: at the same moment, later, or with another body."""
    again = Order(
        number, order.at_s + chance.choice([0.0, 0.0, 0.001, 2.0]), order.pipeline, order.parameters, order.request_id,
        order.idempotency_key, order.fingerprint, order.priority,
    )  # fmt: skip
    if chance.random() < 0.3:
        again.fingerprint = f"other-{number}"
    return again


def _interventions(chance: random.Random, orders: list[Order]) -> list[Intervention]:
    found: list[Intervention] = []
    for order in orders:
        drawn = chance.random()
        if drawn < 0.25:
            found.append(Intervention("cancel", order.number, order.at_s + chance.random() * 3))
        if 0.1 < drawn < 0.7:
            found.append(Intervention("retry", order.number, 0.0, from_first=chance.random() < 0.3))
            if chance.random() < 0.3:
                found.append(Intervention("retry", order.number, 0.0))
        if drawn > 0.4:
            found.append(Intervention("watch", order.number, order.at_s + chance.random() * 2))
    return found
