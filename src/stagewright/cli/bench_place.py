"""Where the bench puts its databases, and what kind of place that is: durability is only measured on a real disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SYNC_CALLS = 200
SYNC_BYTES = 4096
MEMORY_FILE_SYSTEMS = frozenset(("tmpfs", "ramfs", "devtmpfs"))
URL_PREFIX = "sqlite:///"


class NotMeasurable(Exception):
    """The bench cannot do what it was asked; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for the databases of the workloads; `database` names the one file if the caller chose it."""

    folder: Path
    file_system: str  # its type, `unknown` where the system does not tell
    sync_ms: float  # median of a write of 4 KiB with fdatasync
    database: Path | None = None

    @property
    def is_durable(self) -> bool:
        """False where a sync is no write to a disk."""
        return self.file_system not in MEMORY_FILE_SYSTEMS

    def settings(self, name: str) -> dict[str, str]:
        """Return the settings of a fresh node for the workload `name`: nothing of an earlier one is there."""
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        found = {"data": str(data)}
        if self.database is not None:
            self.remove_database()
            found["database"] = URL_PREFIX + str(self.database)
        return found

    def beside(self, name: str) -> dict[str, str]:
        """Return the settings of a fresh node whose database lies in its own folder, even if the caller named one."""
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        return {"data": str(data), "database": f"{URL_PREFIX}{(self.database or data).parent / (name + '.db')}"}

    def remove_database(self) -> None:
        """Remove the database that the caller named; it was not there when the bench began."""
        if self.database is not None:
            for suffix in ("", "-wal", "-shm", ".lock"):
                self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)


@contextmanager
def open_place(data: Path | None, database: str | None) -> Iterator[Place]:
    """Make the folder of the bench, by default under the current one; it is removed at the end with all in it.

    `NotMeasurable` if `database` is no SQLite address or exists already: the bench writes into it and removes it.
    """
    path = None
    if database is not None:
        if not database.startswith(URL_PREFIX):
            raise NotMeasurable(f"--database: expected {URL_PREFIX}PATH, found: {database}")
        path = Path(database.removeprefix(URL_PREFIX)).absolute()
        if path.exists():
            raise NotMeasurable(
                f"--database: the bench fills and removes its database; name one that is not there: {path}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    above = data or Path.cwd()
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="stagewright-bench-", dir=above)).absolute()
    disk = folder if path is None else path.parent
    try:
        place = Place(folder, file_system_of(disk), measure_sync_ms(disk), path)
        yield place
        place.remove_database()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that holds a folder, `ext4`; `unknown` where there is no list of mounts."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    best, found = -1, "unknown"
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        mount = Path(point.encode().decode("unicode_escape"))
        if folder.absolute().is_relative_to(mount) and len(mount.parts) >= best:
            best, found = len(mount.parts), kind
    return found


def measure_sync_ms(folder: Path) -> float:
    """Return the median time of appending 4 KiB and waiting until the disk has it, in milliseconds."""
    took = []
    handle, name = tempfile.mkstemp(dir=folder)
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        for _ in range(SYNC_CALLS):
            os.write(handle, b"\0" * SYNC_BYTES)
            begin = time.perf_counter()
            sync(handle)
            took.append(time.perf_counter() - begin)
    finally:
        os.close(handle)
        Path(name).unlink()
    return median(took) * 1e3
