"""When children start and end, and how the attempts are spread over them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from stagewright.channels.process import SLOT_POOL, ProcessSettings
from stagewright.channels.sources import WorkerSource, described, installed_sources
from stagewright.model.message import Completed, Lost
from stagewright.workers import content
from tests.unit.channels.support import MODULE, SAMPLES, SETTINGS, Bench, until_gone

ROOT = Path(__file__).resolve().parents[3]


async def test_no_process_is_started_before_it_is_needed_and_workers_are_known_all_the_same(bench: Bench) -> None:
    facts = bench.channel.workers()
    assert sorted(facts) == ["bad", "good"]
    assert (facts["good"].version, facts["good"].actions[0], facts["good"].is_direct) == ("7", "echo", False)
    assert {fact.slot_pool for fact in facts.values()} == {SLOT_POOL}
    assert {fact.slots for fact in facts.values()} == {SETTINGS.processes_max * SETTINGS.attempts_per_process}
    assert bench.channel._links == set()


async def test_attempts_go_to_the_child_with_the_least_to_do(bench: Bench) -> None:
    for n in range(4):
        bench.give(f"wait{n}", "bad", "waits")
    pids = [await bench.box.pid_said_by(f"wait{n}") for n in range(4)]
    assert len(set(pids)) == SETTINGS.processes_max
    assert {pids.count(pid) for pid in pids} == {2}


async def test_an_attempt_after_a_loss_runs_alone_and_the_next_ones_wait_for_their_turn(tmp_path: Path) -> None:
    # given a child with somebody in it, and room for one attempt alone
    bench = Bench(tmp_path, replace(SETTINGS, alone_max=1), [SAMPLES])
    await bench.channel.start(bench.box)
    bench.give("common", "bad", "waits")
    common = await bench.box.pid_said_by("common")
    # when two that were lost before come, the first of which takes its process with it
    bench.give("first", "bad", "exits_at_once", {"after_s": 0.05}, alone=True)
    bench.give("second", "good", "where", alone=True)
    bench.give("never", "good", "where", alone=True)
    bench.channel.revoke("exec_1", "never", 1)
    # then both ended, nobody else was hurt, and the one nobody waited for was left out
    assert isinstance(await bench.box.ending("first"), Lost)
    second = await bench.box.ending("second")
    assert isinstance(second, Completed) and str(common).encode() not in bytes(second.output)
    assert bench.box.endings("common") == [] and bench.box.endings("never") == []
    await bench.channel.stop()


async def test_a_child_without_attempts_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(SETTINGS, idle_s=0.1), [SAMPLES])
    await bench.channel.start(bench.box)
    assert isinstance(await bench.run("good", "where"), Completed)
    (link,) = bench.channel._links
    assert link.pid is not None
    await until_gone(link.pid)
    # and the next attempt starts another one
    assert isinstance(await bench.run("good", "echo"), Completed)
    await bench.channel.stop()


async def test_stopping_is_bounded_whatever_handlers_do_and_reports_nothing(bench: Bench) -> None:
    bench.give("good", "bad", "waits")
    bench.give("bad", "bad", "blocks_the_loop")
    pids = {await bench.box.pid_said_by("good"), await bench.box.pid_said_by("bad")}
    started = time.monotonic()
    await bench.channel.stop()
    assert time.monotonic() - started < 2.0
    for pid in pids:
        await until_gone(pid)
    assert bench.box.endings("good") == bench.box.endings("bad") == []


async def test_a_module_without_a_manifest_is_described_by_a_child(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SETTINGS, [WorkerSource(MODULE)])
    await bench.channel.start(bench.box)
    assert dict(bench.channel.workers()) == {}
    assert await bench.channel.wait_described(10)
    assert sorted(bench.channel.workers()) == ["bad", "good"] and bench.changes == 1
    assert isinstance(await bench.run("good", "where"), Completed)
    await bench.channel.stop()


@pytest.mark.parametrize("name", [field.name for field in fields(ProcessSettings)])
def test_a_bound_of_nothing_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be more than 0: 0"):
        replace(SETTINGS, **{name: 0})


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.unit.channels.support import SAMPLES, SETTINGS, Bench
async def main():
    bench = Bench(Path(sys.argv[1]), SETTINGS, [SAMPLES])
    await bench.channel.start(bench.box)
    for n, action in enumerate(["waits", "{action}"]):
        bench.give(str(n), "bad", action)
        print(await bench.box.pid_said_by(str(n)), flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


@pytest.mark.parametrize("action", ["waits", "blocks_the_loop", "holds_the_interpreter"])
async def test_children_end_with_their_parent_even_if_it_is_killed(tmp_path: Path, action: str) -> None:
    command = [sys.executable, "-c", PARENT.replace("{action}", action), str(tmp_path)]
    parent = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(await asyncio.wait_for(parent.stdout.readline(), 10)) for _ in range(2)]
    parent.kill()
    await parent.wait()
    for pid in pids:
        await until_gone(pid)


def test_the_manifest_of_the_content_workers_says_what_the_workers_say() -> None:
    said = [
        {"name": w.name, "version": w.version, "description": w.description, "actions": list(w.actions)}
        for w in content.workers()
    ]
    assert content.manifest() == said and [entry["name"] for entry in said] == content.names()


def test_listing_the_content_workers_loads_nothing_of_what_they_use() -> None:
    script = (
        "import sys\nfrom stagewright.channels.sources import WorkerSource, described\n"
        "print(len(described(WorkerSource('stagewright.workers.content', manifest='manifest'))))\n"
        "print([m for m in ('feedparser', 'jinja2', 'selectolax', 'httpx2') if m in sys.modules])\n"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert printed.stdout.splitlines() == ["4", "[]"]


def test_installed_packages_are_sources_but_for_those_already_known() -> None:
    shipped = WorkerSource("stagewright.workers.content", manifest="manifest")
    assert "stagewright.workers.content" in [source.module for source in installed_sources()]
    assert shipped.module not in [source.module for source in installed_sources([shipped])]
    assert [one.name for one in described(shipped)] == content.names()
