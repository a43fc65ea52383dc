"""The object store: named bytes, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from stagewright.model.data import DataRef


class ObjectStore(Protocol):
    """Objects are kept under their SHA-256, written once and whole, durable when `put` returns."""

    async def put(self, content: bytes) -> DataRef:
        """Store bytes; the same bytes again are stored once."""
        ...

    async def put_file(self, path: Path) -> DataRef:
        """Store a file by streaming it."""
        ...

    async def put_stream(self, chunks: AsyncIterator[bytes]) -> DataRef:
        """Store what comes in chunks, one of them in memory at a time; nothing is stored if they end in an error."""
        ...

    async def get(self, ref: DataRef, *, bytes_max: int) -> bytes:
        """Return checked bytes; `DataLost` if missing or damaged, `TooLarge` over the bound."""
        ...

    def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` to `end` (exclusive); a whole read checks the checksum at its end."""
        ...

    async def delete(self, key: str, *, untouched_since_us: int) -> None:
        """Remove an object unless somebody has put it again since that time; idempotent."""
        ...

    async def check(self) -> None:
        """Write and read a small object; raises what fails."""
        ...
