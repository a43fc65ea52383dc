"""An object store in memory that outlives crashes: whole objects, checked, slow, and now and then unavailable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost, TooLarge

LATENCY_US = (200, 20_000)


class SimObjects:
    """`ports.objects.ObjectStore` on a dictionary by key."""

    def __init__(self, seed: str) -> None:
        self.kept: dict[str, bytes] = {}
        self._touched_at: dict[str, int] = {}
        self._chance = random.Random(f"objects/{seed}")

    async def put(self, content: bytes) -> DataRef:
        """See the port; a crash during the wait leaves nothing behind."""
        await self._wait()
        checksum = checksum_of(content)
        self.kept[checksum] = bytes(content)
        self._touched_at[checksum] = round(asyncio.get_running_loop().time() * 1e6)
        return DataRef("object", checksum, len(content), checksum)

    async def put_file(self, path: Path) -> DataRef:
        """See the port."""
        return await self.put(path.read_bytes())  # noqa: ASYNC240

    async def put_stream(self, chunks: AsyncIterator[bytes]) -> DataRef:
        """See the port."""
        return await self.put(b"".join([chunk async for chunk in chunks]))

    async def get(self, ref: DataRef, *, bytes_max: int) -> bytes:
        """See the port."""
        await self._wait()
        if ref.size_bytes > bytes_max:
            raise TooLarge(f"The object {ref.storage_key} has {ref.size_bytes} bytes, at most {bytes_max} are read")
        content = self.kept.get(ref.storage_key)
        if content is None or checksum_of(content) != ref.checksum:
            raise DataLost(f"The object {ref.storage_key} is missing or damaged")
        return content

    async def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        content = await self.get(ref, bytes_max=ref.size_bytes)
        yield content[start:end]

    async def delete(self, key: str, *, untouched_since_us: int) -> None:
        """See the port."""
        await self._wait()
        if self._touched_at.get(key, 0) <= untouched_since_us:
            self.kept.pop(key, None)

    async def check(self) -> None:
        """See the port."""

    async def _wait(self) -> None:
        await asyncio.sleep(self._chance.randint(*LATENCY_US) / 1e6)
