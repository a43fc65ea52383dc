"""The outputs of a map become one JSON list, whatever their size, and never all of them in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from stagewright.definitions import load_value
from stagewright.engine.actor import Actor
from stagewright.engine.bind import Binder
from stagewright.engine.gather import PAGE_ROWS, Gatherer
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.execution import Execution, Step
from stagewright.model.message import Gathered, Message, Unresolved
from stagewright.objects.files import FileObjects

Output = bytes | DataRef | None


class Rows:
    """Committed items, read as the store reads them."""

    def __init__(self, outputs: list[Output], contents: dict[str, bytes]) -> None:
        self.outputs, self.contents = outputs, contents
        self.most = 0

    async def read(self, query: str, *params: Any) -> list[Any]:
        if query == "content":
            return [(self.contents[params[0]],)]
        assert query == "item_outputs"
        _, stage, after, since, limit = params
        assert (stage, since) == ("m", 1)
        page = [_row(item, output) for item, output in enumerate(self.outputs)][after + 1 : after + 1 + limit]
        self.most = max(self.most, len(page))
        return page


def _row(item: int, output: Output) -> tuple[Any, ...]:
    if isinstance(output, DataRef):
        return item, None, orjson.dumps(output.as_json()).decode()
    return item, None if output is None else output.decode(), None


class Mailbox:
    """The engine, as far as gathering needs it."""

    def __init__(self) -> None:
        self.told: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def post(self, execution_id: str, message: Message) -> None:
        self.told.set_result(message)

    def isolate(self, actor: Actor, doing: str, error: Exception) -> None:
        self.told.set_exception(error)


async def gathered(rows: Rows, objects: FileObjects, **settings: int) -> Message:
    document = {"name": "p", "stages": [{"id": "m", "worker": "w", "for_each": [1]}]}
    bound = Binder(lambda worker: None, tuple).bind(load_value(document))
    state = Execution("exec_1", bound.plan, "p", 1, bound.pipeline.digest, b"{}", 1, 2)
    state.open["m"] = Step("m", "running", summary={"total": len(rows.outputs), "since": 1})
    mailbox = Mailbox()
    Gatherer(rows, objects, EngineSettings(**settings), mailbox).gather(Actor(state, bound), "m")  # type: ignore[arg-type]
    return await mailbox.told


@pytest.mark.parametrize(
    ("count", "size", "tier"), [(3, 10, "inline"), (3, 9_000, "kv"), (2 * PAGE_ROWS + 7, 2_000, "object")]
)
async def test_the_list_is_complete_and_in_order(count: int, size: int, tier: str, tmp_path: Path) -> None:
    expected = [{"item": item, "text": "x" * size} for item in range(count)]
    rows, objects = Rows([orjson.dumps(each) for each in expected], {}), FileObjects(tmp_path)

    message = await gathered(rows, objects)

    assert isinstance(message, Gathered)
    if tier == "inline":
        assert isinstance(message.output, bytes)
        content = message.output
    else:
        assert isinstance(message.output, DataRef)
        assert message.output.storage_type == tier
        content = message.content or await objects.get(message.output, bytes_max=1 << 30)
        assert message.output.checksum == checksum_of(content)
    assert orjson.loads(content) == expected
    assert rows.most <= PAGE_ROWS


async def test_failed_items_are_null_and_large_ones_stand_as_values(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    small = b'{"kv":true}'
    kv = DataRef("kv", checksum_of(small), len(small), checksum_of(small))
    large = await objects.put(orjson.dumps("y" * 2_000_000))

    message = await gathered(Rows([None, kv, large, b"4"], {kv.storage_key: small}), objects)

    assert isinstance(message, Gathered) and isinstance(message.output, DataRef)
    found = orjson.loads(await objects.get(message.output, bytes_max=1 << 30))
    assert found == [None, {"kv": True}, "y" * 2_000_000, 4]


async def test_too_much_fails_the_stage_with_the_setting_and_the_mend(tmp_path: Path) -> None:
    message = await gathered(Rows([b'"0123456789"'] * 10, {}), FileObjects(tmp_path), outputs_bytes_max=100)

    assert isinstance(message, Unresolved)
    assert (message.failure.code, message.failure.stage_id) == ("too_large", "m")
    assert "engine.outputs_bytes_max" in message.failure.message


async def test_what_is_lost_fails_the_stage(tmp_path: Path) -> None:
    lost = DataRef("object", "sha256:" + "0" * 64, 5, "sha256:" + "0" * 64)

    message = await gathered(Rows([lost], {}), FileObjects(tmp_path))

    assert isinstance(message, Unresolved) and message.failure.code == "data_lost"
