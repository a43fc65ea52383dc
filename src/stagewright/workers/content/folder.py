"""The files of a folder that may be feeds, with their beginnings. Reads the disk; bounded in number and depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stagewright.workers.content.sniff import HEAD_BYTES

FOLDER_FILES_MAX = 5_000
FOLDER_DEPTH_MAX = 8
ENDINGS = frozenset({".xml", ".rss", ".atom", ".rdf", ".json", ".opml", ".feed"})


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, in a stable order; `opened` with the first bytes, empty where there are none to be had."""

    opened: tuple[tuple[Path, bytes], ...]
    others: tuple[Path, ...]  # files and pipes that are not opened
    is_cut: bool  # there are more files than are looked at


def folder_files(folder: Path) -> Listing:
    """List the files of a folder and below; hidden ones are left out, links to folders are not entered."""
    opened: list[tuple[Path, bytes]] = []
    others: list[Path] = []
    for seen, path in enumerate(_files(folder)):
        if seen >= FOLDER_FILES_MAX:
            return Listing(tuple(opened), tuple(others), is_cut=True)
        if path.suffix.lower() in ENDINGS and path.is_file():  # a pipe would be waited for without end
            opened.append((path, _head(path)))
        else:
            others.append(path)
    return Listing(tuple(opened), tuple(others), is_cut=False)


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        is_deep = len(Path(root).relative_to(folder).parts) >= FOLDER_DEPTH_MAX
        folders[:] = [] if is_deep else sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(files) if not name.startswith("."))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4 * HEAD_BYTES)
    except OSError:
        return b""
