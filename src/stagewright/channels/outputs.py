"""What a handler returned → the message that says so: encoded once, by value or by reference according to its size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from stagewright.model.data import INLINE_BYTES_MAX, DataRef, checksum_of, tier_of
from stagewright.model.execution import Artifact, Failure
from stagewright.model.message import Completed, Failed
from stagewright.ports.objects import ObjectStore
from stagewright.sdk.encode import NotJson, encode_json
from stagewright.sdk.outcome import Result

OUTPUT_BYTES_MAX = 64 * 1024 * 1024


def encode_output(step: str, value: Any, *, bytes_max: int = OUTPUT_BYTES_MAX) -> bytes | Failure:
    """Encode an output as JSON, or say which rule it breaks and how to mend it."""
    if value is None:
        text = f"The handler of stage '{step}' returned nothing: return a JSON value, {{}} if there is nothing to say"
        return Failure("output_missing", text, stage_id=step)
    try:
        encoded = encode_json(value)
    except NotJson as error:
        text = f"The output of stage '{step}' is no JSON: {error}. Return dicts with string keys, lists, strings, "
        return Failure("output_not_json", text + "numbers, booleans or null", stage_id=step)
    if len(encoded) > bytes_max:
        text = f"The output of stage '{step}' has {len(encoded)} bytes, at most {bytes_max} are taken: "
        return Failure("output_too_large", text + "write it as an artifact and return a reference", stage_id=step)
    return encoded


def completed_inline(step: str, attempt: int, encoded: bytes, result: Result | None) -> Completed:
    """Make the message for an output of at most 1 MiB; larger ones go through `completed`."""
    if len(encoded) <= INLINE_BYTES_MAX:
        return Completed(step, attempt, encoded, summary_of(result))
    checksum = checksum_of(encoded)
    ref = DataRef("kv", checksum, len(encoded), checksum)
    return Completed(step, attempt, ref, summary_of(result), content=encoded)


async def completed(
    objects: ObjectStore,
    step: str,
    attempt: int,
    value: Any,
    artifacts: Sequence[Artifact] = (),
) -> Completed | Failed:
    """Make the message for what a handler returned, whatever its size."""
    result = value if isinstance(value, Result) else None
    encoded = encode_output(step, value.output if result else value)
    if isinstance(encoded, Failure):
        return Failed(step, attempt, encoded)
    if tier_of(len(encoded)) == "object":
        ref = await objects.put(encoded)
        message = Completed(step, attempt, ref, summary_of(result))
    else:
        message = await asyncio.to_thread(completed_inline, step, attempt, encoded, result)
    message.artifacts = artifacts
    message.cost_usd_micros = cost_of(result.usage if result else ())
    return message


def summary_of(result: Result | None) -> dict[str, Any] | None:
    """Return the summary as it is kept, None if there is nothing to keep."""
    if result is None:
        return None
    summary = dict(result.summary)
    if not result.continue_:
        summary["continue"] = False
    return summary or None


def cost_of(usage: Sequence[Mapping[str, Any]]) -> int | None:
    """Add up `cost_usd` in micro-dollars; None if no item has one: an unknown cost is not 0."""
    costs = [item["cost_usd"] for item in usage if item.get("cost_usd") is not None]
    return round(sum(costs) * 1_000_000) if costs else None
