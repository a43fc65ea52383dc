"""Does history slow the product down: chains on a database with very many finished executions, and on an empty one.

One execution is really run; all others are copies of its rows under ids of the last thirty days, so that what is
measured has the shape that the product itself writes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import orjson

from stagewright.cli import bench_documents as documents
from stagewright.cli.bench_figures import Figure
from stagewright.cli.bench_inside import Sizes, chains_on, execute_on
from stagewright.cli.bench_place import Place
from stagewright.model.ids import SHARDS, IdSource

SINGLE = "bench_single"
ROUNDS = 3
"""Measurements on each of the two, in turns, so that both meet the same moods of the machine."""

HISTORY_US = 30 * 24 * 3600 * 1_000_000
IDS_AT_ONCE = 10_000
TABLES = ("executions", "steps", "event_pages")


def measure_growth(place: Place, sizes: Sizes) -> list[Figure]:
    """Compare chains with and without `sizes.finished` finished executions."""
    settings = place.settings("growth")
    [pattern] = execute_on(settings, [documents.chain(SINGLE, stages=1)])
    database = Path(
        settings.get("database", "").removeprefix("sqlite:///") or Path(settings["data"]) / "stagewright.db"
    )
    begin = time.perf_counter()
    rows = fill(database, pattern, sizes.finished)
    facts = {
        "finished": sizes.finished, "rows": rows, "size_mb": round(database.stat().st_size / 2**20),
        "fill_s": round(time.perf_counter() - begin, 1),
    }  # fmt: skip
    empty, grown = [], []
    for number in range(ROUNDS):
        empty.append(chains_on(place.beside(f"growth-empty-{number}"), sizes))
        grown.append(chains_on(settings, sizes))
    figures = [
        Figure("growth", "empty_stages_per_s", tuple(empty), "stages/s"),
        Figure("growth", "grown_stages_per_s", tuple(grown), "stages/s", facts),
    ]
    medians = [figure.value or 0.0 for figure in figures]
    return [*figures, Figure("growth", "throughput_ratio", (medians[1] / medians[0],), "of empty")]


def fill(database: Path, pattern: str, number: int) -> int:
    """Copy all rows of the execution `pattern` under `number` new ids; returns the rows written.

    No server may run on the database. It is not synced in between, as a crash would only mean to fill it again.
    """
    connection = apsw.Connection(str(database))
    try:
        connection.execute(
            "PRAGMA synchronous = off; PRAGMA journal_mode = wal; PRAGMA cache_size = -200000"
        ).fetchall()
        before = connection.total_changes()
        statements = [_copy_statement(connection, table) for table in TABLES]
        for ids in _old_ids(number):
            connection.execute("BEGIN").fetchall()
            for statement in statements:
                connection.execute(statement, {"ids": orjson.dumps(ids).decode(), "pattern": pattern}).fetchall()
            connection.execute("COMMIT").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return connection.total_changes() - before
    finally:
        connection.close()


def _copy_statement(connection: apsw.Connection, table: str) -> str:
    """Return a statement that copies the pattern's rows of a table once for each id; pages get numbers of their own."""
    columns = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
    replaced = {
        "execution_id": "new.value",
        "page": "(SELECT max(page) FROM event_pages) + row_number() OVER (ORDER BY new.key, old.page)",
    }
    values = [replaced.get(column, f"old.{column}") for column in columns]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM json_each(:ids) AS new, {table} AS old WHERE old.execution_id = :pattern"
    )


def _old_ids(number: int) -> Iterator[list[str]]:
    """Yield lists of ids whose times are spread over the last thirty days."""
    end = time.time_ns() // 1000 - 60_000_000
    position = 0
    chance = random.Random(1)
    source = IdSource(lambda: end - HISTORY_US + HISTORY_US * position // number, chance.getrandbits)
    while position < number:
        ids = []
        for _ in range(min(IDS_AT_ONCE, number - position)):
            ids.append(source.new("exec", position % SHARDS))
            position += 1
        yield ids
