"""Objects as files in a folder: written aside, synced, renamed; named by their SHA-256. See docs/decisions/0003."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from stagewright.model.data import DataRef
from stagewright.model.errors import DataLost, TooLarge

CHUNK_BYTES = 256 * 1024


class FileObjects:
    """`ports.objects.ObjectStore` on a local folder. Blocking work happens in threads, a chunk at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / "staging"

    async def put(self, content: bytes) -> DataRef:
        """See the port."""
        return await asyncio.to_thread(self.put_now, content)

    async def put_file(self, path: Path) -> DataRef:
        """See the port."""
        return await asyncio.to_thread(self.put_file_now, path)

    async def put_stream(self, chunks: AsyncIterator[bytes]) -> DataRef:
        """See the port."""
        digest, size = sha256(), 0
        with self._aside() as (file, aside):
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
                digest.update(chunk)
                size += len(chunk)
            await asyncio.to_thread(self._settle, file, aside, digest.hexdigest())
        return _ref(digest.hexdigest(), size)

    def put_now(self, content: bytes) -> DataRef:
        """Store bytes from a thread or another process."""
        digest = sha256(content).hexdigest()
        try:
            os.utime(self._path(digest))  # there already; being touched keeps it from being deleted meanwhile
        except FileNotFoundError:
            with self._aside() as (file, aside):
                file.write(content)
                self._settle(file, aside, digest)
        return _ref(digest, len(content))

    def put_file_now(self, path: Path) -> DataRef:
        """Store a file from a thread or another process; held a chunk at a time."""
        digest, size = sha256(), 0
        with path.open("rb") as source, self._aside() as (file, aside):
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            self._settle(file, aside, digest.hexdigest())
        return _ref(digest.hexdigest(), size)

    async def get(self, ref: DataRef, *, bytes_max: int) -> bytes:
        """See the port."""
        return await asyncio.to_thread(self.get_now, ref, bytes_max=bytes_max)

    def get_now(self, ref: DataRef, *, bytes_max: int) -> bytes:
        """Read and check bytes from a thread or another process."""
        if ref.size_bytes > bytes_max:
            raise TooLarge(f"The object {ref.storage_key} has {ref.size_bytes} bytes, at most {bytes_max} are read")
        with self._open(ref) as file:
            content = file.read(ref.size_bytes + 1)
        if len(content) != ref.size_bytes or "sha256:" + sha256(content).hexdigest() != ref.checksum:
            raise DataLost(f"The object {ref.storage_key} does not have its checksum {ref.checksum}")
        return content

    async def stream(self, ref: DataRef, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the port. The last chunk of a whole read is held back until the checksum holds."""
        end = ref.size_bytes if end is None else min(end, ref.size_bytes)
        is_whole = start == 0 and end == ref.size_bytes
        digest, left = sha256(), end - start
        file = await asyncio.to_thread(self._open, ref)
        try:
            await asyncio.to_thread(file.seek, start)
            while left > 0:
                chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))
                if not chunk:
                    raise DataLost(f"The object {ref.storage_key} is shorter than {ref.size_bytes} bytes")
                left -= len(chunk)
                if is_whole:
                    digest.update(chunk)
                    if left == 0 and "sha256:" + digest.hexdigest() != ref.checksum:
                        raise DataLost(f"The object {ref.storage_key} does not have its checksum {ref.checksum}")
                yield chunk
        finally:
            file.close()

    async def delete(self, key: str, *, untouched_since_us: int) -> None:
        """See the port."""
        await asyncio.to_thread(self._delete_now, self._path_of(key), untouched_since_us)

    async def check(self) -> None:
        """See the port; the object that it writes is always the same and stays."""
        ref = await self.put(b"stagewright check of the object store")
        await self.get(ref, bytes_max=1024)

    def sweep_staging_now(self, older_than_s: float, now_s: float) -> int:
        """Remove what writers that died have left aside; returns how many files."""
        removed = 0
        for entry in self._staging.glob("*") if self._staging.exists() else ():
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime < now_s - older_than_s:
                    entry.unlink()
                    removed += 1
        return removed

    @staticmethod
    def _delete_now(path: Path, untouched_since_us: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime * 1_000_000 < untouched_since_us:
                path.unlink()

    @contextlib.contextmanager
    def _aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._staging.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._staging)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _settle(self, file: BinaryIO, aside: Path, digest: str) -> None:
        """Make the bytes durable under their name: file, then folder, are synced before anyone hears of them."""
        file.flush()
        os.fsync(file.fileno())
        path = self._path(digest)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(path.parent.parent)
            _sync_folder(path.parent.parent.parent)
        aside.replace(path)
        _sync_folder(path.parent)

    def _open(self, ref: DataRef) -> BinaryIO:
        try:
            return self._path_of(ref.storage_key).open("rb")
        except FileNotFoundError:
            raise DataLost(f"The object {ref.storage_key} is not there any more") from None

    def _path(self, digest: str) -> Path:
        return self._root / "cas" / digest[:2] / digest[2:4] / digest

    def _path_of(self, key: str) -> Path:
        prefix, _, digest = key.partition(":")
        assert prefix == "sha256" and len(digest) == 64 and digest.isalnum(), key
        return self._path(digest)


def _ref(digest: str, size_bytes: int) -> DataRef:
    return DataRef("object", f"sha256:{digest}", size_bytes, f"sha256:{digest}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
