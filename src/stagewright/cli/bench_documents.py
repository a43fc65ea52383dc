"""The pipelines and bodies of the bench: `probe` echo stages with outputs of about 100 bytes, nothing to evaluate."""

from __future__ import annotations

from typing import Any

CHAIN_STAGES = 10
CHAIN = "bench_chain"
SLEEPER = "bench_sleeper"


def payload(number: int) -> dict[str, Any]:
    """Return what a stage echoes, 100 bytes as JSON."""
    return {"ok": True, "stage": number, "tokens": 128, "text": "x" * 56}


def chain(name: str = CHAIN, stages: int = CHAIN_STAGES) -> dict[str, Any]:
    """Return a pipeline of sequential stages."""
    return {
        "name": name,
        "stages": [
            {"id": f"s{i}", "worker": "probe", "inputs": payload(i), **({"needs": [f"s{i - 1}"]} if i else {})}
            for i in range(stages)
        ],
    }


def fan(width: int) -> dict[str, Any]:
    """Return a pipeline of one stage, `width` parallel ones that need it, and one that needs them all."""
    middle = [{"id": f"f{i}", "worker": "probe", "needs": ["root"], "inputs": payload(i)} for i in range(width)]
    return {
        "name": f"bench_fan_{width}",
        "stages": [
            {"id": "root", "worker": "probe", "inputs": payload(0)},
            *middle,
            {"id": "join", "worker": "probe", "needs": [stage["id"] for stage in middle], "inputs": payload(1)},
        ],
    }


def mapped(width: int) -> dict[str, Any]:
    """Return a pipeline that runs one stage over `width` items, which another stage has counted."""
    return {
        "name": f"bench_map_{width}",
        "stages": [
            {"id": "items", "worker": "probe", "action": "count", "inputs": {"to": width}},
            {"id": "each", "worker": "probe", "for_each": "${{ stages.items.output.items }}", "inputs": payload(0)},
        ],
    }


def sleeper() -> dict[str, Any]:
    """Return a pipeline that is accepted and then waits for longer than any bench lasts."""
    return {
        "name": SLEEPER,
        "parameters": {"type": "object", "properties": {"n": {"type": "string"}}, "additionalProperties": False},
        "stages": [{"id": "s", "sleep": "1h"}],
    }
