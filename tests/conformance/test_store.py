"""What every database behind `ports.store` must do. A new adapter joins by a line in `STORES`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from stagewright.model.errors import BadRows, Fenced, StoreTrouble
from stagewright.ports.store import Batch, NodeIdentity, Row, Store, Winner
from stagewright.store.database import SqliteDatabase
from stagewright.store.queries import migrations, queries
from stagewright.store.sqlite import SqliteStore

NOW_US = 1_000
KEY_TTL_US = 500
Open = Callable[[str], Awaitable[Store]]


class FixedClock:
    def __init__(self) -> None:
        self.us = NOW_US

    def now_us(self) -> int:
        return self.us


def _sqlite(folder: Path, clock: FixedClock) -> Store:
    return SqliteStore(folder / "folder that is not there" / "state.db", clock)


STORES: dict[str, Callable[[Path, FixedClock], Store]] = {"sqlite": _sqlite}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=STORES)
async def reopen(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Open]:
    """Give a function that opens the same database once more, as a new incarnation of one node."""
    opened: list[Store] = []

    async def open_(incarnation: str) -> Store:
        store = STORES[request.param](tmp_path, clock)
        await store.start(NodeIdentity("node", incarnation), clock.now_us())
        opened.append(store)
        return store

    yield open_
    for store in opened:
        await store.stop()


@pytest.fixture
async def store(reopen: Open) -> Store:
    return await reopen("first")


def execution(id_: str, status: str = "running", last_seq: int = 1) -> Row:
    parameters = orjson.Fragment(b'{"topic":"a"}')
    return (id_, 0, "default", None, None, "p", 1, "d", status, "normal", 1, parameters, ["tag"], None, None, 1, 2, 1,
            None, last_seq, None)  # fmt: skip


def step(id_: str, name: str, output: bytes | None = None) -> Row:
    fragment = None if output is None else orjson.Fragment(output)
    return (id_, name, "completed", 1, 1, 0, 0, 1, 1, 2, None, None, None, fragment, None, {"n": 1}, None, 5)


def page(number: int, id_: str, first: int, last: int) -> Row:
    return (number, id_, first, last, [{"seq": seq, "type": "x"} for seq in range(first, last + 1)])


def submission(number: int, id_: str, *keys: tuple[str, str], body: str = "f", expires_at: int | None = None) -> Batch:
    rows = [(scope, key, id_, body, expires_at) for scope, key in keys]
    return Batch(number, rows, [execution(id_)], [step(id_, "a")], [page(number, id_, 1, 1)])


async def ids(store: Store) -> list[str]:
    return [row[0] for row in await store.read("audit_executions", "", 100)]


# --- flushes ----------------------------------------------------------------------------------------------------


async def test_a_flush_shows_in_reads_and_leaves_its_number(store: Store) -> None:
    assert await store.flushed() == 0
    batch = Batch(1, [], [execution("exec_1")], [step("exec_1", "a", b'{"x":[1,null]}')], [page(1, "exec_1", 1, 2)])

    assert await store.flush(batch) == {}

    assert await store.flushed() == 1
    rows = await store.read("steps_to_load", '["exec_1"]')
    assert rows[0][1:5] == ("a", "completed", 1, 1)
    assert rows[0][13:18] == ('{"x":[1,null]}', None, '{"n":1}', None, 5)
    assert await store.read("last_seq", '["exec_1"]') == [("exec_1", 2)]
    loaded = (await store.read("execution_to_load", "exec_1"))[0]
    assert (loaded[7], loaded[10], loaded[11], loaded[19]) == ("running", '{"topic":"a"}', '["tag"]', None)


async def test_a_second_flush_of_the_same_rows_replaces_them(store: Store) -> None:
    await store.flush(Batch(1, [], [execution("exec_1")], [step("exec_1", "a", b"1")]))

    await store.flush(Batch(2, [], [execution("exec_1", "completed", 9)], [step("exec_1", "a", b"2")]))

    assert (await store.read("execution_to_load", "exec_1"))[0][7] == "completed"
    assert [row[13] for row in await store.read("steps_to_load", '["exec_1"]')] == ["2"]


async def test_an_output_of_any_json_comes_back_as_it_went(store: Store) -> None:
    outputs = [
        b"null",
        b'""',
        b"0",
        b"[]",
        b'"' + "ä\U0001f600".encode() + b'"',
        b"12345678901234567",
        b"1.5e300",
        b"false",
    ]
    await store.flush(Batch(1, steps=[step("exec_1", f"s{at}", output) for at, output in enumerate(outputs)]))

    rows = await store.read("steps_to_load", '["exec_1"]')

    read = {row[1]: row[13] for row in rows}
    assert read.pop("s0") is None, "a null output and none are the same in the database"
    assert [orjson.loads(text) for text in read.values()] == [orjson.loads(output) for output in outputs[1:]]


async def test_after_a_new_incarnation_has_started_the_old_one_is_fenced(store: Store, reopen: Open) -> None:
    await store.flush(submission(1, "exec_1"))
    newer = await reopen("second")

    with pytest.raises(Fenced):
        await store.flush(submission(2, "exec_2"))

    assert await ids(newer) == ["exec_1"]
    assert await newer.flushed() == 0
    await newer.flush(Batch(1, executions=[execution("exec_3")]))
    assert await ids(newer) == ["exec_1", "exec_3"]


@pytest.mark.parametrize(
    "bad",
    [
        Batch(2, steps=[step("exec_2", "a"), ("exec_2", "b", "no such status", *step("exec_2", "b")[3:])]),
        Batch(2, executions=[execution("exec_2")], pages=[page(1, "exec_2", 1, 1)]),
        Batch(2, executions=[execution("exec_2")], pages=[page(7, "exec_1", 2, 1)]),
        Batch(2, executions=[execution("exec_2")], steps=[(*step("exec_2", "a")[:2], object())]),
    ],
    ids=["unknown status", "page number twice", "page without events", "no JSON"],
)
async def test_a_refused_row_undoes_the_whole_batch(store: Store, bad: Batch) -> None:
    await store.flush(submission(1, "exec_1"))

    with pytest.raises(BadRows):
        await store.flush(bad)

    assert await ids(store) == ["exec_1"]
    assert await store.flushed() == 1


# --- submit keys ------------------------------------------------------------------------------------------------


async def test_the_second_with_a_key_is_left_out_whole_and_told_the_winner(store: Store) -> None:
    await store.flush(submission(1, "exec_1", ("request", "k"), body="first"))
    loser = submission(2, "exec_2", ("request", "k"), body="second")
    loser.contents.append(("sha256:x", 1, b"x"))
    loser.blob_refs.append(("sha256:x", "exec_2", 9))

    losers = await store.flush(loser)

    assert losers == {"exec_2": Winner("exec_1", "first", "request")}
    assert await ids(store) == ["exec_1"]
    assert await store.read("steps_to_load", '["exec_2"]') == []
    assert await store.read("last_seq", '["exec_2"]') == []
    assert await store.read("audit_orphans", 9) == []


async def test_two_with_one_key_in_one_flush_have_one_winner(store: Store) -> None:
    first, second = submission(1, "exec_1", ("request", "k")), submission(2, "exec_2", ("request", "k"))
    both = Batch(1, first.keys + second.keys, first.executions + second.executions)

    losers = await store.flush(both)

    assert losers == {"exec_2": Winner("exec_1", "f", "request")}
    assert await ids(store) == ["exec_1"]


async def test_who_loses_one_key_gives_back_the_other(store: Store) -> None:
    await store.flush(submission(1, "exec_1", ("request", "r")))
    await store.flush(submission(2, "exec_2", ("idempotency", "i"), ("request", "r")))

    losers = await store.flush(submission(3, "exec_3", ("idempotency", "i")))

    assert losers == {}
    assert await store.read("key_winner", "idempotency", "i") == [("exec_3", "f")]


async def test_nobody_loses_to_one_that_loses_in_the_same_flush(store: Store) -> None:
    await store.flush(submission(1, "exec_1", ("request", "r")))
    loser = submission(2, "exec_2", ("idempotency", "i"), ("request", "r"))
    other = submission(3, "exec_3", ("idempotency", "i"))
    both = Batch(2, loser.keys + other.keys, loser.executions + other.executions)

    losers = await store.flush(both)

    assert losers == {"exec_2": Winner("exec_1", "f", "request")}
    assert await ids(store) == ["exec_1", "exec_3"]


async def test_an_expired_key_can_be_won_again(store: Store, clock: FixedClock) -> None:
    await store.flush(submission(1, "exec_1", ("idempotency", "i"), expires_at=NOW_US + KEY_TTL_US))
    second = submission(2, "exec_2", ("idempotency", "i"))
    assert await store.flush(second) == {"exec_2": Winner("exec_1", "f", "idempotency")}

    clock.us = NOW_US + KEY_TTL_US + 1

    assert await store.flush(submission(3, "exec_3", ("idempotency", "i"))) == {}
    assert await ids(store) == ["exec_1", "exec_3"]


# --- writes, life -----------------------------------------------------------------------------------------------


async def test_statements_of_one_write_hold_together_or_not_at_all(store: Store) -> None:
    good = ("add_definition", ("d1", "{}", 1))

    with pytest.raises(BadRows):
        await store.write([good, ("add_definition", (None, None, None))])

    assert await store.read("definition", "d1") == []
    assert await store.write([good, ("delete_pipeline", ("default", "none", 1))]) == [[], []]
    assert await store.read("definition", "d1") == [("{}",)]


async def test_what_was_flushed_is_there_after_a_stop_and_a_start(store: Store, reopen: Open) -> None:
    await store.flush(submission(1, "exec_1", ("request", "k")))
    await store.stop()
    await store.stop()

    again = await reopen("second")

    assert await ids(again) == ["exec_1"]
    assert await again.flush(submission(1, "exec_2", ("request", "k"))) == {"exec_2": Winner("exec_1", "f", "request")}


async def test_a_stopped_store_answers_trouble_from_the_awaitable(store: Store) -> None:
    await store.stop()

    flush = store.flush(submission(1, "exec_1"))

    with pytest.raises(StoreTrouble):
        await flush
    with pytest.raises(StoreTrouble):
        await store.flushed()
    with pytest.raises(StoreTrouble):
        await store.read("count_open")
    with pytest.raises(StoreTrouble):
        await store.write([])


async def test_concurrent_reads_see_only_whole_flushes(store: Store) -> None:
    names = [f"s{number}" for number in range(200)]
    flush = store.flush(Batch(1, executions=[execution("exec_1")], steps=[step("exec_1", name) for name in names]))

    seen = {len(await store.read("steps_to_load", '["exec_1"]')) for _ in range(50)}
    await flush

    assert seen <= {0, 200}
    assert len(await store.read("steps_to_load", '["exec_1"]')) == 200


# --- SQLite alone -----------------------------------------------------------------------------------------------


def test_every_named_query_fits_the_schema() -> None:
    database = SqliteDatabase(":memory:")
    database.migrate()
    assert len(queries()) > 30
    for name, text in queries().items():
        numbers = [int(found) for found in re.findall(r"\?(\d+)", text)]
        database._connection.execute(f"EXPLAIN {text}", (None,) * max(numbers, default=0)).fetchall()
        assert sorted(set(numbers)) == list(range(1, max(numbers, default=0) + 1)), f"{name} leaves out a parameter"


def test_a_newer_database_than_this_program_is_refused(tmp_path: Path) -> None:
    newest = migrations()[-1][0]
    database = SqliteDatabase(tmp_path / "state.db")
    database.migrate()
    assert database.schema_version() == newest
    database.migrate()
    database._pragma(f"user_version = {newest + 1}")

    with pytest.raises(StoreTrouble, match=f"schema version {newest + 1}.*use the newer program"):
        database.migrate()


def test_a_flush_is_synced_and_readers_cannot_write(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "state.db")
    database.migrate()

    assert database._pragma("synchronous") == [(2,)]  # full: a commit is on the disk when it returns
    assert database._pragma("journal_mode") == [("wal",)]
    reader = SqliteDatabase(tmp_path / "state.db", readonly=True)
    with pytest.raises(StoreTrouble, match="readonly"):
        reader.run("add_definition", ("d", "{}", 1))


def test_a_file_that_is_no_database_is_trouble_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is a text and has been one for a long time" * 100)

    with pytest.raises(StoreTrouble, match="NotADBError"):
        SqliteDatabase(path).migrate()
