"""A node inside of a command: takes the data folder, does what is asked, and gives the folder back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from stagewright.app.folder import PAGE_PIPELINES, plain
from stagewright.app.installed import with_problems, worker_item, workers_missing
from stagewright.app.runtime import Runtime
from stagewright.app.settings import Settings
from stagewright.definitions import load_value
from stagewright.engine.bind import WORKERS_MISSING
from stagewright.engine.shapes import event_item
from stagewright.model.errors import Invalid, StagewrightError, StoreTrouble
from stagewright.protocol.bodies import ExecuteBody
from stagewright.server.body import parse_body


class LocalNode:
    """Executes on the local data folder in this process; nobody else can use the folder meanwhile.

    Of what is open in the folder only what `resume` or a call names goes on, the rest at the start of a server.
    Values are plain JSON in the shapes of the API. `FolderInUse` if another process has the folder.
    """

    is_server = False

    def __init__(self, settings: Settings) -> None:
        self.place = f"folder {settings.data}"
        self.settings = settings
        self.runtime = Runtime(settings, self._on_fatal)
        self._fatal: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Take the folder; workers that cannot be loaded are told when they are needed."""
        self._fatal = asyncio.get_running_loop().create_future()
        await self.runtime.start(only=(), needs_all_workers=False)

    async def close(self) -> None:
        """Stop within seconds; idempotent."""
        if self._fatal is not None and self._fatal.done():
            self._fatal.exception()
        await self.runtime.stop()

    # --- executions -----------------------------------------------------------------------------------------

    async def execute(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Submit an execution; returns after it is durable."""
        raw = orjson.dumps(body)
        try:
            submitted = await self.runtime.service.execute(parse_body(ExecuteBody, raw))
        except Invalid as error:
            raise self._explained(error) from None
        if not submitted.is_new:
            await self.resume(submitted.execution_id)
        status, _ = await self.runtime.service.views.status(submitted.execution_id)
        return {"execution_id": submitted.execution_id, "status": status}

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return one execution with its stages and deliverables."""
        return plain(await self.runtime.service.views.execution(execution_id))

    async def resume(self, execution_id: str) -> None:
        """Go on with an open execution; `Misconfigured` if its workers cannot be loaded."""
        await self._check_workers(execution_id)
        await self.runtime.recovery.resume(execution_id)

    async def cancel(self, execution_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel an open execution."""
        return await self.runtime.service.cancel(execution_id, reason)

    async def retry(self, execution_id: str, from_stage: str | None = None) -> dict[str, Any]:
        """Go on with an ended execution from the stage that failed, or from a named one."""
        await self._check_workers(execution_id)
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
        try:
            pipeline, is_new = await self.runtime.service.register(load_value(document))
        except Invalid as error:
            raise self._explained(error) from None
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

    async def _check_workers(self, execution_id: str) -> None:
        """Refuse to go on with an execution that would only fail for want of a worker that cannot be loaded."""
        problems = self.runtime.processes.problems
        if not problems:
            return
        bound, _ = await self.runtime.service.views.graph(execution_id)
        facts = self.runtime.dispatcher.facts
        workers = (entry.stage.worker for entry in bound.plan.stages.values())
        missing = sorted({worker for worker in workers if worker is not None and facts(worker) is None})
        if missing:
            why = f"Execution {execution_id} needs {', '.join(missing)}. "
            raise workers_missing(problems, self.settings, why)

    def _explained(self, error: Invalid) -> StagewrightError:
        is_for_workers = error.detail.endswith(WORKERS_MISSING)
        return with_problems(error, self.runtime.processes.problems, self.settings) if is_for_workers else error

    def _on_fatal(self, error: BaseException) -> None:
        if self._fatal is None or self._fatal.done():
            return
        known = isinstance(error, StagewrightError)
        self._fatal.set_exception(error if known else StoreTrouble(f"The node cannot go on: {error!r}"))
