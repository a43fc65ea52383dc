"""The registry of pipelines: names and versions in the database, the latest ones kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import orjson

from stagewright.definitions.aliases import Aliases
from stagewright.definitions.load import load_value
from stagewright.model.errors import Malformed, UnknownPipeline
from stagewright.model.pipeline import Pipeline
from stagewright.ports.clock import Clock
from stagewright.ports.store import Row, Store

KEPT_MAX = 1_000
NAMES_SAID_MAX = 20
DEFAULT_PROJECT = "default"


class Registry:
    """Pipelines of one database. Reads of a name seen before cost no database call."""

    def __init__(self, store: Store, clock: Clock, aliases: Aliases | None = None) -> None:
        self._store = store
        self._aliases = aliases or Aliases()
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, int | None], Pipeline] = OrderedDict()
        self._snapshots: set[str] = set()
        self._changes = 0  # registrations and deletions so far

    async def register(self, pipeline: Pipeline, project: str = DEFAULT_PROJECT) -> tuple[Pipeline, bool]:
        """Make a changed pipeline the next version; returns it with its version and whether it is new."""
        now = self._clock.now_us()
        document = orjson.dumps(pipeline.document).decode()
        rows = await self._store.write(
            [
                ("add_definition", (pipeline.digest, document, now)),
                ("add_pipeline", (project, pipeline.name, pipeline.digest, pipeline.description, now)),
                ("pipeline_latest", (project, pipeline.name)),  # in one transaction: others register the name, too
            ]
        )
        self._forget(project, pipeline.name)
        return replace(pipeline, version=rows[2][0][1]), bool(rows[1])

    async def get(self, name: str, version: int | None = None, project: str = DEFAULT_PROJECT) -> Pipeline:
        """Return a pipeline, its latest version unless one is named; `UnknownPipeline` says what there is.

        What a project has not is looked for among those of the default project, and by the aliases of the name.
        """
        projects = (project,) if project == DEFAULT_PROJECT else (project, DEFAULT_PROJECT)
        for each in projects:
            found = await self._find(name, version, each)
            if found is not None:
                return found
        for meant in self._aliases.of(name):
            for each in projects:
                found = await self._find(meant, version, each)
                if found is not None:
                    return found
        raise UnknownPipeline(await self._what_there_is(name, version, project))

    async def named(self, text: str, project: str = DEFAULT_PROJECT) -> Pipeline:
        """Return a pipeline by `name` or `name@version`. `Malformed` if the version is no number."""
        name, _, version = text.partition("@")
        if version and not (version.isascii() and version.isdecimal() and len(version) < 10):
            raise Malformed(f"The version after '@' must be a whole number: {text[:250]}")
        return await self.get(name, int(version) if version else None, project)

    async def _find(self, name: str, version: int | None, project: str) -> Pipeline | None:
        key = (project, name, version)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        changes = self._changes
        if version is None:
            rows = await self._store.read("pipeline_latest", project, name)
        else:
            rows = await self._store.read("pipeline_version", project, name, version)
        if not rows:
            return None
        pipeline = replace(load_value(orjson.loads(rows[0][5])), version=rows[0][1])
        if changes != self._changes:
            return pipeline  # something was registered while this was read: it may not be the latest any more
        self._kept[key] = pipeline
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return pipeline

    async def page(self, after: str, limit: int, project: str = DEFAULT_PROJECT) -> list[dict[str, Any]]:
        """Return pipelines by name, the latest version of each."""
        return [_shape(row) for row in await self._store.read("pipelines", project, after, limit)]

    async def documents(self, after: str, limit: int, project: str = DEFAULT_PROJECT) -> list[dict[str, Any]]:
        """Return pipelines by name as `page` does, each with its document."""
        rows = await self._store.read("pipelines", project, after, limit)
        return [_shape(row) | {"document": orjson.loads(row[5])} for row in rows]

    async def describe(self, name: str, version: int | None = None, project: str = DEFAULT_PROJECT) -> dict[str, Any]:
        """Return a pipeline with its document, for the API."""
        pipeline = await self.get(name, version, project)
        for each in (project, DEFAULT_PROJECT):
            rows = await self._store.read("pipeline_version", each, pipeline.name, pipeline.version)
            if rows and rows[0][2] == pipeline.digest:
                break
        return _shape(rows[0]) | {"document": dict(pipeline.document)}

    async def delete(self, name: str, project: str = DEFAULT_PROJECT) -> None:
        """Take a pipeline out of use; executions keep their snapshots."""
        rows = await self._store.write([("delete_pipeline", (project, name, self._clock.now_us()))])
        self._forget(project, name)
        if not rows[0]:
            raise UnknownPipeline(await self._what_there_is(name, None, project))

    def _forget(self, project: str, name: str) -> None:
        self._changes += 1
        self._kept = OrderedDict((key, kept) for key, kept in self._kept.items() if key[:2] != (project, name))

    async def snapshot(self, pipeline: Pipeline) -> None:
        """Keep the definition of an inline pipeline, so that its executions can be loaded again."""
        if pipeline.digest in self._snapshots:
            return
        document = orjson.dumps(pipeline.document).decode()
        await self._store.write([("add_definition", (pipeline.digest, document, self._clock.now_us()))])
        if len(self._snapshots) >= KEPT_MAX:
            self._snapshots.clear()
        self._snapshots.add(pipeline.digest)

    async def _what_there_is(self, name: str, version: int | None, project: str) -> str:
        rows = await self._store.read("pipelines", project, "", NAMES_SAID_MAX)
        names = ", ".join(row[0] for row in rows) or "none yet; register one with POST /api/pipelines"
        what = f"'{name}'" if version is None else f"'{name}' with version {version}"
        return f"There is no pipeline {what}. There are: {names}"


def _shape(row: Row) -> dict[str, Any]:
    name, version, digest, description, created_at, _ = row
    return {"name": name, "version": version, "digest": digest, "description": description, "created_at": created_at}
