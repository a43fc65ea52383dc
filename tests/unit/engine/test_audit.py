"""The auditor: a sound database gives no finding, and each kind of damage is found and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stagewright.definitions import load_value
from stagewright.engine.audit import FINDINGS_MAX, audit
from stagewright.model.data import checksum_of
from stagewright.objects.files import FileObjects
from stagewright.store.database import SqliteDatabase

NOW_US = 1_000_000
LATER_US = 9_000_000
KV = b'"' + b"k" * 20_000 + b'"'
OBJECT = b"o" * 100
DOCUMENT = {
    "name": "p",
    "stages": [
        {"id": "a", "worker": "probe"},
        {"id": "b", "worker": "probe", "needs": ["a"]},
        {"id": "c", "sleep": "1s", "needs": ["a"]},
    ],
}


class Database:
    """A database with one completed, one running and one retried execution, and ways to damage it."""

    def __init__(self) -> None:
        self.sqlite = SqliteDatabase(":memory:")
        self.sqlite.migrate()
        pipeline = load_value(DOCUMENT)
        self.digest = pipeline.digest
        self.sql("INSERT INTO definitions VALUES (?, ?, 1)", self.digest, orjson.dumps(DOCUMENT).decode())
        self.add("exec_done", "completed", [*step("a"), *step("b"), *nap("c"), end("completed")], a=1, b=1, c=0)
        self.add("exec_runs", "running", [*step("a"), started("b")], a=1)
        self.add_step("exec_runs", "b", "running", 1, 1)
        again = [*step("a"), event("stage.failed", "b", 0), end("failed"), resumed(2), *step("b"), *nap("c")]
        self.add("exec_twice", "completed", [*again, end("completed")], round_=2, a=1, b=1, c=0)
        self.keep("exec_done", checksum_of(KV), "kv", KV)
        self.sql("UPDATE steps SET output = NULL, output_ref = ? WHERE execution_id = 'exec_runs' AND step = 'a'",
                 orjson.dumps({"storage_type": "kv", "storage_key": checksum_of(KV), "size_bytes": len(KV),
                               "checksum": checksum_of(KV), "expires_at": None}).decode())  # fmt: skip
        self.sql("INSERT INTO blob_refs VALUES (?, 'exec_runs', ?)", checksum_of(KV), LATER_US)
        self.sql("INSERT INTO submit_keys VALUES ('request/default/', 'r', 'exec_done', 'f', NULL)")

    def sql(self, text: str, *params: Any) -> list[Any]:
        return self.sqlite._connection.execute(text, params).fetchall()

    def add(self, id_: str, status: str, events: list[dict[str, Any]], round_: int = 1, **steps: int) -> None:
        for number, each in enumerate(events, 1):
            each["seq"] = number
        final = status == "completed"
        self.sql(
            "INSERT INTO executions (execution_id, shard, project, pipeline, version, digest, status, priority, round,"
            " parameters, tags, created_at, deadline_at, completed_at, last_seq)"
            " VALUES (?, 0, 'default', 'p', 1, ?, ?, 'normal', ?, '{}', '[]', 1, 2, ?, ?)",
            id_, self.digest, status, round_, 2 if final else None, len(events) if final else 0,
        )  # fmt: skip
        half = len(events) // 2
        for part in (events[:half], events[half:]):
            self.sql("INSERT INTO event_pages (execution_id, first_seq, last_seq, events) VALUES (?, ?, ?, ?)",
                     id_, part[0]["seq"], part[-1]["seq"], orjson.dumps(part).decode())  # fmt: skip
        for name, attempt in steps.items():
            self.add_step(id_, name, "completed", attempt, round_)

    def add_step(self, execution_id: str, name: str, status: str, attempt: int, round_: int) -> None:
        self.sql(
            "INSERT INTO steps (execution_id, step, status, attempt, round, failures, lost, output)"
            " VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
            execution_id, name, status, attempt, round_, "{}" if status == "completed" else None,
        )  # fmt: skip

    def keep(self, execution_id: str, key: str, tier: str, content: bytes) -> None:
        self.sql("INSERT INTO blobs VALUES (?, ?, ?, 1, NULL)", key, tier, len(content))
        self.sql("INSERT INTO blob_refs VALUES (?, ?, ?)", key, execution_id, LATER_US)
        if tier == "kv":
            self.sql("INSERT INTO contents VALUES (?, ?, ?)", key, len(content), content)

    async def read(self, query: str, *params: Any) -> list[Any]:
        return self.sqlite.run(query, params)

    async def findings(self, **more: Any) -> list[tuple[str, str | None]]:
        return [(each.invariant, each.execution_id) for each in await audit(self.read, now_us=NOW_US, **more)]


def event(type_: str, name: str, attempt: int) -> dict[str, Any]:
    return {
        "type": type_,
        "at": 1,
        "stage_id": name,
        "step": name,
        **({"attempt": attempt} if attempt else {}),
        "data": {},
    }


def started(name: str, attempt: int = 1) -> dict[str, Any]:
    return event("stage.started", name, attempt)


def step(name: str, attempt: int = 1) -> list[dict[str, Any]]:
    return [started(name, attempt), event("stage.completed", name, attempt)]


def nap(name: str) -> list[dict[str, Any]]:
    return [event("stage.waiting", name, 0), event("stage.completed", name, 0)]


def end(status: str) -> dict[str, Any]:
    return {"type": f"execution.{status}", "at": 1, "data": {}}


def resumed(round_: int) -> dict[str, Any]:
    return {"type": "execution.resumed", "at": 1, "data": {"round": round_, "from_stage": None}}


@pytest.fixture
def database() -> Database:
    return Database()


async def test_a_sound_database_gives_no_finding(database: Database) -> None:
    assert await audit(database.read, now_us=NOW_US) == []


_UPDATE_EVENTS = "UPDATE event_pages SET events = replace(events, {}) WHERE execution_id = '{}'"

DAMAGES = {
    "a definition is gone": ("definition", "exec_done", "DELETE FROM definitions"),
    "a step that the definition lacks": (
        "definition", "exec_done", "UPDATE steps SET step = 'z' WHERE execution_id = 'exec_done' AND step = 'a'"),
    "an execution is gone": ("orphan", "exec_done", "DELETE FROM executions WHERE execution_id = 'exec_done'"),
    "a submit key names nobody": ("orphan", "exec_gone", "UPDATE submit_keys SET execution_id = 'exec_gone'"),
    "an artifact of nobody": (
        "orphan", "exec_gone",
        "INSERT INTO artifacts VALUES ('art_1', 'exec_gone', 'a', 1, 'n', 'm', 'kv', 'k', 1, 'c', 0, 1, 1)"),
    "a reference of nobody": ("orphan", "exec_gone", "INSERT INTO blob_refs VALUES ('k', 'exec_gone', 1)"),
    "an event page is gone": (
        "events", "exec_done", "DELETE FROM event_pages WHERE execution_id = 'exec_done' AND first_seq = 1"),
    "the last events are gone": (
        "events", "exec_done", "DELETE FROM event_pages WHERE execution_id = 'exec_done' AND first_seq > 1"),
    "events that are no JSON": ("events", "exec_done", "UPDATE event_pages SET events = 'x'"),
    "an event number twice": ("events", "exec_done", _UPDATE_EVENTS.format("'\"seq\":2', '\"seq\":1'", "exec_done")),
    "a row behind its events": (
        "events", "exec_done", "UPDATE executions SET last_seq = last_seq - 1 WHERE execution_id = 'exec_done'"),
    "a row before its events": ("events", "exec_runs", "UPDATE executions SET last_seq = 99"),
    "an attempt that never started": (
        "attempts", "exec_runs", "UPDATE steps SET attempt = 2 WHERE execution_id = 'exec_runs' AND step = 'b'"),
    "an attempt number left out": (
        "attempts", "exec_done", _UPDATE_EVENTS.format("'\"attempt\":1', '\"attempt\":3'", "exec_done")),
    "a result twice": (
        "one_result", "exec_done", _UPDATE_EVENTS.format("'stage.started', 'stage.completed'", "exec_done")),
    "a second end": (
        "one_result", "exec_twice", _UPDATE_EVENTS.format("'execution.resumed', 'execution.failed'", "exec_twice")),
    "a start before its need": (
        "order", "exec_runs", _UPDATE_EVENTS.format("'stage.completed', 'stage.progress'", "exec_runs")),
    "a round left out": ("rounds", "exec_twice", _UPDATE_EVENTS.format("'\"round\":2', '\"round\":3'", "exec_twice")),
    "a row in another round": ("rounds", "exec_done", "UPDATE executions SET round = 2 WHERE status = 'completed'"),
    "an end that nobody was told": (
        "status", "exec_runs", "UPDATE executions SET status = 'failed' WHERE execution_id = 'exec_runs'"),
    "a step's result without an event": (
        "status", "exec_runs", "UPDATE steps SET status = 'completed' WHERE execution_id = 'exec_runs'"),
    "a step's row is gone": (
        "status", "exec_done", "DELETE FROM steps WHERE execution_id = 'exec_done' AND step = 'b'"),
    "completed with an open step": (
        "ended", "exec_done", "UPDATE steps SET status = 'running' WHERE execution_id = 'exec_done' AND step = 'b'"),
    "completed with a step that never was": (
        "ended", "exec_done", "DELETE FROM steps WHERE execution_id = 'exec_done' AND step = 'c'"),
    "running with nothing that can go on": (
        "ended", "exec_runs", "UPDATE steps SET status = 'failed' WHERE execution_id = 'exec_runs'"),
    "waiting without a reason": (
        "ended", "exec_runs", "UPDATE steps SET status = 'waiting' WHERE execution_id = 'exec_runs' AND step = 'b'"),
    "paused without a reason": (
        "ended", "exec_runs", "UPDATE executions SET status = 'paused' WHERE execution_id = 'exec_runs'"),
    "a result without an output": (
        "data", "exec_done", "UPDATE steps SET output = NULL WHERE execution_id = 'exec_done' AND step = 'b'"),
    "an end without a time": (
        "ended", "exec_done", "UPDATE executions SET completed_at = NULL WHERE execution_id = 'exec_done'"),
    "a load of nobody": ("orphan", "exec_gone", "INSERT INTO loads VALUES ('exec_gone', 2)"),
    "the bytes of a value are gone": ("data", "exec_runs", "DELETE FROM contents"),
    "a value is not noted": ("data", "exec_runs", "DELETE FROM blobs"),
    "nobody refers to an output": ("data", "exec_runs", "DELETE FROM blob_refs WHERE execution_id = 'exec_runs'"),
    "damaged bytes": ("data", None, "UPDATE contents SET bytes = zeroblob(size_bytes)"),
    "bytes cut short": ("data", None, "UPDATE contents SET bytes = substr(bytes, 2)"),
    "an artifact that nothing keeps": (
        "data", "exec_done",
        "INSERT INTO artifacts VALUES ('art_1', 'exec_done', 'a', 1, 'n', 'm', 'object', 'k', 1, 'c', 0, 1, 9000000)"),
    "parameters that nothing keeps": (
        "data", "exec_runs", "UPDATE executions SET parameters = '{\"$data_ref\":{\"storage_key\":\"sha256:x\"}}'"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_is_found_and_named(database: Database, name: str) -> None:
    invariant, execution_id, damage = DAMAGES[name]

    database.sql(damage)

    assert (invariant, execution_id) in await database.findings()


async def test_what_has_expired_may_be_gone(database: Database) -> None:
    database.sql("DELETE FROM contents")
    database.sql("UPDATE blob_refs SET expires_at = 1")

    assert await database.findings() == []


async def test_missing_and_damaged_objects_are_found_when_a_store_is_given(database: Database, tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    for number in range(3):
        content = OBJECT + bytes([number])
        ref = await objects.put(content)
        database.keep("exec_done", ref.storage_key, "object", content)
    assert await database.findings(objects=objects) == []
    first, second, _ = files_in(tmp_path)

    first.write_bytes(b"x" * 101)
    second.unlink()

    assert await database.findings(objects=objects) == [("data", None), ("data", None)]
    assert await database.findings() == []


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_a_thousand_executions_are_read_in_pages_and_findings_are_bounded(database: Database) -> None:
    for number in range(1_100):
        database.add(
            f"exec_n{number:05}", "completed", [*step("a"), *step("b"), *nap("c"), end("completed")], a=1, b=1, c=0
        )
    assert await database.findings() == []

    database.sql("DELETE FROM event_pages WHERE first_seq > 1")

    assert len(await database.findings()) == FINDINGS_MAX
