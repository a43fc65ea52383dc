"""One server for a data folder: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from stagewright.model.errors import WrongState

NAME = "node.lock"


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
    """Holds `DIR/node.lock` while the process lives; it says who and where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def acquire(self, url: str | None) -> None:
        """Take the lock and write pid and url into it; `FolderInUse` if another process has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise FolderInUse(self._folder, read_holder(self._folder) or {}) from None
        self._handle = handle
        self.tell(url)

    def tell(self, url: str | None) -> None:
        """Write where this process can be reached."""
        assert self._handle is not None, "the lock is held"
        text = json.dumps({"pid": os.getpid(), "url": url}).encode()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text, 0)

    def release(self) -> None:
        """Free the lock; idempotent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_holder(folder: Path) -> dict[str, Any] | None:
    """Return what the lock file says of its last holder, who may be gone."""
    try:
        holder = json.loads((folder / NAME).read_text(encoding="utf-8"))
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
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return (read_holder(folder) or {}).get("url")
    finally:
        os.close(handle)
    return None
