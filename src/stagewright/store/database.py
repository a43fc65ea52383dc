"""One SQLite connection, used by one thread at a time: open, migrate, flush, read, write. Synchronous."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import orjson

from stagewright.model.errors import BadRows, Fenced, StoreTrouble
from stagewright.ports.store import Batch, NodeIdentity, Params, Row, Winner
from stagewright.store.queries import migrations, queries

BUSY_TIMEOUT_MS = 5_000
CHECKPOINT_PAGES = 20_000  # of the write-ahead log (80 MB), after which the writer itself sees to its end
CACHE_KIB = 32 * 1024

_DATA_ERRORS = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError, apsw.SQLError)


class SqliteDatabase:
    """The writer's connection, or a reader's (`readonly`). Errors of the database become `StoreTrouble`."""

    def __init__(
        self, path: Path | str, *, readonly: bool = False, on_log: Callable[[int], None] | None = None
    ) -> None:
        self._queries = queries()
        with _translated():
            if readonly:
                uri = f"file:{Path(path).absolute()}?mode=ro"
                self._connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            else:
                self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            self._pragma(f"cache_size = -{CACHE_KIB}")
            if not readonly:
                self._pragma("journal_mode = wal")
                self._pragma("synchronous = full")
                self._on_log = on_log or (lambda pages: None)
                self._connection.set_wal_hook(self._after_commit)

    def checkpoint(self) -> None:
        """Copy what the write-ahead log holds into the database file, as far as that disturbs nobody."""
        with _translated():
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._connection.close()

    def schema_version(self) -> int:
        """Return the number of the last migration that this database has seen, 0 for a new one."""
        return int(str(self._pragma("user_version")[0][0]))

    def migrate(self) -> None:
        """Bring the schema to the newest version; a newer one than ours is refused."""
        newest = migrations()[-1][0]
        present = self.schema_version()
        if present > newest:
            raise StoreTrouble(
                f"The database has schema version {present}, this program knows {newest}: use the newer program"
            )
        for number, text in migrations():
            if number <= present:
                continue
            with self.transaction():
                self._connection.execute(text).fetchall()
                self._pragma(f"user_version = {number}")

    def run(self, query: str, params: Params = ()) -> list[Row]:
        """Run a named query and return its rows."""
        with _translated():
            return self._connection.execute(self._queries[query], tuple(params)).fetchall()

    def write(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        """Run named statements in one transaction."""
        with self.transaction():
            return [self.run(query, params) for query, params in statements]

    def flush(self, identity: NodeIdentity, batch: Batch, now_us: int) -> dict[str, Winner]:
        """Write the batch in one transaction; see `ports.store.Store.flush`."""
        with self.transaction():
            if not self.run("flush_fence", (identity.node, identity.incarnation, batch.number)):
                raise Fenced("Another incarnation of this node is alive: this process must not write any more")
            losers = self._win_keys(batch.keys, now_us) if batch.keys else {}
            self._flush_rows(batch, losers)
            return losers

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction that has the write lock from its beginning."""
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE").fetchall()
        try:
            yield
            with _translated():
                self._connection.execute("COMMIT").fetchall()
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK").fetchall()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of a block see one state. The log cannot be folded back meanwhile, so keep it short."""
        with _translated():
            self._connection.execute("BEGIN").fetchall()
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK").fetchall()

    def _win_keys(self, keys: list[Row], now_us: int) -> dict[str, Winner]:
        """Win all keys of an execution or none, one execution after another: nobody loses to one that loses."""
        losers: dict[str, Winner] = {}
        of_execution: dict[str, list[Row]] = {}
        for row in keys:
            of_execution.setdefault(row[2], []).append(row)
        for execution_id, rows in of_execution.items():
            winner = self._win_all(sorted(rows), now_us)
            if winner is not None:
                losers[execution_id] = winner
        return losers

    def _win_all(self, rows: list[Row], now_us: int) -> Winner | None:
        for number, (scope, key, execution_id, fingerprint, expires_at) in enumerate(rows):
            if self.run("flush_keys", (scope, key, execution_id, fingerprint, expires_at, now_us)):
                continue
            for own_scope, own_key, *_ in rows[:number]:
                self.run("drop_key", (own_scope, own_key, execution_id))
            winner, its_fingerprint = self.run("key_winner", (scope, key))[0]
            return Winner(winner, its_fingerprint, scope)
        return None

    def _flush_rows(self, batch: Batch, losers: dict[str, Winner]) -> None:
        for query, rows, column in (
            ("flush_executions", batch.executions, 0),
            ("flush_steps", batch.steps, 0),
            ("flush_items", batch.items, 0),
            ("flush_pages", batch.pages, 1),
        ):
            kept = [row for row in rows if row[column] not in losers] if losers else rows
            if kept:
                self.run(query, (_encoded(kept),))
        for query, rows, column in (
            ("flush_contents", batch.contents, -1),
            ("flush_blobs", batch.blobs, -1),
            ("flush_blob_refs", batch.blob_refs, 1),
            ("flush_artifacts", batch.artifacts, 1),
        ):
            for row in rows:
                if column < 0 or row[column] not in losers:
                    self.run(query, row)

    def _after_commit(self, connection: apsw.Connection, _: str, pages: int) -> int:
        """Bound the log: another thread copies it all along, so that here little is left when it is full."""
        self._on_log(pages)
        if pages >= CHECKPOINT_PAGES:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return apsw.SQLITE_OK

    def _pragma(self, text: str) -> Any:
        return self._connection.execute(f"PRAGMA {text}").fetchall()


def _encoded(rows: list[Row]) -> str:
    try:
        return orjson.dumps(rows).decode()
    except (TypeError, ValueError) as error:
        raise BadRows(f"A row cannot be encoded as JSON: {error}") from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _DATA_ERRORS as error:
        raise BadRows(f"SQLite refused a row: {type(error).__name__}: {error}") from error
    except apsw.Error as error:
        raise StoreTrouble(f"SQLite answered {type(error).__name__}: {error}") from error
