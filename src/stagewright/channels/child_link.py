"""The parent's end of one child process: starts it, writes to it, hears it, ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stagewright.channels.frames import BadFrame, pack, receive

EXIT_S = 1.0  # from the end of the line to the end of the process
READ_BYTES = 16 * 1024
LINE_BYTES_MAX = 2_000
LINES_MAX = 200  # forwarded a second and child; the rest is counted
STOPPED_STATES = ("T", "t")  # proc(5): stopped by a signal, stopped by a debugger


class Listener(Protocol):
    """Who is told what a child does. Nothing is told of a link after `on_end`."""

    def on_message(self, link: ChildLink, head: dict[str, Any], raws: list[bytes]) -> None:
        """Take a message; KeyError, TypeError and ValueError mean that it is none."""
        ...

    def on_end(self, link: ChildLink, reason: str, *, is_start_failure: bool) -> None: ...

    def on_line(self, text: str) -> None: ...


@dataclass(slots=True, eq=False)
class ChildLink:
    """One child process. `attempts` is kept by the listener."""

    command: Sequence[str]
    hello: Mapping[str, Any]
    listener: Listener
    is_alone: bool = False
    attempts: set[int] = field(default_factory=set)
    is_ready: bool = False
    is_closing: bool = False
    started_at: float = 0.0  # of the loop's clock, as all times here
    heard_at: float = 0.0
    idle_since: float = 0.0
    pid: int | None = None
    reason: str | None = None  # why it was ended from here
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.StreamWriter | None = None
    _unsent: list[bytes] = field(default_factory=list)
    _lines: LineLimit | None = None
    _task: asyncio.Task[None] | None = None
    _kill_handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to start the process; messages may be sent at once."""
        loop = asyncio.get_running_loop()
        self.started_at = self.heard_at = self.idle_since = loop.time()
        self._task = loop.create_task(self._live(), name="child")

    def send(self, head: Mapping[str, Any], raws: Sequence[bytes] = ()) -> None:
        """Send a message; `FrameTooLarge` before any of it is sent."""
        pieces = pack(head, raws)
        if self._writer is None:
            self._unsent += pieces
        elif not self._writer.is_closing():
            self._writer.writelines(pieces)

    def close(self, after_s: float) -> None:
        """Ask the process to end, and end it after some seconds."""
        if self.is_closing:
            return
        self.is_closing = True
        self.send({"t": "stop"})
        self._kill_handle = asyncio.get_running_loop().call_later(after_s, self.kill, "did not end when asked to")

    def kill(self, reason: str) -> None:
        """End the process and all that it started, at once."""
        self.is_closing = True
        self.reason = self.reason or reason
        self._kill_group()

    def is_stopped(self) -> bool:
        """Say whether a signal has stopped the process, where the system tells."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in STOPPED_STATES

    async def _live(self) -> None:
        reader = None
        lines: asyncio.Task[None] | None = None
        try:
            process, reader, lines = await self._spawn()
        except OSError as error:
            self._end(f"could not be started: {error}", is_start_failure=True)
            return
        try:
            await self._hear(reader)
        except BadFrame as error:
            self.kill(f"sent {error}")
        code = await self._reap(process)
        lines.cancel()  # what its own children still hold open is no concern of ours
        with contextlib.suppress(asyncio.CancelledError):
            await lines
        self._end(self.reason or ending_of(code), is_start_failure=False)

    async def _spawn(
        self,
    ) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.Task[None]]:
        ours, theirs = socket.socketpair()
        output, theirs_output = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, str(theirs.fileno()), stdin=asyncio.subprocess.DEVNULL, stdout=theirs_output,
                stderr=theirs_output, pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(theirs_output)
        self.pid = process.pid
        lines = asyncio.get_running_loop().create_task(self._forward(output), name="child-lines")
        ours.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        writer.writelines(pack(self.hello))
        writer.writelines(self._unsent)
        self._unsent.clear()
        self._writer = writer
        if self.reason is not None:
            self.kill(self.reason)  # was asked before there was a process
        return process, reader, lines

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        clock = asyncio.get_running_loop().time
        while (message := await receive(reader)) is not None:
            self.heard_at = clock()
            if message[0]["t"] == "beat":
                continue
            try:
                self.listener.on_message(self, *message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadFrame(f"a message that is none ({error!r}): {str(message[0])[:80]}") from error

    async def _reap(self, process: asyncio.subprocess.Process) -> int:
        assert self._writer is not None
        self._writer.close()
        try:
            return await asyncio.wait_for(asyncio.shield(process.wait()), EXIT_S)
        except TimeoutError:
            self.kill("closed its line to the server but did not end")
            return await process.wait()
        finally:
            self._kill_group()  # nobody is left there but what handlers started

    def _kill_group(self) -> None:
        if self.pid is not None and not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _end(self, reason: str, *, is_start_failure: bool) -> None:
        if self._kill_handle is not None:
            self._kill_handle.cancel()
        self.is_closing = True
        self.ended.set()
        self.listener.on_end(self, reason, is_start_failure=is_start_failure)

    async def _forward(self, descriptor: int) -> None:
        """Pass on what handlers print, in bounded lines, so that they are never blocked by a full pipe."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        limit = LineLimit(self.listener.on_line, self.pid)
        pending = b""
        try:
            while content := await reader.read(READ_BYTES):
                *lines, pending = (pending + content).split(b"\n")
                for line in lines:
                    limit.take(line, loop.time())
                if len(pending) > LINE_BYTES_MAX:
                    limit.take(pending, loop.time())
                    pending = b""
        finally:
            if pending:
                limit.take(pending, loop.time())
            transport.close()


@dataclass(slots=True)
class LineLimit:
    """Lets so many lines a second pass and says how many it left out."""

    on_line: Callable[[str], None]
    pid: int | None
    second: float = 0.0
    count: int = 0

    def take(self, line: bytes, now: float) -> None:
        """Pass a line on, or count it."""
        if now - self.second >= 1.0:
            if self.count > LINES_MAX:
                self.on_line(f"[worker process {self.pid}] … {self.count - LINES_MAX} more lines left out")
            self.second, self.count = now, 0
        self.count += 1
        if self.count <= LINES_MAX:
            self.on_line(f"[worker process {self.pid}] {_printable(line[:LINE_BYTES_MAX])}")


def _printable(line: bytes) -> str:
    """Return the text without control characters, which could rule the terminal that shows it."""
    text = line.decode("utf-8", "replace").rstrip("\r").expandtabs()
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def ending_of(code: int) -> str:
    """Say how a process ended by its return code; negative is the number of a signal."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"was ended by signal {-code} ({name}){hint}"
