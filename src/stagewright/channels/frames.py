"""Frames between a channel and its child process: 4 bytes of length, big-endian, then that many bytes.

A message is a head (a JSON object whose `t` is its kind) and, if its `raw` says so, that many frames of plain bytes
after it: values that one side passes on without looking into them.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import orjson

FRAME_BYTES_MAX = 2 * 1024 * 1024
RAWS_MAX = 4096  # plain frames of one message

_LENGTH = struct.Struct(">I")

Frames = tuple[dict[str, Any], list[bytes]]


class BadFrame(Exception):
    """The bytes are no message of this protocol."""


class FrameTooLarge(Exception):
    """What should be sent has more bytes than a frame may have."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes do not fit into a frame of {FRAME_BYTES_MAX}")
        self.size_bytes = size_bytes


def pack(head: Mapping[str, Any], raws: Sequence[bytes] = ()) -> list[bytes]:
    """Return the pieces of a message in order, to be written one after the other; `FrameTooLarge` before any is."""
    assert len(raws) <= RAWS_MAX, len(raws)
    pieces: list[bytes] = []
    for content in (orjson.dumps({**head, "raw": len(raws)} if raws else head), *raws):
        if len(content) > FRAME_BYTES_MAX:
            raise FrameTooLarge(len(content))
        pieces += (_LENGTH.pack(len(content)), content)
    return pieces


async def receive(reader: asyncio.StreamReader) -> Frames | None:
    """Return the next message, None at the end; `BadFrame` for anything else."""
    try:
        content = await reader.readexactly(_length(await reader.readexactly(_LENGTH.size)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    head, count = _head(content)
    try:
        raws = [await reader.readexactly(_length(await reader.readexactly(_LENGTH.size))) for _ in range(count)]
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return head, raws


def receive_now(file: BinaryIO) -> Frames | None:
    """Do the same from a blocking file, for a thread."""
    content = _read_now(file)
    if content is None:
        return None
    head, count = _head(content)
    raws: list[bytes] = []
    for _ in range(count):
        raw = _read_now(file)
        if raw is None:
            return None
        raws.append(raw)
    return head, raws


def _read_now(file: BinaryIO) -> bytes | None:
    length = file.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    size = _length(length)
    content = file.read(size)
    return content if len(content) == size else None


def _length(content: bytes) -> int:
    size: int = _LENGTH.unpack(content)[0]
    if size > FRAME_BYTES_MAX:
        raise BadFrame(f"a frame of {size} bytes, at most {FRAME_BYTES_MAX} are taken")
    return size


def _head(content: bytes) -> tuple[dict[str, Any], int]:
    try:
        head = orjson.loads(content)
    except ValueError as error:
        raise BadFrame(f"a message that is no JSON: {error}") from error
    count = head.get("raw", 0) if isinstance(head, dict) else -1
    if not isinstance(count, int) or not 0 <= count <= RAWS_MAX or not isinstance(head.get("t"), str):
        raise BadFrame(f"a message that is none: {content[:80]!r}")
    return head, count
