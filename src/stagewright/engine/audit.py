"""The auditor behind `stagewright doctor`: reads any database and says which invariants it breaks. Changes nothing.

It believes rows only: nothing of the engine that wrote them takes part. It reads in pages, so that memory is bounded
by the longest history of one execution's steps and not by the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from stagewright.definitions import load_value
from stagewright.engine.audit_story import Finding, Story
from stagewright.model.data import DataRef, checksum_of
from stagewright.model.errors import Refusal, Trouble
from stagewright.model.pipeline import Pipeline
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Row

FINDINGS_MAX = 1_000  # more do not help anybody
PAGE_EXECUTIONS = 200
PAGE_ROWS = 1_000
PAGE_EVENT_PAGES = 100
PAGE_CONTENTS = 8
PIPELINES_KEPT_MAX = 256

_BEYOND = "~"  # sorts after every id


class Read(Protocol):
    """`ports.store.Store.read`, or anything like it."""

    def __call__(self, query: str, *params: Any) -> Awaitable[list[Row]]:
        """Run a named query."""


async def audit(read: Read, *, now_us: int, objects: ObjectStore | None = None) -> list[Finding]:
    """Return what is wrong, at most `FINDINGS_MAX` findings; empty for a sound database.

    `now_us` tells what has expired and may be gone. With `objects` every object is read and its checksum computed.
    A database that is being written may give findings that are gone a moment later: audit one at rest.
    """
    auditor = _Auditor(read, now_us, objects)
    async for finding in auditor.findings():
        auditor.found.append(finding)
        if len(auditor.found) >= FINDINGS_MAX:
            break
    return auditor.found


@dataclass(slots=True)
class _Auditor:
    read: Read
    now_us: int
    objects: ObjectStore | None
    found: list[Finding] = field(default_factory=list)
    pipelines: dict[str, Pipeline | None] = field(default_factory=dict)

    async def findings(self) -> AsyncIterator[Finding]:
        for part in (self._executions, self._orphans, self._references, self._contents, self._objects):
            async for finding in part():
                yield finding

    # --- executions with their steps and events, range after range of ids -----------------------------------

    async def _executions(self) -> AsyncIterator[Finding]:
        after = ""
        while True:
            rows = await self.read("audit_executions", after, PAGE_EXECUTIONS)
            last = rows[-1][0] if len(rows) == PAGE_EXECUTIONS else _BEYOND
            stories: dict[str, Story] = {}
            for row in rows:
                pipeline = await self._pipeline(row[6])
                if pipeline is None:
                    yield Finding("definition", row[0], f"its definition {row[6]} is missing or cannot be loaded")
                stories[row[0]] = Story(row, pipeline)
            async for finding in self._follow(stories, after, last):
                yield finding
            if last == _BEYOND:
                return
            after = last

    async def _follow(self, stories: dict[str, Story], after: str, last: str) -> AsyncIterator[Finding]:
        """Tell each story its events, then its steps; what belongs to no story is an orphan."""
        missing: set[str] = set()
        async for row in self._range("audit_pages", after, 0, last, PAGE_EVENT_PAGES, of_row=2):
            if row[0] in stories:
                stories[row[0]].page(row)
            elif row[0] not in missing:
                missing.add(row[0])
                yield Finding("orphan", row[0], "it has events but no row of its own")
        async for finding in self._tell_steps(stories, after, last):
            yield finding
        for story in stories.values():
            story.end()
            for finding in story.findings:
                yield finding

    async def _tell_steps(self, stories: dict[str, Story], after: str, last: str) -> AsyncIterator[Finding]:
        missing: set[str] = set()
        async for row in self._range("audit_steps", after, "", last, PAGE_ROWS, of_row=1):
            if row[0] in stories:
                stories[row[0]].step(row)
            elif row[0] not in missing:
                missing.add(row[0])
                yield Finding("orphan", row[0], "it has steps but no row of its own")
        async for row in self._items(after, last):
            if row[0] in stories:
                stories[row[0]].step(row[:6])

    async def _items(self, after: str, last: str) -> AsyncIterator[Row]:
        start, stage, item = (after + " ", "", -1) if after else ("", "", -1)
        while rows := await self.read("audit_items", start, stage, item, last, PAGE_ROWS):
            for row in rows:
                yield row
            start, stage, item = rows[-1][0], rows[-1][6], rows[-1][7]

    async def _range(
        self, query: str, after: str, least: Any, last: str, limit: int, *, of_row: int
    ) -> AsyncIterator[Row]:
        # Beyond the whole of `after`: its rows belonged to the range before.
        start, at = (after + " ", least) if after else ("", least)
        while rows := await self.read(query, start, at, last, limit):
            for row in rows:
                yield row
            start, at = rows[-1][0], rows[-1][of_row]

    async def _pipeline(self, digest: str) -> Pipeline | None:
        if digest not in self.pipelines:
            if len(self.pipelines) >= PIPELINES_KEPT_MAX:
                self.pipelines.clear()
            rows = await self.read("definition", digest)
            self.pipelines[digest] = _loaded(rows[0][0]) if rows else None
        return self.pipelines[digest]

    # --- everything else ------------------------------------------------------------------------------------

    async def _orphans(self) -> AsyncIterator[Finding]:
        for kind, execution_id, what in await self.read("audit_orphans", FINDINGS_MAX):
            yield Finding("orphan", execution_id, f"it is named by the {kind} {what} and is not there")
        for execution_id, stage in await self.read("audit_item_orphans", FINDINGS_MAX):
            yield Finding("orphan", execution_id, f"it is named by items of {stage} and is not there")

    async def _references(self) -> AsyncIterator[Finding]:
        for execution_id, what, key in await self.read("audit_unreferenced", self.now_us, FINDINGS_MAX):
            yield Finding("data", execution_id, f"{what} lies at {key}, and nothing keeps it there")
        for execution_id, key in await self.read("audit_unresolved", self.now_us, FINDINGS_MAX):
            yield Finding("data", execution_id, f"its reference to {key} leads nowhere")

    async def _contents(self) -> AsyncIterator[Finding]:
        after = ""
        while rows := await self.read("audit_contents", after, PAGE_CONTENTS):
            for key, size_bytes, content in rows:
                if checksum_of(content) != key or len(content) != size_bytes:
                    yield Finding("data", None, f"the value {key} has {len(content)} bytes with another checksum")
            after = rows[-1][0]

    async def _objects(self) -> AsyncIterator[Finding]:
        after = ""
        while self.objects is not None and (rows := await self.read("audit_objects", after, PAGE_ROWS)):
            for key, size_bytes in rows:
                try:
                    async for _ in self.objects.stream(DataRef("object", key, size_bytes, key)):
                        pass
                except (Trouble, OSError) as error:
                    yield Finding("data", None, f"the object {key} cannot be read: {error}")
            after = rows[-1][0]


def _loaded(document: str) -> Pipeline | None:
    try:
        return load_value(orjson.loads(document))
    except (Refusal, ValueError):
        return None
