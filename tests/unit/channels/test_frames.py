"""Messages survive the way, and nothing else is taken for one."""

from __future__ import annotations

import asyncio
import io
import struct

import pytest

from stagewright.channels.frames import FRAME_BYTES_MAX, BadFrame, FrameTooLarge, pack, receive, receive_now


async def heard(content: bytes) -> object:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    there = await receive(reader)
    assert there == receive_now(io.BytesIO(content))
    return there


async def test_a_message_arrives_as_it_was_sent() -> None:
    sent = b"".join(pack({"t": "done", "n": 1}, [b"", b"\x00raw\xff", b"x" * FRAME_BYTES_MAX]))
    assert await heard(sent) == (
        {"t": "done", "n": 1, "raw": 3},
        [b"", b"\x00raw\xff", b"x" * FRAME_BYTES_MAX],
    )


@pytest.mark.parametrize("cut", [0, 2, 4, 10, 40])
async def test_a_line_that_ends_within_a_message_is_an_end(cut: int) -> None:
    sent = b"".join(pack({"t": "done", "n": 1}, [b"0123456789"]))
    assert await heard(sent[:cut]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"t":1}',
        b'{"t":"x","raw":-1}',
        b'{"t":"x","raw":"many"}',
        b'{"t":"x","raw":99999}',
        b"\xff",
    ],
)
async def test_anything_else_is_refused(content: bytes) -> None:
    framed = struct.pack(">I", len(content)) + content
    with pytest.raises(BadFrame):
        receive_now(io.BytesIO(framed))
    with pytest.raises(BadFrame):
        await heard(framed)


async def test_a_frame_beyond_the_bound_is_refused_on_both_sides() -> None:
    with pytest.raises(BadFrame):
        await heard(struct.pack(">I", FRAME_BYTES_MAX + 1))
    with pytest.raises(FrameTooLarge):
        pack({"t": "done"}, [b"x" * (FRAME_BYTES_MAX + 1)])
