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

    async def get(self, ref: DataRef, *, bytes_max: int) -> bytes:
        """Return checked bytes; `DataLost` if missing or damaged, `TooLarge` over the bound."""
        ...

    def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` to `end` (exclusive); a whole read checks the checksum at its end."""
        ...

    async def delete(self, key: str, *, untouched_since_us: int) -> None:
        """Remove an object unless somebody has put it again since that time; idempotent."""
        ...

    async def untouched(self, place: int, *, since_us: int, keys_max: int) -> tuple[list[str], int]:
        """Return keys that nobody has put since that time, looking from a place on, and the place to go on at.

        Looks at a bounded part, and stops soon after `keys_max` keys. Places begin at 0 and come round to it.
        """
        ...

    async def check(self) -> None:
        """Write and read a small object; raises what fails."""
        ...
