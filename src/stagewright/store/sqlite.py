"""SQLite as the product's store: one writer thread and a few reader threads, each with its own connection."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stagewright.model.errors import Fenced, StoreTrouble, SyncFailed
from stagewright.ports.clock import Clock
from stagewright.ports.store import Batch, NodeIdentity, Params, Row, Winner
from stagewright.store.database import SqliteDatabase

T = TypeVar("T")

READERS = 2
CALL_TIMEOUT_S = 30.0
END_TIMEOUT_S = 1.0  # for the threads to end; one that hangs in the disk is left behind, they are daemons
QUEUED_CALLS_MAX = 10_000
COPY_PAGES = 1_000  # of the write-ahead log (4 MB), after which they are copied beside the writer


class SqliteStore:
    """`ports.store.Store` on a file. Calls come from one event loop; each has a bound of `CALL_TIMEOUT_S`.

    `on_broken` is told `SyncFailed` or `Fenced`, whichever call or thread meets it: the process must end.
    """

    def __init__(
        self, path: Path, clock: Clock, on_broken: Callable[[BaseException], None] = lambda error: None
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_broken = on_broken
        self._identity = NodeIdentity("", "")
        self._writer: _Thread | None = None
        self._readers: list[_Thread] = []
        self._checkpointer: _Thread | None = None
        self._copied_pages = 0
        self._turn = 0

    async def start(self, identity: NodeIdentity, now_us: int) -> None:
        """Open and migrate; `node_start` makes this incarnation the only writer."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._identity = identity
        self._writer = self._thread("writer", lambda: SqliteDatabase(self._path, on_log=self._log_grew))
        await self._writer.call(lambda database: database.migrate())
        self._checkpointer = self._thread("checkpointer", lambda: SqliteDatabase(self._path))
        begin = ("node_start", (identity.node, identity.incarnation, now_us))
        await self._writer.call(lambda database: database.write([begin]))
        self._readers = [
            self._thread(f"reader-{number}", lambda: SqliteDatabase(self._path, readonly=True))
            for number in range(READERS)
        ]

    async def stop(self) -> None:
        """Give the threads `END_TIMEOUT_S` to finish what is queued and close their connections; idempotent."""
        threads = [thread for thread in (self._checkpointer, self._writer, *self._readers) if thread is not None]
        self._checkpointer, self._writer, self._readers = None, None, []
        ends = [thread.end() for thread in threads]
        if ends:
            await asyncio.wait(ends, timeout=END_TIMEOUT_S)

    def flush(self, batch: Batch) -> asyncio.Future[dict[str, Winner]]:
        """See the port; the writer has the batch when this returns."""
        now_us = self._clock.now_us()
        try:
            return self._write_thread().call(lambda database: database.flush(self._identity, batch, now_us))
        except StoreTrouble as error:
            failed: asyncio.Future[dict[str, Winner]] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def flushed(self) -> int:
        """See the port."""
        identity = self._identity
        rows = await self._write_thread().call(
            lambda database: database.run("node_flushed", (identity.node, identity.incarnation))
        )
        return int(rows[0][0]) if rows else 0

    async def read(self, query: str, *params: Any) -> list[Row]:
        """See the port; readers take turns."""
        if not self._readers:
            raise StoreTrouble("The database is closed")
        self._turn = (self._turn + 1) % len(self._readers)
        return await self._readers[self._turn].call(lambda database: database.run(query, params))

    async def write(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        """See the port."""
        identity = self._identity
        return await self._write_thread().call(lambda database: database.write(statements, identity))

    def _log_grew(self, pages: int) -> None:
        """Have the log copied beside the writer, now and then; called on the writer's thread after each commit."""
        if pages < self._copied_pages:
            self._copied_pages = 0  # the log has begun anew
        if pages - self._copied_pages >= COPY_PAGES and self._checkpointer is not None:
            self._copied_pages = pages
            self._checkpointer.tell(SqliteDatabase.checkpoint)

    def _thread(self, name: str, open_database: Callable[[], SqliteDatabase]) -> _Thread:
        return _Thread(f"store-{name}", open_database, self._on_broken)

    def _write_thread(self) -> _Thread:
        if self._writer is None:
            raise StoreTrouble("The database is closed")
        return self._writer


class _Thread:
    """A thread that owns a connection and does one call after another."""

    def __init__(
        self, name: str, open_database: Callable[[], SqliteDatabase], on_broken: Callable[[BaseException], None]
    ) -> None:
        self._calls: queue.SimpleQueue[Callable[[SqliteDatabase], None] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._open = open_database
        self._on_broken = on_broken
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[SqliteDatabase], T]) -> asyncio.Future[T]:
        """Queue a call; the future has its result, its error, or `StoreTrouble` after the timeout."""
        if self._calls.qsize() >= QUEUED_CALLS_MAX:
            raise StoreTrouble(f"{QUEUED_CALLS_MAX} database calls are waiting: the database is too slow")
        future: asyncio.Future[T] = self._loop.create_future()
        timeout = self._loop.call_later(CALL_TIMEOUT_S, _time_out, future)

        def perform(database: SqliteDatabase) -> None:
            if future.done():  # nobody waits any more: a late write must not surprise
                return
            try:
                outcome: tuple[T | None, BaseException | None] = (function(database), None)
            except BaseException as error:
                outcome = (None, error)
            self._tell_broken(outcome[1])
            self._tell_loop(_settle, future, timeout, outcome)

        self._calls.put(perform)
        return future

    def tell(self, function: Callable[[SqliteDatabase], None]) -> None:
        """Queue something that nobody waits for, unless it is queued already.

        Its trouble is left to the next call, but for a failed sync.
        """
        if self._calls.empty():
            self._calls.put(lambda database: self._quietly(function, database))

    def end(self) -> asyncio.Future[None]:
        """Have the thread finish the queue, close the connection and end; the future is done when it has."""
        self._calls.put(None)
        return self._ended

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._tell_loop(_set_done, self._ended)

    def _serve(self) -> None:
        try:
            database = self._open()
        except BaseException as error:
            self._refuse_all(error)
            return
        while (perform := self._calls.get()) is not None:
            perform(database)
        self._quietly(SqliteDatabase.close, database)

    def _refuse_all(self, error: BaseException) -> None:
        class _Broken:
            def __getattr__(self, name: str) -> Any:
                raise error

        while (perform := self._calls.get()) is not None:
            perform(_Broken())  # type: ignore[arg-type]

    def _quietly(self, function: Callable[[SqliteDatabase], None], database: SqliteDatabase) -> None:
        try:
            function(database)
        except StoreTrouble as error:
            self._tell_broken(error)

    def _tell_broken(self, error: BaseException | None) -> None:
        if isinstance(error, SyncFailed | Fenced):
            self._tell_loop(self._on_broken, error)

    def _tell_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed when a call that hung comes back
            self._loop.call_soon_threadsafe(function, *arguments)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _time_out(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(StoreTrouble(f"The database did not answer within {CALL_TIMEOUT_S:g} s"))


def _settle(
    future: asyncio.Future[Any], timeout: asyncio.TimerHandle, outcome: tuple[Any, BaseException | None]
) -> None:
    timeout.cancel()
    result, error = outcome
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
