"""Pipeline documents on the command line: a file, stdin, or the name of a registered pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stagewright.model.errors import Malformed, NotFound, Problem

if TYPE_CHECKING:
    from stagewright.model.pipeline import Pipeline

SUFFIXES = (".yaml", ".yml", ".json")


def is_file(target: str) -> bool:
    """True if the text names a document and not a registered pipeline."""
    return target == "-" or target.endswith(SUFFIXES) or "/" in target or Path(target).is_file()


def load_file(target: str) -> Pipeline:
    """Load and check a document; every problem is told with its place."""
    from stagewright.cli.values import read_text
    from stagewright.definitions import load_text

    if target != "-" and not Path(target).expanduser().is_file():
        raise NotFound(f"There is no file {target}: give the path of a pipeline document, or a registered name")
    return load_text(read_text(target))


def name_and_version(target: str) -> tuple[str, int | None]:
    """Split `name@version`."""
    name, _, version = target.partition("@")
    if version and not version.isdecimal():
        raise Malformed(f"The version after '@' must be a whole number: {target}", [Problem("no number", "version")])
    return name, int(version) if version else None
