"""What is installed on this machine: the sources of local workers, what they offer, and the pipelines that ship."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
from stagewright.model.errors import DataLost, Invalid, Misconfigured, StagewrightError
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


async def await_workers(channel: ProcessChannel, settings: Settings, *, needs_all: bool) -> None:
    """Wait until the workers of a started channel are known; `Misconfigured` if some cannot be loaded.

    Without `needs_all` modules may fail to give theirs, as long as the processes themselves come up.
    """
    if not await channel.wait_described(DESCRIBE_TIMEOUT_S):
        raise workers_missing((f"their modules take longer than {DESCRIBE_TIMEOUT_S:g} s to load",), settings)
    if channel.problems and (needs_all or not channel.has_process):
        raise workers_missing(channel.problems, settings)


def workers_missing(problems: Sequence[str], settings: Settings, why: str = "") -> Misconfigured:
    """Say why some workers are not there, and where their modules are looked for; `why` they are needed first."""
    folder = settings.workers.folder.absolute()
    named = " (`workers.modules`)" if settings.workers.modules else ""
    return Misconfigured(
        f"{why}Some workers cannot be loaded: {'; '.join(problems)}. Mend the module or take it out of the "
        f"settings{named}; modules are looked for among what is installed, on PYTHONPATH, and in `workers.folder`, "
        f"which is {folder}"
    )


async def installed_workers(settings: Settings) -> tuple[dict[str, WorkerFacts], tuple[str, ...]]:
    """Ask what a node on this machine could use, and why some modules give no workers.

    A child process is started only for modules without a manifest.
    """
    objects = FileObjects(settings.objects_path)
    channel = ProcessChannel(
        worker_sources(settings), _nothing, command=COMMAND, objects=settings.objects_path,
        cache=settings.data / "cache", settings=settings.workers.local,
    )  # fmt: skip
    await channel.start(_NoMailbox())
    try:
        await await_workers(channel, settings, needs_all=False)
        return {**ProbeChannel(objects, _nothing).workers(), **channel.workers()}, channel.problems
    finally:
        await channel.stop()


async def check_workers(pipeline: Pipeline, settings: Settings) -> None:
    """Refuse a pipeline whose workers or actions are not installed; names the stages and what there is."""
    facts, problems = await installed_workers(settings)
    aliases = Aliases(settings.aliases)

    def known(name: str) -> WorkerFacts | None:
        return facts.get(aliases.worker(name, facts) or name)

    try:
        Binder(known, lambda: tuple(facts)).check_workers(pipeline)
    except Invalid as error:
        raise with_problems(error, problems, settings) from None


def with_problems(error: Invalid, problems: Sequence[str], settings: Settings) -> StagewrightError:
    """Say of a pipeline without its workers that they may be those that cannot be loaded."""
    if not problems:
        return error
    details = "; ".join(problem.detail for problem in error.problems) or error.detail
    return workers_missing(problems, settings, f"{details}. ")


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
