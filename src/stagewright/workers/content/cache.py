"""Keeps read feeds with their validators between attempts, so that an unchanged feed is not sent again.

The folder may vanish at any time and several attempts may write at once: every write is a new file put in place in
one step, and whatever cannot be read counts as not there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from stagewright.workers.content.feeds import Feed

FORMAT = 1  # raised when the shape of an entry changes; older entries then count as not there
ENTRY_BYTES_MAX = 8 * 1024 * 1024
TOTAL_BYTES_MAX = 128 * 1024 * 1024
ENTRIES_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A feed as it was read, with the headers that ask the server whether it has changed since."""

    feed: Feed
    validators: Mapping[str, str]


class FeedCache:
    """Entries by address in one folder. Its methods do file work: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "feeds"

    def load(self, url: str) -> Kept | None:
        """Return what is kept for an address, or None."""
        try:
            entry = json.loads(self._path(url).read_bytes())
            if entry["format"] != FORMAT or entry["url"] != url:
                return None
            feed = entry["feed"]
            articles, problems = tuple(feed.pop("articles")), tuple(feed.pop("problems"))
            return Kept(Feed(**feed, articles=articles, problems=problems), entry["validators"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, url: str, kept: Kept) -> None:
        """Store a feed; does nothing where it is too large or the disk refuses, as a cache is never needed."""
        entry = {"format": FORMAT, "url": url, "feed": asdict(kept.feed), "validators": dict(kept.validators)}
        content = json.dumps(entry).encode()
        if len(content) > ENTRY_BYTES_MAX:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        except OSError:
            return
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            written.replace(self._path(url))
        except OSError:
            written.unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove the entries longest unused until the folder is within its bounds."""
        files: list[tuple[float, int, Path]] = []
        try:
            for path in self._folder.iterdir():
                state = path.stat()
                files.append((state.st_mtime, state.st_size, path))
        except OSError:
            return
        files.sort(key=lambda file: (file[0], str(file[2])), reverse=True)
        total = 0
        for place, (_, size, path) in enumerate(files):
            total += size
            if total > TOTAL_BYTES_MAX or place >= ENTRIES_MAX:
                path.unlink(missing_ok=True)

    def _path(self, url: str) -> Path:
        return self._folder / f"{sha256(url.encode('utf-8', 'replace')).hexdigest()}.json"


def validators_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a conditional request (RFC 9110 §13.1) that ask for changes since this answer."""
    pairs: dict[str, Any] = {
        "If-None-Match": headers.get("etag"),
        "If-Modified-Since": headers.get("last-modified"),
    }
    return {name: value for name, value in pairs.items() if value}
