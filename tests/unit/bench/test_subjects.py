"""Installing and asking the subjects: what fails is told without anybody's folders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.subjects import SUBJECTS, Absent, _install, _output, skeleton


def test_a_program_that_fails_is_absent_with_its_last_words_and_no_folders() -> None:
    text = "import sys; print('noise', file=sys.stderr); sys.exit('no file ' + __import__('os').getcwd() + '/a/b.txt')"
    with pytest.raises(Absent, match=r"^it ended with 1: no file b.txt$"):
        _output([sys.executable, "-c", text], 30)


def test_a_program_that_says_nothing_is_absent() -> None:
    with pytest.raises(Absent, match="it ended with 0: without a word"):
        _output([sys.executable, "-c", ""], 30)


def test_a_program_that_takes_too_long_is_absent() -> None:
    with pytest.raises(Absent, match=r"not done within 0.2 s"):
        _output([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)


def test_what_cannot_be_installed_says_who_could_not() -> None:
    with pytest.raises(Absent, match="`no-such-installer` failed"):
        _install(["no-such-installer", "anything"])


def test_the_skeleton_is_measured_in_both_variants(tmp_path: Path) -> None:
    found = skeleton(tmp_path, quick=True)
    assert set(found) == {"skeleton, strict", "skeleton, loose"}
    for values in found.values():
        assert set(values) == {
            "chains.stages_per_s", "latency.stage_p50_ms", "fanout.1000_s", "fanout.10000_s", "submit.in_process_per_s",
        }  # fmt: skip
        assert all(isinstance(value, float) and value > 0 for value in values.values())
    assert list(tmp_path.iterdir()) == []


def test_subjects_have_names_of_their_own() -> None:
    assert len({one.name for one in SUBJECTS}) == len(SUBJECTS)
