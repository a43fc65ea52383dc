"""What is installed on this machine: the sources of local workers, what they offer, and the pipelines that ship."""

from __future__ import annotations

import sys
from typing import Any

from stagewright.app.child import COMMAND
from stagewright.app.settings import Settings
from stagewright.channels.probe import ProbeChannel
from stagewright.channels.process import ProcessChannel
from stagewright.channels.sources import WorkerSource, installed_sources
from stagewright.definitions import load_text
from stagewright.definitions.aliases import Aliases
from stagewright.engine.bind import Binder
from stagewright.model.data import DataRef
from stagewright.model.errors import DataLost, Misconfigured
from stagewright.model.message import Message
from stagewright.model.pipeline import Pipeline
from stagewright.objects.files import FileObjects
from stagewright.ports.channel import WorkerFacts
from stagewright.workers.content import pipelines as content_pipelines

CONTENT = WorkerSource("stagewright.workers.content", manifest="manifest")
DESCRIBE_TIMEOUT_S = 30.0


def worker_sources(settings: Settings) -> list[WorkerSource]:
    """Return where local workers come from: shipped, named in the settings, installed; in this order."""
    named = [WorkerSource(module) for module in settings.workers.modules]
    folder = str(settings.workers.folder.absolute())
    if named and folder not in sys.path:
        sys.path.append(folder)  # child processes take the path over; last, so that it shadows nothing
    return [CONTENT, *named, *installed_sources((CONTENT, *named))]


def shipped_pipelines() -> list[Pipeline]:
    """Return the pipelines that are there without being registered."""
    return [load_text(path.read_bytes()) for path in content_pipelines()]


async def installed_workers(settings: Settings) -> dict[str, WorkerFacts]:
    """Ask what a node on this machine could use; a child process is started only for modules without a manifest."""
    objects = FileObjects(settings.objects_path)
    channel = ProcessChannel(
        worker_sources(settings), _nothing, command=COMMAND, objects=settings.objects_path,
        cache=settings.data / "cache", settings=settings.workers.local,
    )  # fmt: skip
    await channel.start(_NoMailbox())
    try:
        if not await channel.wait_described(DESCRIBE_TIMEOUT_S) or channel.problems:
            raise Misconfigured("Some workers cannot be loaded: " + "; ".join(channel.problems or ("too slow",)))
        return {**ProbeChannel(objects, _nothing).workers(), **channel.workers()}
    finally:
        await channel.stop()


async def check_workers(pipeline: Pipeline, settings: Settings) -> None:
    """Refuse a pipeline whose workers or actions are not installed; names the stages and what there is."""
    facts = await installed_workers(settings)
    aliases = Aliases(settings.aliases)

    def known(name: str) -> WorkerFacts | None:
        return facts.get(aliases.worker(name, facts) or name)

    Binder(known, lambda: tuple(facts)).check_workers(pipeline)


def worker_item(facts: WorkerFacts) -> dict[str, Any]:
    """Shape a worker for the list."""
    return {
        "worker_name": facts.name,
        "version": facts.version,
        "description": facts.description,
        "actions": list(facts.actions),
        "capacity": facts.slots or None,
        "in_use": 0,
    }


class _NoMailbox:
    def post(self, execution_id: str, message: Message) -> None:
        """Nothing is dispatched, so nothing is told."""


async def _nothing(ref: DataRef) -> bytes:
    raise DataLost(f"Nothing is loaded here: {ref.storage_key}")
