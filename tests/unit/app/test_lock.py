"""The lock of a data folder, and of a database that lies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stagewright.app.lock import FolderInUse, FolderLock, serving_url


def test_a_second_holder_is_told_who_has_the_folder(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.acquire("http://127.0.0.1:8700")

    with pytest.raises(FolderInUse) as refused:
        FolderLock(tmp_path).acquire(None)

    assert f"process {os.getpid()} at http://127.0.0.1:8700" in refused.value.detail
    first.release()
    FolderLock(tmp_path).acquire(None)


def test_two_folders_cannot_serve_the_same_database(tmp_path: Path) -> None:
    database = tmp_path / "shared" / "stagewright.db"
    FolderLock(tmp_path / "a", database).acquire("http://127.0.0.1:1")

    with pytest.raises(FolderInUse) as refused:
        FolderLock(tmp_path / "b", database).acquire("http://127.0.0.1:2")

    assert "http://127.0.0.1:1" in refused.value.detail
    FolderLock(tmp_path / "b").acquire(None)  # what was refused holds nothing


def test_the_database_in_one_folder_cannot_be_named_by_another(tmp_path: Path) -> None:
    database = tmp_path / "a" / "stagewright.db"
    FolderLock(tmp_path / "a", database).acquire("http://127.0.0.1:1")
    (tmp_path / "link").symlink_to(tmp_path / "a")

    with pytest.raises(FolderInUse):
        FolderLock(tmp_path / "b", tmp_path / "link" / "stagewright.db").acquire(None)


def test_looking_from_the_same_process_does_not_drop_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire("http://127.0.0.1:8700")

    assert serving_url(tmp_path) == "http://127.0.0.1:8700"

    with pytest.raises(FolderInUse):
        FolderLock(tmp_path).acquire(None)


def test_a_folder_that_nobody_serves_has_no_address(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire("http://127.0.0.1:8700")
    lock.release()

    assert serving_url(tmp_path) is None
    assert serving_url(tmp_path / "nowhere") is None
