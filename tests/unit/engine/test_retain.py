"""Expiry and garbage collection by reference, on the real database and the real files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stagewright.engine.retain import Retention
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import DataLost
from stagewright.objects.files import FOLDERS, FOLDERS_AT_ONCE, FileObjects
from stagewright.ports.store import Batch, NodeIdentity
from stagewright.store.sqlite import SqliteStore

HOUR_US = 3600 * 1_000_000
START_US = 1_800_000_000_000_000
SETTINGS = EngineSettings(retain_grace_us=HOUR_US, retain_rows_max=10, retain_orphans_us=24 * HOUR_US)
OPEN, ENDED = "exec_open", "exec_ended"


class HandClock:
    def __init__(self) -> None:
        self.at = START_US

    def now_us(self) -> int:
        return self.at


@dataclass
class House:
    clock: HandClock
    store: SqliteStore
    objects: FileObjects
    retention: Retention
    root: Path
    number: int = 0

    async def refer(self, ref: DataRef, execution_id: str, expires_at: int, content: bytes | None = None) -> None:
        """Write a reference as a flush does."""
        self.number += 1
        batch = Batch(self.number)
        batch.blobs.append((ref.storage_key, ref.storage_type, ref.size_bytes, self.clock.at))
        batch.blob_refs.append((ref.storage_key, execution_id, expires_at))
        if content is not None:
            batch.contents.append((ref.storage_key, len(content), content))
        await self.store.flush(batch)

    async def put_object(self, content: bytes) -> DataRef:
        """Store an object as if it had been put now, by the clock of this test."""
        ref = await self.objects.put(content)
        digest = ref.storage_key.removeprefix("sha256:")
        path = self.root / "cas" / digest[:2] / digest[2:4] / digest
        os.utime(path, (self.clock.at / 1e6, self.clock.at / 1e6))
        return ref

    async def rounds(self, *hours: int) -> int:
        """Do a round after each of these waits; returns how much was deleted in all."""
        deleted = 0
        for wait in hours:
            self.clock.at += wait * HOUR_US
            deleted += await self.retention.round()
        return deleted


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = HandClock()
    store = SqliteStore(tmp_path / "db", clock)
    await store.start(NodeIdentity("n", "i"), START_US)
    objects = FileObjects(tmp_path / "objects")
    batch = Batch(1)
    for execution_id, status in ((OPEN, "running"), (ENDED, "completed")):
        batch.executions.append(
            (execution_id, 0, "default", None, None, "p", 1, "sha256:d", status, "normal", 1, {}, [], None, None,
             START_US, START_US, START_US, None, 0, None)
        )  # fmt: skip
    await store.flush(batch)
    yield House(clock, store, objects, Retention(store, objects, clock, SETTINGS), tmp_path / "objects", 1)
    await store.stop()


async def test_an_object_whose_reference_has_expired_is_deleted_after_the_grace(house: House) -> None:
    # given an object that an ended execution refers to for two hours
    ref = await house.put_object(b"large" * 1000)
    await house.refer(ref, ENDED, START_US + 2 * HOUR_US)

    # when only an hour has passed, then it is there
    assert await house.rounds(1) == 0
    assert await house.objects.get(ref, bytes_max=10_000) == b"large" * 1000

    # when the reference has expired it is condemned, and deleted only after the grace
    assert await house.rounds(2) == 0
    assert await house.rounds(2) == 1
    with pytest.raises(DataLost):
        await house.objects.get(ref, bytes_max=10_000)
    assert await house.store.read("blob", ref.storage_key) == []


async def test_what_an_open_execution_refers_to_never_expires(house: House) -> None:
    ref = await house.put_object(b"needed")
    await house.refer(ref, OPEN, START_US + HOUR_US)

    assert await house.rounds(5, 5, 5) == 0

    assert await house.objects.get(ref, bytes_max=10) == b"needed"


async def test_a_new_reference_revives_what_is_condemned(house: House) -> None:
    # given a condemned value of the kv tier
    content = b"x" * 20_000
    ref = DataRef("kv", checksum_of(content), len(content), checksum_of(content))
    await house.refer(ref, ENDED, START_US + HOUR_US, content)
    await house.rounds(2)

    # when another execution refers to the same bytes before the grace is over
    await house.refer(ref, OPEN, START_US + 100 * HOUR_US, content)

    # then it stays
    assert await house.rounds(2, 2) == 0
    assert (await house.store.read("content", ref.storage_key))[0][0] == content


async def test_a_value_that_nobody_refers_to_leaves_the_database(house: House) -> None:
    content = b"y" * 20_000
    ref = DataRef("kv", checksum_of(content), len(content), checksum_of(content))
    await house.refer(ref, ENDED, START_US + HOUR_US, content)

    assert await house.rounds(2, 2) == 1

    assert await house.store.read("content", ref.storage_key) == []


async def test_an_object_that_was_put_again_while_its_row_was_deleted_stays(house: House) -> None:
    # given an object whose row the retention has just decided to delete
    ref = await house.put_object(b"again")
    await house.refer(ref, ENDED, START_US + HOUR_US)
    await house.rounds(2)
    house.clock.at += 2 * HOUR_US

    # when a worker puts the same bytes just before the file is removed
    await house.put_object(b"again")

    # then the row goes, and the file stays for the reference that is about to be written
    assert await house.retention.round() == 1
    assert await house.objects.get(ref, bytes_max=10) == b"again"


async def test_objects_that_no_row_knows_are_deleted_once_no_attempt_can_need_them(house: House) -> None:
    # given objects of attempts that crashed before they completed, everywhere in the store, and one that counts
    orphans = [await house.put_object(f"orphan {number}".encode()) for number in range(25)]
    known = await house.put_object(b"known")
    await house.refer(known, OPEN, START_US + HOUR_US)

    # when the whole store is looked through while an attempt may still run
    assert await house.rounds(2, *[0] * 300) == 0

    # and again later, when one of them has been put anew
    again = await house.put_object(b"orphan 7")
    house.clock.at += 23 * HOUR_US
    assert await house.rounds(0, *[0] * 300) == 24

    # then what counts and what is young are there
    assert await house.objects.get(known, bytes_max=10) == b"known"
    assert await house.objects.get(again, bytes_max=10) == b"orphan 7"
    for orphan in orphans:
        if orphan != again:
            with pytest.raises(DataLost):
                await house.objects.get(orphan, bytes_max=10)


async def test_one_look_for_orphans_is_bounded_and_the_next_goes_on_from_there(house: House) -> None:
    refs = [await house.put_object(f"orphan {number}".encode()) for number in range(40)]
    far = START_US + HOUR_US
    keys: list[str] = []
    place, from_place, looks = 0, -1, 0

    while place > from_place:
        from_place = place
        found, place = await house.objects.untouched(place, since_us=far, keys_max=3)
        assert len(found) <= 3 + 2  # those of the folder that was begun are told whole
        keys += found
        looks += 1

    assert set(keys) == {ref.storage_key for ref in refs}
    assert looks <= FOLDERS // FOLDERS_AT_ONCE + 40


async def test_one_round_does_no_more_than_its_bound(house: House) -> None:
    for number in range(25):
        ref = await house.put_object(f"object {number}".encode())
        await house.refer(ref, ENDED, START_US + HOUR_US)

    assert await house.rounds(2, 0, 0) == 0  # three rounds to condemn 25 by tens
    assert await house.rounds(2) == 10
    assert await house.rounds(0, 0, 0) == 15
