"""How should many rows get into SQLite from a thread, beside a loop that keeps the interpreter busy?

The engine's flush hands a whole batch to one `INSERT ... SELECT ... FROM jsonb_each(?)`. This is why: every row of an
`executemany` takes the interpreter lock again, and beside a busy loop each time waits for it; one statement a batch
takes it once. Of those, `jsonb_each` parses the batch once into a form in which a row's values are found quickly.

    python bench/micro/sqlite_batches.py [--data FOLDER] [--seconds 1.0]

Prints rows a second, idle and beside a loop that never rests, in batches of `ROWS`, with full durability.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import orjson

ROWS = 1_000
COLUMNS = 18  # as many as a step has
VALUES_AT_ONCE = 100  # rows in one VALUES list: the bound on parameters of one statement is 32,766
SWITCH_INTERVAL_S = 0.0001
Write = Callable[[apsw.Connection, list[tuple[Any, ...]]], None]


def by_executemany(connection: apsw.Connection, rows: list[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * COLUMNS)
    connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)


def by_values(connection: apsw.Connection, rows: list[tuple[Any, ...]]) -> None:
    marks = f"({', '.join('?' * COLUMNS)})"
    for begin in range(0, len(rows), VALUES_AT_ONCE):
        part = rows[begin : begin + VALUES_AT_ONCE]
        flat = [value for row in part for value in row]
        connection.execute(f"INSERT INTO t VALUES {', '.join([marks] * len(part))}", flat).fetchall()


def by_json_each(connection: apsw.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(_select("json_each"), (orjson.dumps(rows).decode(),)).fetchall()


def by_jsonb_each(connection: apsw.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(_select("jsonb_each"), (orjson.dumps(rows).decode(),)).fetchall()


def _select(each: str) -> str:
    values = ", ".join(f"value ->> {column}" for column in range(COLUMNS))
    return f"INSERT INTO t SELECT {values} FROM {each}(?1)"


WAYS: dict[str, Write] = {
    "executemany": by_executemany,
    "VALUES lists": by_values,
    "json_each": by_json_each,
    "jsonb_each": by_jsonb_each,
}


def rows_per_s(folder: Path, write: Write, seconds: float) -> float:
    """Write batches into a new table for a while; each is a transaction of its own."""
    path = folder / f"{write.__name__}.db"
    path.unlink(missing_ok=True)
    connection = apsw.Connection(str(path))
    columns = ", ".join(f"c{column}" for column in range(2, COLUMNS))
    connection.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = full").fetchall()
    connection.execute(f"CREATE TABLE t (c0, c1, {columns}, PRIMARY KEY (c0, c1)) WITHOUT ROWID").fetchall()
    written, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        rows = [_row(written + number) for number in range(ROWS)]
        connection.execute("BEGIN IMMEDIATE").fetchall()
        write(connection, rows)
        connection.execute("COMMIT").fetchall()
        written += ROWS
    rate = written / (time.perf_counter() - begin)
    connection.close()
    return rate


def _row(number: int) -> tuple[Any, ...]:
    output = '{"ok":true,"text":"' + "x" * 80 + '"}'
    return (f"exec_{number // 10:026}", f"s{number % 10}", "completed", 1, 1, 0, 0, number, number, number, None, None,
            None, output, None, None, None, 0)  # fmt: skip


def beside_busy_loop(measure: Callable[[], float]) -> float:
    """Measure in a thread while this one never rests."""
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(measure()))
    thread.start()
    while thread.is_alive():
        pass
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path.cwd(), help="folder on the disk to measure")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    print(f"{'':14}{'idle':>12}{'busy':>12}  rows/s")
    with tempfile.TemporaryDirectory(prefix="micro-", dir=options.data) as folder:
        for name, write in WAYS.items():
            idle = rows_per_s(Path(folder), write, options.seconds)
            busy = beside_busy_loop(lambda write=write: rows_per_s(Path(folder), write, options.seconds))  # type: ignore[misc]
            print(f"{name:14}{idle:12,.0f}{busy:12,.0f}")


if __name__ == "__main__":
    main()
