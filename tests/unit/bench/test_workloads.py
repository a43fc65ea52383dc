"""Each workload with tiny sizes: it does what it says on a real node and a real file. Nothing here is about speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from stagewright.cli import bench_documents as documents
from stagewright.cli.bench_figures import BARS, Figure
from stagewright.cli.bench_growth import measure_growth
from stagewright.cli.bench_http import measure_api, measure_http_submit
from stagewright.cli.bench_inside import QUICK, execute_on, measure
from stagewright.cli.bench_outside import find_faults, measure_crash, measure_start, read_rows
from stagewright.cli.bench_place import NotMeasurable, Place, open_place
from stagewright.cli.bench_profile import Profile

COUNT = "SELECT count(*) FROM executions WHERE status = ?"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_place(tmp_path, None) as opened:
        yield opened


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def count(place: Place, workload: str, status: str) -> int:
    return int(read_rows(place.folder / workload / "stagewright.db", COUNT, (status,))[0][0])


def test_chains_execute_every_pipeline_twice_and_tell_rates(place: Place) -> None:
    figures = named(measure("chains", place, QUICK))
    # alone and beside a loop that never rests
    assert count(place, "chains", "completed") == 2 * (QUICK.chains + QUICK.chains_to_warm)
    assert figures["stages_per_s"].facts["flushes"] > 0
    alone, beside = figures["stages_per_s"].value, figures["beside_saturated_loop_per_s"].value
    assert alone and beside and figures["beside_saturated_loop_ratio"].value == beside / alone


def test_a_chain_is_ten_stages_of_two_events_each(place: Place) -> None:
    measure("latency", place, replace(QUICK, latencies=1))
    database = place.folder / "latency" / "stagewright.db"
    [[execution_id]] = read_rows(database, "SELECT max(execution_id) FROM executions")
    types = read_rows(
        database,
        "SELECT value ->> 'type', count(*) FROM event_pages, json_each(events) WHERE execution_id = ? "
        "AND value ->> 'type' LIKE 'stage.%' GROUP BY 1 ORDER BY 1",
        (execution_id,),
    )
    assert types == [("stage.completed", 10), ("stage.started", 10)]
    outputs = read_rows(database, "SELECT length(output) FROM steps WHERE execution_id = ?", (execution_id,))
    assert outputs == [(100,)] * 10


def test_latency_tells_percentiles_in_order(place: Place) -> None:
    figures = named(measure("latency", place, QUICK))
    p50, p99 = figures["stage_p50_ms"].value, figures["stage_p99_ms"].value
    assert p50 and p99 and 0 < p50 <= p99


def test_a_fan_and_a_map_complete_all_their_steps(place: Place) -> None:
    figures = named(measure("fanout", place, QUICK))
    assert [len(figures[f"{width}_s"].values) for width in QUICK.fans] == list(QUICK.fan_repeats)
    rounds = zip(QUICK.fans, QUICK.fan_repeats, strict=True)
    stages = sum((width + 2) * (repeats + 1) for width, repeats in rounds)
    database = place.folder / "fanout" / "stagewright.db"
    assert read_rows(database, "SELECT count(*) FROM steps WHERE status = 'completed'") == [(stages + 2,)]
    items = read_rows(database, "SELECT count(*) FROM item_steps WHERE status = 'completed'")
    assert items == [(QUICK.map_items,)]
    assert figures["100000_s"].value and figures["100000_s"].facts["items"] == QUICK.map_items


def test_submissions_are_all_in_the_database_and_wait(place: Place) -> None:
    figures = named(measure("submit", place, QUICK))
    assert count(place, "submit", "running") == QUICK.submissions + 32
    parameters = read_rows(
        place.folder / "submit" / "stagewright.db", "SELECT count(DISTINCT parameters) FROM executions"
    )
    assert parameters == [(QUICK.submissions + 32,)]
    assert figures["in_process_per_s"].value


def test_a_profile_is_made_when_one_is_asked_for(place: Place) -> None:
    profiles: list[Profile] = []
    measure("chains", place, replace(QUICK, chains=300), profiles)
    [profile] = profiles
    main = profile.threads["MainThread"]
    assert main.samples == main.groups.total() > 0
    assert "store-writer" in profile.threads


def test_history_is_filled_with_copies_that_the_product_takes_for_its_own(place: Place) -> None:
    sizes = replace(QUICK, finished=25)
    figures = named(measure_growth(place, sizes))
    grown = place.folder / "growth" / "stagewright.db"
    chains = 3 * (QUICK.chains + QUICK.chains_to_warm)
    assert read_rows(grown, COUNT, ("completed",)) == [(1 + 25 + chains,)]
    ids = [row[0] for row in read_rows(grown, "SELECT execution_id FROM executions WHERE pipeline = 'bench_single'")]
    assert len(ids) == 26 and find_faults(grown, ids, stages=1) == []
    assert figures["throughput_ratio"].value and len(figures["grown_stages_per_s"].values) == 3


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM executions WHERE execution_id = :id", "lost"),
        ("UPDATE executions SET status = 'running' WHERE execution_id = :id", "is running"),
        ("DELETE FROM steps WHERE execution_id = :id AND step = 's4'", "expected 10 stages completed, found 9"),
        (
            "DELETE FROM event_pages WHERE page = (SELECT min(page) FROM event_pages WHERE execution_id = :id)",
            "numbered",
        ),
        (
            "UPDATE event_pages SET events = replace(events, 'stage.started', 'stage.completed') "
            "WHERE execution_id = :id",
            "expected 10 results recorded, found 20",
        ),
    ],
)
def test_every_kind_of_loss_is_found(place: Place, damage: str, told: str) -> None:
    # given an execution that ended well
    settings = place.settings("damaged")
    [execution_id] = execute_on(settings, [documents.chain()])
    database = Path(settings["data"]) / "stagewright.db"
    assert find_faults(database, [execution_id], stages=10) == []
    # when something of it is taken away or doubled
    connection = apsw.Connection(str(database))
    connection.execute(damage, {"id": execution_id}).fetchall()
    connection.close()
    # then it is told
    assert any(told in fault for fault in find_faults(database, [execution_id], stages=10))


def test_a_server_is_started_weighed_and_stopped(place: Place) -> None:
    figures = named(measure_start(place, QUICK))
    ready, first, rss = (figures[name].value for name in ("ready_s", "first_finished_s", "idle_rss_mb"))
    assert ready and first and rss
    assert 0 < ready < first and rss > 20


def test_a_killed_server_loses_and_doubles_nothing(place: Place) -> None:
    figures = named(measure_crash(place, replace(QUICK, crash_chains=300)))
    assert figures["lost_or_doubled"].value == 0, figures["lost_or_doubled"].facts
    facts = figures["restart_to_ready_s"].facts
    assert facts["accepted"] == 300 and facts["open_at_kill"] > 0


def test_http_loads_are_measured_or_say_what_is_missing(place: Place) -> None:
    figures = named(measure_http_submit(place, QUICK) + measure_api(place, QUICK))
    for name in ("http_per_s", "http_batch_per_s", "p99_ms"):
        figure = figures[name]
        assert figure.values or "wrk" in figure.facts["why"]
        if figure.values:
            assert figure.value and figure.facts["refused"] == figure.facts["broken"] == 0


def test_a_database_that_exists_is_not_touched(tmp_path: Path) -> None:
    database = tmp_path / "mine.db"
    database.write_bytes(b"precious")
    with pytest.raises(NotMeasurable, match="not there"), open_place(tmp_path, f"sqlite:///{database}"):
        pass
    assert database.read_bytes() == b"precious"


def test_another_kind_of_database_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotMeasurable, match="--database: expected sqlite:///PATH"), open_place(tmp_path, "mysql://x"):
        pass


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    database = tmp_path / "named.db"
    with open_place(tmp_path, f"sqlite:///{database}") as place:
        measure("latency", place, QUICK)
        assert database.exists() and place.sync_ms > 0
    assert list(tmp_path.iterdir()) == []


def test_a_place_in_memory_is_not_durable(tmp_path: Path) -> None:
    assert Place(tmp_path, "ext4", 0.1).is_durable
    assert not Place(tmp_path, "tmpfs", 0.1).is_durable


def test_every_bar_belongs_to_a_figure_that_is_made(place: Place) -> None:
    made: set[str] = set()
    for workload in ("chains", "latency", "fanout", "submit"):
        sizes = replace(QUICK, fans=(1_000,), fan_repeats=(1,)) if workload == "fanout" else QUICK
        made |= {f"{one.workload}.{one.name}" for one in measure(workload, place, sizes)}
    inside = {name for name in BARS if name.split(".")[0] in ("chains", "latency", "fanout", "submit")}
    assert inside - made == {"fanout.10000_s", "submit.http_per_s", "submit.http_batch_per_s"}
