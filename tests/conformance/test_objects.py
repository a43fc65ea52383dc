"""What every object store behind `ports.objects` must do. A new adapter joins by a line in `STORES`."""

from __future__ import annotations

import os
import stat
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost, TooLarge
from stagewright.objects import files
from stagewright.objects.files import CHUNK_BYTES, FileObjects
from stagewright.ports.objects import ObjectStore

STORES: dict[str, Callable[[Path], ObjectStore]] = {"files": FileObjects}
CONTENT = bytes(range(256)) * 4 * 1024 * 2 + b"the end"  # eight chunks and a bit
FAR_FUTURE_US = 1 << 62


@pytest.fixture(params=STORES)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return STORES[request.param](tmp_path / "objects")


async def read(objects: ObjectStore, ref: DataRef, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in objects.stream(ref, start, end)])


# --- every store ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["nothing", "a byte", "many chunks"])
async def test_what_was_put_comes_back_with_its_checksum_as_its_name(objects: ObjectStore, content: bytes) -> None:
    ref = await objects.put(content)

    assert ref == DataRef("object", checksum_of(content), len(content), checksum_of(content))
    assert await objects.get(ref, bytes_max=len(content)) == content
    assert await read(objects, ref) == content


async def test_a_file_and_its_bytes_are_the_same_object(objects: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)

    assert await objects.put_file(path) == await objects.put(CONTENT)
    assert path.read_bytes() == CONTENT


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def chunks_of(content: bytes, size: int, error: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if error is not None:
        raise error


async def test_a_stream_and_its_bytes_are_the_same_object(objects: ObjectStore) -> None:
    ref = await objects.put_stream(chunks_of(CONTENT, 70_001))

    assert ref == await objects.put(CONTENT)
    assert await read(objects, ref) == CONTENT


async def test_a_stream_that_breaks_off_leaves_nothing(objects: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"):
        await objects.put_stream(chunks_of(CONTENT, 70_001, OSError("broken")))

    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (1, 2), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (len(CONTENT) - 3, None), (5, len(CONTENT) + 99), (7, 7)],
)
async def test_a_range_is_that_range(objects: ObjectStore, start: int, end: int | None) -> None:
    ref = await objects.put(CONTENT)

    assert await read(objects, ref, start, end) == CONTENT[start:end]


async def test_more_than_the_bound_is_not_read(objects: ObjectStore) -> None:
    ref = await objects.put(b"four")

    with pytest.raises(TooLarge, match="4 bytes, at most 3"):
        await objects.get(ref, bytes_max=3)


async def test_what_is_not_there_is_lost_data(objects: ObjectStore) -> None:
    ref = DataRef("object", checksum_of(b"never put"), 9, checksum_of(b"never put"))

    with pytest.raises(DataLost):
        await objects.get(ref, bytes_max=100)
    with pytest.raises(DataLost):
        await read(objects, ref)


async def test_a_deleted_object_is_gone_and_deleting_is_idempotent(objects: ObjectStore) -> None:
    ref = await objects.put(b"short lived")

    await objects.delete(ref.storage_key, untouched_since_us=FAR_FUTURE_US)
    await objects.delete(ref.storage_key, untouched_since_us=FAR_FUTURE_US)

    with pytest.raises(DataLost):
        await objects.get(ref, bytes_max=100)


async def test_what_somebody_put_again_meanwhile_is_not_deleted(objects: ObjectStore) -> None:
    ref = await objects.put(b"wanted again")

    await objects.delete(ref.storage_key, untouched_since_us=0)

    assert await objects.get(ref, bytes_max=100) == b"wanted again"


async def test_the_check_of_a_working_store_passes_twice(objects: ObjectStore) -> None:
    await objects.check()
    await objects.check()


# --- files alone ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


def path_of(folder: Path, ref: DataRef) -> Path:
    digest = ref.storage_key.removeprefix("sha256:")
    return folder / "cas" / digest[:2] / digest[2:4] / digest


@pytest.mark.parametrize("at", [0, CHUNK_BYTES, len(CONTENT) - 1], ids=["first", "middle", "last byte"])
async def test_a_damaged_file_is_never_handed_out_whole(folder: Path, at: int) -> None:
    objects = FileObjects(folder)
    ref = await objects.put(CONTENT)
    path_of(folder, ref).write_bytes(CONTENT[:at] + b"!" + CONTENT[at + 1 :])

    with pytest.raises(DataLost, match="checksum"):
        await objects.get(ref, bytes_max=len(CONTENT))
    received = b""
    with pytest.raises(DataLost, match="checksum"):
        async for chunk in objects.stream(ref):
            received += chunk
    assert len(received) < len(CONTENT)


async def test_a_file_cut_short_is_lost_data(folder: Path) -> None:
    objects = FileObjects(folder)
    ref = await objects.put(CONTENT)
    path_of(folder, ref).write_bytes(CONTENT[:-1])

    with pytest.raises(DataLost):
        await objects.get(ref, bytes_max=len(CONTENT))
    with pytest.raises(DataLost, match="shorter"):
        await read(objects, ref)


async def test_bytes_are_synced_before_they_have_their_name_and_the_name_before_anyone_hears(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        done.append(("sync", "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"))
        real_sync(handle)

    def replace(self: Path, target: Path) -> Path:
        done.append(("rename", target.name))
        return real_replace(self, target)

    monkeypatch.setattr(files.os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)

    ref = await FileObjects(folder).put(CONTENT)

    name = path_of(folder, ref).name
    assert done[0] == ("sync", "file")
    assert done[-2:] == [("rename", name), ("sync", "folder")]
    assert done[1:-2], "the new folders were not synced into theirs"
    assert set(done[1:-2]) == {("sync", "folder")}


async def test_a_write_that_fails_leaves_neither_an_object_nor_a_staging_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    objects = FileObjects(folder)

    with pytest.raises(OSError, match="No space"):
        await objects.put(CONTENT)

    assert [path for path in folder.rglob("*") if path.is_file()] == []  # noqa: ASYNC240


def test_staging_files_of_writers_that_died_are_swept_and_young_ones_stay(folder: Path) -> None:
    objects = FileObjects(folder)
    objects.put_now(b"makes the folders")
    old, young = folder / "staging" / "old", folder / "staging" / "young"
    for path, at_s in ((old, 1_000), (young, 5_000)):
        path.write_bytes(b"half of it")
        os.utime(path, (at_s, at_s))

    assert objects.sweep_staging_now(older_than_s=3_600, now_s=5_100) == 1

    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("key", ["sha256:../../../etc/passwd", "sha256:" + "a" * 63 + "/", "md5:" + "a" * 64, ""])
async def test_a_key_that_is_none_never_becomes_a_path(folder: Path, key: str) -> None:
    with pytest.raises(AssertionError):
        await FileObjects(folder).delete(key, untouched_since_us=0)


async def test_a_large_file_is_held_a_chunk_at_a_time(folder: Path, tmp_path: Path) -> None:
    path, objects = tmp_path / "large", FileObjects(folder)
    with path.open("wb") as file:
        file.truncate(64 * CHUNK_BYTES)
    tracemalloc.start()

    ref = await objects.put_file(path)
    read_bytes = 0
    async for chunk in objects.stream(ref):
        read_bytes += len(chunk)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read_bytes == 64 * CHUNK_BYTES
    assert peak_bytes < 8 * CHUNK_BYTES
