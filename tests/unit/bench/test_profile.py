"""The profile: groups name files that exist, samples fall where time goes."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

from stagewright.cli import bench_profile
from stagewright.cli.bench_profile import GROUPS, Profile, Sampler, ThreadProfile, group_of, shape_profile
from stagewright.store.database import _encoded

PACKAGE = Path(bench_profile.__file__).parents[1]


def test_every_group_names_what_is_there() -> None:
    for group, prefixes in GROUPS:
        for prefix in prefixes:
            file, _, function = prefix.partition(":")
            assert (PACKAGE / file).exists(), f"{group}: {file}"
            assert not function or f"def {function}(" in (PACKAGE / file).read_text()


def test_the_first_group_that_fits_is_told() -> None:
    assert group_of("store/database.py:_encoded") == "encode"
    assert group_of("store/database.py:flush") == "SQLite"
    assert group_of("model/decide.py:decide") == "decide"
    assert group_of("model/errors.py:anything") == "other"


def test_a_thread_that_encodes_all_the_time_is_seen_encoding() -> None:
    # given a thread that does nothing else
    stopped = threading.Event()

    def encode() -> None:
        rows = [("x" * 100, number) for number in range(2_000)]
        while not stopped.is_set():
            _encoded(rows)

    thread = threading.Thread(target=encode, name="encoder")
    thread.start()
    # when it is sampled until there is enough
    with Sampler() as sampler:
        until = time.monotonic() + 30
        while sampler.samples < 200 and time.monotonic() < until:
            time.sleep(0.01)
        profile = sampler.profile()
    stopped.set()
    thread.join()
    # then most of its samples are there
    seen = profile.threads["encoder"]
    assert seen.groups["encode"] > seen.samples / 2
    assert any(line.startswith("store/database.py:") for line in seen.lines)
    # and the whole can be told to machines
    told = json.loads(json.dumps(profile.as_json()))
    assert told["threads"]["encoder"]["groups"]["encode"] == seen.groups["encode"]


def test_a_profile_as_text_has_groups_and_lines_with_shares() -> None:
    thread = ThreadProfile(4, 0.5, Counter({"decide": 3, "apply": 1}), Counter({"a.py:f": 4}), Counter({"a.py:1": 4}))
    idle = ThreadProfile(9, 0.0, Counter({"loop and waiting": 9}), Counter(), Counter())
    text = shape_profile("chains", Profile(1.5, {"MainThread": thread, "idle": idle}))
    assert "Thread MainThread, 0.50 of a core" in text
    assert " 75.0%  decide" in text and "100.0%  a.py:1" in text
    assert "idle" not in text
