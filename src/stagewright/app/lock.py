"""One server for a data folder: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from stagewright.model.errors import WrongState

NAME = "node.lock"
LOOKS = 5
LOOK_S = 0.02  # between looks


class FolderInUse(WrongState):
    """Another process serves this data folder; `holder` has its pid and url."""

    code, title = "folder_in_use", "The data folder is in use"

    def __init__(self, folder: Path, holder: dict[str, Any]) -> None:
        at = holder.get("url") or "no address (it runs one pipeline)"
        super().__init__(
            f"The data folder {folder} is served by process {holder.get('pid', 'unknown')} at {at}. "
            "Use that server (STAGEWRIGHT_SERVER or --server), stop it, or name another folder with --data"
        )
        self.holder = holder


class FolderLock:
    """Holds `DIR/node.lock` while the process lives; it says who and where.

    The database has a lock of its own beside it, as two folders may name the same database.
    The locks belong to the open file (`flock`), so that looking at them from the same process does not drop them.
    """

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self._folder = folder
        self._paths = [folder / NAME]
        if database is not None:
            real = database.resolve()
            self._paths.append(real.with_name(real.name + ".lock"))
        self._handles: list[int] = []

    def acquire(self, url: str | None) -> None:
        """Take the lock and write pid and url into it; `FolderInUse` if another process has it."""
        for path in self._paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(handle):
                os.close(handle)
                self.release()
                raise FolderInUse(path.parent, read_holder(path) or {})
            self._handles.append(handle)
        self.tell(url)

    def tell(self, url: str | None) -> None:
        """Write where this process can be reached."""
        assert self._handles, "the lock is held"
        text = json.dumps({"pid": os.getpid(), "url": url}).encode()
        for handle in self._handles:
            os.ftruncate(handle, 0)
            os.pwrite(handle, text, 0)

    def release(self) -> None:
        """Free the lock; idempotent."""
        for handle in self._handles:
            os.close(handle)
        self._handles = []


def _lock(handle: int) -> bool:
    """Lock an open file; somebody who only looks whether it is locked holds it for a moment, so try again."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(LOOK_S)
    return False


def read_holder(path: Path) -> dict[str, Any] | None:
    """Return what a lock file says of its last holder, who may be gone."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None


def serving_url(folder: Path) -> str | None:
    """Return the address of the server that holds the folder now, None if nobody serves it."""
    try:
        handle = os.open(folder / NAME, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return (read_holder(folder / NAME) or {}).get("url")
    finally:
        os.close(handle)
    return None
