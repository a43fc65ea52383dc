"""The outputs of a map, put together in the order of its items: page after page, never all of them in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import orjson

from stagewright.engine.actor import Actor
from stagewright.engine.resolve import load_bytes
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import KV_BYTES_MAX, DataRef, checksum_of, tier_of
from stagewright.model.errors import TooLarge, Trouble
from stagewright.model.execution import Failure
from stagewright.model.message import Gathered, Message, Unresolved
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Row, Store

PAGE_ROWS = 500
CHUNK_BYTES = 256 * 1024


class Owner(Protocol):
    """The engine, as far as gathering needs it."""

    def post(self, execution_id: str, message: Message) -> None:
        """Put a message into the mailbox of an active execution."""

    def isolate(self, actor: Actor, doing: str, error: Exception) -> None:
        """Pause one execution that met a bug."""


class Gatherer:
    """Reads committed items and writes their outputs as one JSON list: inline, in the kv tier, or as an object."""

    def __init__(self, store: Store, objects: ObjectStore, settings: EngineSettings, owner: Owner) -> None:
        self._store, self._objects, self._settings, self._owner = store, objects, settings, owner
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Stop gathering; it is done again at the next start."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def gather(self, actor: Actor, stage: str) -> None:
        """Begin to put the outputs of a map together whose items are all final and committed."""
        task = asyncio.get_running_loop().create_task(self._gather(actor, stage), name=f"gather-{stage}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self, actor: Actor, stage: str) -> None:
        execution_id = actor.state.id
        tally = actor.state.open[stage].summary
        assert tally is not None
        try:
            chunks = self._chunks(execution_id, stage, tally["since"], tally["total"])
            message: Message = await self._stored(stage, chunks)
        except (Trouble, TooLarge) as error:
            text = f"The outputs of the items of stage '{stage}' cannot be put together: {error.detail}"
            message = Unresolved(stage, Failure(error.code, text, stage_id=stage))
        except Exception as error:
            self._owner.isolate(actor, f"gathering the outputs of stage '{stage}'", error)
            return
        self._owner.post(execution_id, message)

    async def _stored(self, stage: str, chunks: AsyncIterator[bytes]) -> Gathered:
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) > KV_BYTES_MAX:
                return Gathered(stage, await self._objects.put_stream(_chained(bytes(head), chunks)))
        content = bytes(head)
        if tier_of(len(content)) == "inline":
            return Gathered(stage, content)
        checksum = checksum_of(content)
        return Gathered(stage, DataRef("kv", checksum, len(content), checksum), content)

    async def _chunks(self, execution_id: str, stage: str, since: int, total: int) -> AsyncIterator[bytes]:
        """Yield the list's JSON, a chunk at a time; `TooLarge` beyond the bound."""
        buffer, size, after = bytearray(b"["), 0, -1
        while rows := await self._store.read("item_outputs", execution_id, stage, after, since, PAGE_ROWS):
            for row in rows:
                assert row[0] == after + 1, f"item {after + 1} of {stage} is missing"
                after = row[0]
                buffer += b"," if after else b""
                async for piece in self._output(row):
                    buffer += piece
                    if len(buffer) >= CHUNK_BYTES:
                        size = self._bounded(size + len(buffer))
                        yield bytes(buffer)
                        buffer.clear()
        assert after + 1 == total, f"{stage} has {after + 1} items of {total}"
        self._bounded(size + len(buffer))
        yield bytes(buffer + b"]")

    def _bounded(self, size: int) -> int:
        most = self._settings.outputs_bytes_max
        if size > most:
            raise TooLarge(
                f"they have more than {most} bytes (`engine.outputs_bytes_max`): "
                "let the worker write artifacts and return only what later stages need"
            )
        return size

    async def _output(self, row: Row) -> AsyncIterator[bytes]:
        _, output, output_ref = row
        if output is not None:
            yield output.encode()
        elif output_ref is None:
            yield b"null"
        else:
            ref = DataRef.from_json(orjson.loads(output_ref))
            if ref.storage_type != "object":
                yield await load_bytes(self._store, self._objects, ref, bytes_max=KV_BYTES_MAX)
                return
            async for piece in self._objects.stream(ref):
                yield piece


async def _chained(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
