"""A node inside of a command: takes the data folder, does what is asked, and gives the folder back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from stagewright.app.folder import PAGE_PIPELINES, plain
from stagewright.app.installed import worker_item
from stagewright.app.runtime import Runtime
from stagewright.app.settings import Settings
from stagewright.definitions import load_value
from stagewright.engine.shapes import event_item
from stagewright.model.errors import StagewrightError, StoreTrouble
from stagewright.protocol.bodies import ExecuteBody
from stagewright.server.body import parse_body


class LocalNode:
    """Executes on the local data folder in this process; nobody else can use the folder meanwhile.

    What is open in the folder goes on while the node lives, and at the next start. Values are plain JSON in the
    shapes of the API. `FolderInUse` if another process has the folder.
    """

    is_server = False

    def __init__(self, settings: Settings) -> None:
        self.place = f"folder {settings.data}"
        self.settings = settings
        self.runtime = Runtime(settings, self._on_fatal)
        self._fatal: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Take the folder and bring back what is open in it."""
        self._fatal = asyncio.get_running_loop().create_future()
        await self.runtime.start()

    async def close(self) -> None:
        """Stop within seconds; idempotent."""
        if self._fatal is not None and self._fatal.done():
            self._fatal.exception()
        await self.runtime.stop()

    # --- executions -----------------------------------------------------------------------------------------

    async def execute(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Submit an execution; returns after it is durable."""
        raw = orjson.dumps(body)
        submitted = await self.runtime.service.execute(parse_body(ExecuteBody, raw))
        status, _ = await self.runtime.service.views.status(submitted.execution_id)
        return {"execution_id": submitted.execution_id, "status": status}

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return one execution with its stages and deliverables."""
        return plain(await self.runtime.service.views.execution(execution_id))

    async def cancel(self, execution_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel an open execution."""
        return await self.runtime.service.cancel(execution_id, reason)

    async def retry(self, execution_id: str, from_stage: str | None = None) -> dict[str, Any]:
        """Go on with an ended execution from the stage that failed, or from a named one."""
        return await self.runtime.service.retry(execution_id, from_stage)

    async def watch(self, execution_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield events with numbers above `after` until the execution has ended; raises what stops the node."""
        assert self._fatal is not None, "the node was started"
        pages = self.runtime.service.watch(execution_id, after)
        while True:
            page = asyncio.ensure_future(anext(pages, None))
            try:
                await asyncio.wait((page, self._fatal), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not page.done():
                    page.cancel()
            if self._fatal.done():
                self._fatal.result()
            events = page.result()
            if events is None:
                return
            for event in events:
                yield plain(event_item(execution_id, event))

    # --- pipelines, workers and artifacts -------------------------------------------------------------------

    async def pipelines(self) -> list[dict[str, Any]]:
        """Return all registered pipelines by name, the latest version of each."""
        found: list[dict[str, Any]] = []
        while page := await self.runtime.registry.page(found[-1]["name"] if found else "", PAGE_PIPELINES):
            found += page
        return found

    async def pipeline(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return a registered pipeline with its `document`."""
        return plain(await self.runtime.registry.describe(name, version))

    async def register(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Register a pipeline; a changed document becomes the next version."""
        pipeline, is_new = await self.runtime.service.register(load_value(document))
        return {"name": pipeline.name, "version": pipeline.version, "digest": pipeline.digest, "is_new": is_new}

    async def validate(self, document: Mapping[str, Any]) -> None:
        """Check a document and that its workers are there; raises what is wrong."""
        self.runtime.engine.binder.check_workers(load_value(document))

    async def workers(self) -> list[dict[str, Any]]:
        """Return the workers that this node reaches."""
        dispatcher = self.runtime.dispatcher
        known = (dispatcher.facts(name) for name in sorted(dispatcher.names()))
        return [worker_item(facts) for facts in known if facts is not None]

    async def artifacts(self, execution_id: str) -> list[dict[str, Any]]:
        """Return what an execution has produced."""
        return [plain(item) for item in await self.runtime.service.views.artifacts(execution_id)]

    async def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact."""
        views = self.runtime.service.views
        _, ref = await views.artifact(artifact_id)
        async for chunk in views.stream(ref):
            yield chunk

    def _on_fatal(self, error: BaseException) -> None:
        if self._fatal is None or self._fatal.done():
            return
        known = isinstance(error, StagewrightError)
        self._fatal.set_exception(error if known else StoreTrouble(f"The node cannot go on: {error!r}"))
