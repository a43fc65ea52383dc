"""An assignment as it goes to a child: its inputs without the references, and where each of them belongs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagewright.channels.frames import RAWS_MAX
from stagewright.model.data import DataRef
from stagewright.model.errors import TooLarge
from stagewright.ports.channel import Assignment


@dataclass(slots=True)
class Order:
    """The message to a child; `to_load` are the references that the parent must load for it."""

    head: dict[str, Any]
    to_load: list[DataRef]
    raws: list[bytes] = field(default_factory=list)

    def add(self, ref: DataRef, content: bytes) -> None:
        """Let a loaded value go along."""
        self.head["values"].append(ref.storage_key)
        self.raws.append(content)


def order_of(n: int, assignment: Assignment, bytes_max: int) -> Order:
    """Make the message for attempt `n`; `TooLarge` if what its references name has more than `bytes_max` bytes.

    References stand in no JSON that crosses, so that no value of a user can be mistaken for one.
    """
    paths: list[list[str | int]] = []
    refs: dict[str, DataRef] = {}
    inputs = _without_refs(assignment.inputs, [], paths, refs)
    size = sum(ref.size_bytes for ref in refs.values())
    if size > bytes_max:
        raise TooLarge(f"they refer to {size} bytes, at most {bytes_max} are handed over (`input_bytes_max`)")
    objects = [ref for ref in refs.values() if ref.storage_type == "object"]
    to_load = [ref for ref in refs.values() if ref.storage_type != "object"]
    if len(to_load) > RAWS_MAX:
        raise TooLarge(f"they refer to {len(to_load)} values, at most {RAWS_MAX} are handed over")
    head = {
        "t": "do", "n": n, "e": assignment.execution_id, "s": assignment.step, "a": assignment.attempt,
        "w": assignment.worker, "x": assignment.action, "i": inputs, "paths": paths, "values": [],
        "objects": [ref.as_json() for ref in objects],
    }  # fmt: skip
    return Order(head, to_load)


def _without_refs(value: Any, path: list[str | int], paths: list[list[str | int]], refs: dict[str, DataRef]) -> Any:
    """Return the value with null for each reference; note its path with its key at the end."""
    if isinstance(value, DataRef):
        refs[value.storage_key] = value
        paths.append([*path, value.storage_key])
        return None
    if isinstance(value, dict):
        return {key: _without_refs(item, [*path, key], paths, refs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_refs(item, [*path, place], paths, refs) for place, item in enumerate(value)]
    return value
