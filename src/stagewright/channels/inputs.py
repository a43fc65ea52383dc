"""References inside inputs: found once, replaced by their values where a worker cannot read them itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from stagewright.model.data import DataRef
from stagewright.ports.channel import Loader


def find_refs(value: Any) -> Iterator[DataRef]:
    """Yield the references that stand in a JSON value."""
    if isinstance(value, DataRef):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_refs(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from find_refs(item)


def replace_refs(value: Any, replacement: Callable[[DataRef], Any]) -> Any:
    """Return the value with each reference replaced."""
    if isinstance(value, DataRef):
        return replacement(value)
    if isinstance(value, dict):
        return {key: replace_refs(item, replacement) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_refs(item, replacement) for item in value]
    return value


async def load_inputs(value: Any, load: Loader) -> Any:
    """Return the inputs with every reference replaced by the JSON value that it refers to."""
    loaded = {ref.storage_key: orjson.loads(await load(ref)) for ref in set(find_refs(value))}
    return replace_refs(value, lambda ref: loaded[ref.storage_key])
