"""What a handler may ask of the attempt it runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypedDict


class ArtifactRef(TypedDict):
    """An artifact as a handler may put it into its output."""

    name: str
    media_type: str
    size_bytes: int
    checksum: str


class Context(Protocol):
    """Handed to every handler as its second argument."""

    execution_id: str
    step: str
    attempt: int
    cache_dir: Path  # a folder of this worker that outlives attempts; may vanish at any time between them

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for this attempt any more; a handler should then stop soon."""
        ...

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the attempt is, 0.0 to 1.0; cheap, may be called often."""
        ...

    async def artifact(self, name: str, content: bytes | str | Path, *, media_type: str) -> ArtifactRef:
        """Store a named result; a `Path` is streamed and never held whole in memory.

        Bound to this attempt: it counts only if the attempt completes. The same name again replaces it.
        """
        ...
