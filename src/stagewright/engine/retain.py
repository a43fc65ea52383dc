"""Expiry: references whose time is over, then the bytes that nobody refers to, in small rounds."""

from __future__ import annotations

import asyncio

import orjson

from stagewright.engine.settings import EngineSettings
from stagewright.model.errors import Trouble
from stagewright.ports.clock import Clock
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Params, Store


class Retention:
    """Deletes by reference: condemned first, deleted after a grace, revived by a new reference in between."""

    def __init__(self, store: Store, objects: ObjectStore, clock: Clock, settings: EngineSettings) -> None:
        self._store, self._objects, self._clock, self._settings = store, objects, clock, settings
        self._task: asyncio.Task[None] | None = None
        self._place: int = 0  # in the object store, up to which it has been looked through

    def start(self) -> None:
        """Do a round now and then until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """Stop between two statements; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def round(self) -> int:
        """Do one bounded round; returns how many objects were deleted."""
        now, most, grace = self._clock.now_us(), self._settings.retain_rows_max, self._settings.retain_grace_us
        await self._store.write(
            [
                ("expired_refs", (now, most)),
                ("delete_artifact_rows", (now, most)),
                ("delete_expired_keys", (now, most)),
                ("delete_expired_replies", (now, most)),
                ("condemn_blobs", (now, now - grace, most)),
            ]
        )
        deleted = 0
        for key, storage_type in await self._store.read("condemned_blobs", now - grace, most):
            deleted += await self._delete(key, storage_type, now - grace)
        return deleted + await self._sweep(now - self._settings.retain_orphans_us)

    async def _sweep(self, since_us: int) -> int:
        """Delete old objects that no row knows: of attempts that never completed and submits that were refused."""
        most = self._settings.retain_rows_max
        keys, place = await self._objects.untouched(self._place, since_us=since_us, keys_max=most)
        orphans = await self._store.read("unknown_blobs", orjson.dumps(keys).decode(), len(keys)) if keys else []
        for (key,) in orphans:
            await self._objects.delete(key, untouched_since_us=since_us)
        self._place = place
        return len(orphans)

    async def _delete(self, key: str, storage_type: str, condemned_before: int) -> int:
        """Forget the row first: bytes without a row are waste, a row without bytes would be a lie."""
        statements: list[tuple[str, Params]] = [("delete_blob", (key, condemned_before))]
        if storage_type == "kv":
            statements.append(("delete_content_of_no_blob", (key,)))
        rows = await self._store.write(statements)
        if not rows[0]:
            return 0
        if storage_type == "object":
            await self._objects.delete(key, untouched_since_us=condemned_before)
        return 1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.retain_interval_s)
            try:
                await self.round()
            except Trouble:
                continue  # the next round tries again; the journal decides whether the database is lost
