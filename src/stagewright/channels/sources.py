"""Where local workers come from, and what is known of them without loading them."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

GROUP = "stagewright.workers"
FUNCTION = "workers"


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """A module with a function that returns workers.

    `manifest` names a function of the same module that lists them without loading what they need: dicts with name,
    version, description, actions. Only then is the module imported here; else a child process is asked.
    """

    module: str
    function: str = FUNCTION
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """What a list of workers says of one of them."""

    name: str
    version: str
    description: str
    actions: tuple[str, ...]

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Described:
        """Read one entry; KeyError or TypeError if it is none."""
        return Described(
            str(value["name"]), str(value["version"]), str(value["description"]), tuple(map(str, value["actions"]))
        )


def described(source: WorkerSource) -> list[Described]:
    """Return what the source's manifest says; it must have one."""
    assert source.manifest is not None, source
    module = importlib.import_module(source.module)
    return [Described.from_json(entry) for entry in getattr(module, source.manifest)()]


def installed_sources(known: Collection[WorkerSource] = ()) -> list[WorkerSource]:
    """Return the sources of installed packages (entry points of the group `stagewright.workers`) besides the known.

    An entry point is `module` or `module:function`; none is imported here.
    """
    modules = {source.module for source in known}
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return [WorkerSource(entry.module, entry.attr or FUNCTION) for entry in found if entry.module not in modules]
