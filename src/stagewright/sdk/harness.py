"""For tests of workers: runs one handler as a server would, without a server.

>>> import asyncio, tempfile
>>> from stagewright.sdk import Worker
>>> greeter = Worker("greeter")
>>> @greeter.action
... def greet(inputs, ctx):
...     ctx.progress(1.0, "greeted")
...     return {"text": f"Hello {inputs['name']}"}
>>> with tempfile.TemporaryDirectory() as folder:
...     done = asyncio.run(run_handler(greeter, None, {"name": "Ada"}, folder))
>>> done.output, done.progress
({'text': 'Hello Ada'}, [(1.0, 'greeted')])
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import orjson

from stagewright.sdk.artifacts import check_artifact
from stagewright.sdk.context import ArtifactRef
from stagewright.sdk.encode import encode_json
from stagewright.sdk.invoke import call_handler
from stagewright.sdk.outcome import Result
from stagewright.sdk.worker import Worker


@dataclass(frozen=True, slots=True)
class Performed:
    """What one call of a handler gave. `output` has been through JSON, as it is for the next stage."""

    output: Any
    summary: Mapping[str, Any]
    usage: Sequence[Mapping[str, Any]]
    progress: list[tuple[float, str]]  # every report, in order
    artifacts: dict[str, Path]  # the file of each artifact by its name


class HarnessContext:
    """A `Context` whose artifacts are files in a folder; set `cancelled` to see how a handler stops."""

    execution_id = "exec_test"

    def __init__(self, folder: Path, step: str = "test", attempt: int = 1) -> None:
        self.step, self.attempt, self.cancelled = step, attempt, False
        self.cache_dir = folder / "cache"
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        self.reports: list[tuple[float, str]] = []
        self.files: dict[str, Path] = {}
        self._folder = folder / "artifacts"

    def progress(self, fraction: float, message: str = "") -> None:
        """See `Context`."""
        self.reports.append((fraction, message))

    async def artifact(self, name: str, content: bytes | str | Path, *, media_type: str) -> ArtifactRef:
        """See `Context`."""
        check_artifact(name, media_type)
        path = self._folder / name
        checksum = await asyncio.to_thread(_write, path, content)
        self.files[name] = path
        return {"name": name, "media_type": media_type, "size_bytes": path.stat().st_size, "checksum": checksum}


async def run_handler(
    worker: Worker, action: str | None, inputs: Any, folder: str | Path, *, context: HarnessContext | None = None
) -> Performed:
    """Run a handler on JSON inputs and return what it gave; what it raises is raised here.

    Raises LookupError for an unknown action, ValueError for an output that a server would refuse.
    """
    found = worker.find(action)
    if found is None:
        raise LookupError(f"worker '{worker.name}' has no action {action!r}; there are: {', '.join(worker.actions)}")
    ctx = context or HarnessContext(Path(folder))
    value = await call_handler(found, orjson.loads(encode_json(inputs, "inputs")), ctx, None)
    result = value if isinstance(value, Result) else Result(value)
    if result.output is None:
        raise ValueError("the handler returned nothing: return a JSON value, {} if there is nothing to say")
    output = orjson.loads(encode_json(result.output))
    return Performed(output, result.summary, result.usage, ctx.reports, ctx.files)


def _write(path: Path, content: bytes | str | Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with path.open("rb") as file:
        return "sha256:" + file_digest(file, "sha256").hexdigest()
