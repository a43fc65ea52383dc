"""Each filter of the list walks the index that was made for it: SQLite says so itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stagewright.engine.views import ListFilter, _list_query
from stagewright.store.database import SqliteDatabase
from stagewright.store.queries import queries


def plan_of(query: str, params: tuple[Any, ...]) -> str:
    database = SqliteDatabase(":memory:")
    database.migrate()
    rows = database._connection.execute(f"EXPLAIN QUERY PLAN {queries()[query]}", params).fetchall()
    return "; ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "PRIMARY KEY"),
        ({"pipeline": "p", "client": "c", "status": "failed"}, "executions_by_pipeline"),
        ({"client": "c", "status": "failed"}, "executions_by_client"),
        ({"status": "failed"}, "executions_ill"),
        ({"status": "cancelled"}, "executions_ill"),
        ({"status": "running"}, "executions_open"),
        ({"status": "completed"}, "PRIMARY KEY"),
    ],
)
def test_a_list_walks_the_index_of_its_filter_and_sorts_nothing(wanted: dict[str, str], index: str) -> None:
    one = ListFilter(50, **wanted)  # type: ignore[arg-type]
    query = _list_query(one)
    plan = plan_of(query, ("exec_~", one.status, one.pipeline, one.client, *(None,) * 5, 51))

    assert re.search(rf"SEARCH executions USING (INDEX )?{index} \(", plan), plan
    assert "TEMP B-TREE" not in plan


def test_the_status_of_an_execution_reads_no_steps() -> None:
    plan = plan_of("execution_status", ("exec_1",))

    assert "steps" not in plan and "event_pages_by_execution" in plan and "SCAN event_pages" not in plan
