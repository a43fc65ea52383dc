"""Workers that find, read, sort and report what is published about a topic.

Layer `workers`: written against the SDK as any user would. Importing this package loads none of the libraries
that the workers use, so that listing names stays cheap; `workers()` loads them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewright.sdk import Worker

_HERE = Path(__file__).parent

_MODULES = {
    "rss-source-finder": "source_finder",
    "feed-fetcher": "feed_fetcher",
    "content-classifier": "classifier",
    "report-builder": "report_builder",
}


def names() -> list[str]:
    """Return the names of the workers in this package without loading them."""
    return list(_MODULES)


def workers() -> list[Worker]:
    """Load and return the workers, in the order of `names()`."""
    found: list[Worker] = []
    for name, module in _MODULES.items():
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
