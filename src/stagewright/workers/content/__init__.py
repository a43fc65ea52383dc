"""Workers that find, read, sort and report what is published about a topic.

Layer `workers`: written against the SDK as any user would. Importing this package loads none of the libraries
that the workers use, so that listing names stays cheap; `workers()` loads them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stagewright.sdk import Worker

_HERE = Path(__file__).parent

# What a listing says of each worker stands here too, as asking the worker would load it; a test keeps both equal.
_MODULES = {
    "rss-source-finder": (
        "source_finder",
        "find",
        "Finds feeds from an OPML file, a folder, a list of addresses or the links of a web page",
    ),
    "feed-fetcher": ("feed_fetcher", "fetch", "Reads RSS, Atom and JSON feeds from files and http(s) into articles"),
    "content-classifier": (
        "classifier",
        "classify",
        "Scores articles against a topic, labels them, tells their language and removes near-duplicates",
    ),
    "report-builder": (
        "report_builder",
        "build",
        "Writes a report (HTML and Markdown) with findings, summaries, a picture, a table and the sources",
    ),
}


def names() -> list[str]:
    """Return the names of the workers in this package without loading them."""
    return list(_MODULES)


def manifest() -> list[dict[str, Any]]:
    """Describe the workers without loading them: name, version, description and actions of each."""
    return [
        {"name": name, "version": "1", "description": description, "actions": [action]}
        for name, (_, action, description) in _MODULES.items()
    ]


def workers() -> list[Worker]:
    """Load and return the workers, in the order of `names()`."""
    found: list[Worker] = []
    for name, (module, _, _) in _MODULES.items():
        worker: Worker = import_module(f"{__name__}.{module}").worker
        assert worker.name == name, f"{module} defines {worker.name}, expected {name}"
        found.append(worker)
    return found


def pipelines() -> list[Path]:
    """Return the pipeline documents that ship with these workers, sorted by name."""
    return sorted((_HERE / "pipelines").glob("*.yaml"))


def demo_sources() -> Path:
    """Return the OPML file that lists the feeds of the demo; they need no network."""
    return _HERE / "demo" / "sources.opml"
