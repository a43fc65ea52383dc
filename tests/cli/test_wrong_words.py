"""What is written wrong on a command line: the message names the option, what was expected and the mend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import get_args

import pytest

from stagewright.cli.executions import Status
from stagewright.cli.failures import lines_of
from stagewright.cli.naming import program
from stagewright.model import errors
from stagewright.model.execution import FINAL_STATUSES, OPEN_STATUSES
from stagewright.server.answers import ExecutionStatus
from tests.cli.command import HELLO, Place

NO_EXECUTION = "exec_" + "0" * 26


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "hello.yaml", "-p", "who=x", "-o", "taken"), ("--output", "taken is a file", "name a folder")),
        (("run", "hello.yaml", "-p", "who=x", "-o", "taken/in"), ("--output", "taken is a file", "name a folder")),
        (("executions", "watch", NO_EXECUTION, "-o", "taken"), ("--output", "taken is a file", "name a folder")),
        (("artifacts", "get", "art_1", "-o", "folder"), ("--output", "folder is a folder", "name a file in it")),
        (("artifacts", "get", "art_1", "-o", "missing/x"), ("--output", "There is no folder missing", "make it")),
        (("artifacts", "get", "art_1", "-o", "taken/x"), ("--output", "There is no folder taken")),
        (("executions", "list", "--data", "taken"), ("--data", "taken is a file", "name a folder")),
        (("run", "hello.yaml", "-p", "who=x", "--data", "taken"), ("--data", "taken is a file", "name a folder")),
        (("up", "--data", "taken"), ("--data", "taken is a file", "name a folder")),
        (("executions", "list", "--after", "zzz"), ("--after", "zzz", "exec_")),
        (("executions", "list", "--status", "done"), ("--status", "done", "pending", "paused", "cancelled")),
        (("executions", "get", ""), ("EXECUTION", "empty")),
        (("executions", "cancel", " "), ("EXECUTION", "empty")),
        (("artifacts", "get", ""), ("ARTIFACT", "empty")),
        (("pipelines", "get", ""), ("empty",)),
        (("run", ""), ("empty",)),
        (("pipelines", "graph", "--execution", ""), ("--execution", "empty")),
    ],
)
def test_a_wrong_word_is_a_usage_error_before_anything_begins(
    place: Place, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    place.file("hello.yaml", HELLO)
    place.file("taken", "mine")
    (place.folder / "folder").mkdir()
    said = place.ask(*arguments)
    told = " ".join(said.err.replace("│", " ").split())
    assert said.code == 2 and said.out == "", said.err
    assert all(word in told for word in words), told
    assert not place.data.exists() and not (place.folder / "missing").exists()
    assert (place.folder / "taken").read_text() == "mine"


def test_a_folder_of_the_environment_that_is_a_file_names_its_variable(place: Place) -> None:
    place.file("taken", "mine")
    said = place.call("executions", "list", STAGEWRIGHT_DATA="taken")
    assert said.code == 2 and "STAGEWRIGHT_DATA" in said.err and "taken is a file" in said.err


def test_the_states_to_filter_by_are_those_that_there_are() -> None:
    assert {each.value for each in Status} == {*OPEN_STATUSES, *FINAL_STATUSES} == set(get_args(ExecutionStatus))


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        (
            "There is no execution exec_1: list them with GET /api/executions",
            ["  There is no execution exec_1", "  List what there is with: stagewright executions list"],
        ),
        ("It is completed: name the stage to run again with `from_stage`", [
            "  It is completed: name the stage to run again with --from-stage"]),
        ("The execution has no stage 'x' (`from_stage`). It has: a", [
            "  The execution has no stage 'x' (--from-stage). It has: a"]),
    ],
)  # fmt: skip
def test_words_of_the_api_become_words_of_the_command_line(detail: str, told: list[str]) -> None:
    assert lines_of(errors.NotFound(detail))[1:] == told


def test_the_program_is_named_as_it_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a program in a folder that is not on the path
    called = tmp_path / "tools" / "stagewright"
    called.parent.mkdir()
    called.write_text("#!/bin/sh\n")
    called.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(called)])
    # then its path is told, relative as that is shorter
    assert program() == "tools/stagewright"
    # and where the path has it, the name is enough
    monkeypatch.setenv("PATH", str(called.parent))
    assert program() == "stagewright"
    # but not where the path has another one
    other = tmp_path / "other" / "stagewright"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == "tools/stagewright"


# --- settings --------------------------------------------------------------------------------------------------------


def test_wrong_settings_say_what_to_write(place: Place) -> None:
    place.file("stagewright.toml", '[workers]\nmodules = "mine"\n[worker]\nx = 1\n[engine]\nslice_uss = 3\n')
    said = place.ask("config", "show")
    assert said.code == 2
    assert 'a list of module names, for example ["mine"]' in said.err
    assert "did you mean workers?" in said.err and "did you mean slice_us?" in said.err


# --- workers that cannot be loaded -----------------------------------------------------------------------------------


def test_a_module_that_cannot_be_loaded_stops_only_what_needs_it(place: Place) -> None:
    # given a module that is not there
    place.file("stagewright.toml", '[workers]\nmodules = ["no_such_workers"]\n')
    place.file("hello.yaml", HELLO)
    place.file("mine.yaml", "name: mine\nstages: [{id: only, worker: own_worker}]\n")
    # then what needs none of its workers is done
    said = place.call("run", "hello.yaml", "-p", "who=x", "-q")
    assert (said.code, said.json["hello"]) == (0, "x"), said.err
    assert place.call("pipelines", "validate", "hello.yaml").code == 0
    # and what needs one is refused once, with module, reason, and where it is looked for
    for arguments in (("run", "mine.yaml"), ("pipelines", "validate", "mine.yaml"), ("up", "--port", "0")):
        said = place.call(*arguments)
        assert said.code == 2, (arguments, said.err)
        assert said.err.count("No module named 'no_such_workers'") == 1, said.err
        assert "workers.folder" in said.err and "PYTHONPATH" in said.err and str(place.folder) in said.err
    # and the list of workers shows the others
    said = place.call("workers", "list", "--json")
    assert "probe" in {item["worker_name"] for item in json.loads(said.out)["items"]}
    assert "No module named 'no_such_workers'" in said.err
