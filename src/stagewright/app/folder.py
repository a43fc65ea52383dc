"""A data folder read from beside: no lock, no migration, no write, whether a server is using it or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from stagewright.app.clock import SystemClock
from stagewright.app.installed import installed_workers, shipped_pipelines, worker_item
from stagewright.app.settings import Settings
from stagewright.definitions.registry import Registry
from stagewright.engine.bind import Binder
from stagewright.engine.shapes import event_item, time_text
from stagewright.engine.views import ListFilter, Views
from stagewright.model.errors import Invalid, NotFound, Problem, StoreTrouble
from stagewright.model.pipeline import Pipeline
from stagewright.objects.files import FileObjects
from stagewright.ports.store import Batch, NodeIdentity, Params, Row, Winner
from stagewright.store.database import SqliteDatabase
from stagewright.store.queries import migrations

PAGE_PIPELINES = 200
LIST_MAX = 1_000
FILTERS = ("status", "pipeline", "tag", "text")


class ReadOnlyStore:
    """The reading half of `ports.store.Store` on one connection; calls block, as nothing else goes on meanwhile."""

    def __init__(self, settings: Settings) -> None:
        path = settings.database_path
        if not path.is_file():
            raise NotFound(f"There is no database {path}: name its folder with --data, or start one: stagewright up")
        self._database = SqliteDatabase(path, readonly=True)
        present, newest = self._database.schema_version(), migrations()[-1][0]
        if present != newest:
            self._database.close()
            raise StoreTrouble(
                f"The database {path} has schema version {present}, this program reads {newest}: "
                + ("start it once with `stagewright up`" if present < newest else "use the newer program")
            )

    async def read(self, query: str, *params: Any) -> list[Row]:
        """See the port."""
        return self._database.run(query, params)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let all reads of a block see the database as it is at the first of them."""
        with self._database.snapshot():
            yield

    async def start(self, identity: NodeIdentity, now_us: int) -> None:
        """Nothing is to be started."""

    async def stop(self) -> None:
        """Close the connection; idempotent."""
        self._database.close()

    async def flush(self, batch: Batch) -> dict[str, Winner]:
        """Never called: nobody decides here."""
        raise StoreTrouble("The database is open for reading only")

    async def flushed(self) -> int:
        """Never called: nobody decides here."""
        raise StoreTrouble("The database is open for reading only")

    async def write(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        """Never called: nobody decides here."""
        raise StoreTrouble("The database is open for reading only")


class Folder:
    """What a data folder holds, in the shapes of the API. Values are plain JSON.

    Where there is no database yet, there are still the pipelines and workers that ship; the rest is `NotFound`.
    """

    is_server = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.place = f"folder {settings.data}"
        self.problems: tuple[str, ...] = ()  # why some modules give no workers, once `workers` was called
        self._store: ReadOnlyStore | None = None

    async def close(self) -> None:
        """Close the database; idempotent."""
        if self._store is not None:
            await self._store.stop()

    @property
    def views(self) -> Views:
        """The views of this database. Drawing and showing needs no workers, so none are asked for."""
        return Views(self.store, FileObjects(self.settings.objects_path), Binder(lambda _: None, tuple))

    @property
    def store(self) -> ReadOnlyStore:
        """The database, opened at its first use; `NotFound` if there is none."""
        if self._store is None:
            self._store = ReadOnlyStore(self.settings)
        return self._store

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return one execution with its stages and deliverables."""
        return plain(await self.views.execution(execution_id))

    async def executions(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page `{items, next_cursor}`, the newest first."""
        limit = int(filters.get("limit") or 50)
        if not 0 < limit <= LIST_MAX:
            raise Invalid(f"Expected --limit from 1 to {LIST_MAX}, found: {limit}", [Problem("out of range", "limit")])
        wanted = {name: filters.get(name) for name in FILTERS}
        return plain(await self.views.executions(ListFilter(limit, filters.get("cursor"), **wanted)))

    async def event_page(self, execution_id: str, after: int, limit: int) -> dict[str, Any]:
        """Return `{items, next_cursor}` of events with numbers above `after`."""
        return plain(await self.views.event_page(execution_id, after, limit))

    async def watch(self, execution_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the events that are there."""
        await self.views.status(execution_id)
        while events := await self.views.events(execution_id, after, PAGE_PIPELINES):
            for event in events:
                yield event_item(execution_id, event)
            after = events[-1]["seq"]

    async def pipelines(self) -> list[dict[str, Any]]:
        """Return all registered pipelines by name, the latest version of each."""
        if not self._has_database:
            return [_unregistered(pipeline) for pipeline in shipped_pipelines()]
        registry = Registry(self.store, SystemClock())
        found: list[dict[str, Any]] = []
        while page := await registry.page(found[-1]["name"] if found else "", PAGE_PIPELINES):
            found += [_item(entry) for entry in page]
        return found

    async def pipeline(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return a registered pipeline with its `document`."""
        shipped = {pipeline.name: pipeline for pipeline in shipped_pipelines()} if not self._has_database else {}
        if name in shipped:
            return _unregistered(shipped[name]) | {"document": plain(shipped[name].document)}
        return _item(plain(await Registry(self.store, SystemClock()).describe(name, version)))

    async def workers(self) -> list[dict[str, Any]]:
        """Return the workers that a node on this machine would have."""
        facts, self.problems = await installed_workers(self.settings)
        return [worker_item(facts[name]) for name in sorted(facts)]

    async def artifacts(self, execution_id: str) -> list[dict[str, Any]]:
        """Return what an execution has produced."""
        return [plain(item) for item in await self.views.artifacts(execution_id)]

    async def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact."""
        _, ref = await self.views.artifact(artifact_id)
        async for chunk in self.views.stream(ref):
            yield chunk

    @property
    def _has_database(self) -> bool:
        return self.settings.database_path.is_file()


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as JSON has it: fragments that are encoded already become values."""
    return dict(orjson.loads(orjson.dumps(value)))


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"created_at": time_text(entry["created_at"])}


def _unregistered(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "version": pipeline.version,
        "digest": pipeline.digest,
        "description": pipeline.description,
        "created_at": None,
    }
