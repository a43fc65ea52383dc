"""The examination of a database: opened beside whoever uses it, read, compared with the invariants, never written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stagewright.app.clock import SystemClock
from stagewright.app.folder import ReadOnlyStore
from stagewright.app.settings import Settings
from stagewright.engine.audit import audit
from stagewright.engine.audit_story import Finding
from stagewright.objects.files import FileObjects
from stagewright.store.queries import migrations


async def examine(settings: Settings, objects: Path | None) -> dict[str, Any]:
    """Return `{database, objects, schema_version, executions_open, findings}`; `NotFound` if there is no database.

    Without a folder of objects only what the database itself holds is examined.
    All reads see one moment, so that a server at work beside gives no false findings about rows; what was deleted
    meanwhile from the object store would, so only findings that stay after a second look are told.
    """
    first = await _findings(settings, objects)
    findings = [finding for finding in await _findings(settings, objects) if finding in first] if first else []
    store = ReadOnlyStore(settings)
    try:
        open_now = (await store.read("count_open"))[0][0]
    finally:
        await store.stop()
    return {
        "database": str(settings.database_path),
        "objects": None if objects is None else str(objects),
        "schema_version": migrations()[-1][0],
        "executions_open": open_now,
        "findings": [asdict(finding) for finding in findings],
    }


async def _findings(settings: Settings, objects: Path | None) -> list[Finding]:
    store = ReadOnlyStore(settings)
    try:
        with store.one_moment():
            stored = None if objects is None else FileObjects(objects)
            return await audit(store.read, now_us=SystemClock().now_us(), objects=stored)
    finally:
        await store.stop()
