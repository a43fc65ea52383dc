"""Commands in this process touch the one execution that they were asked for, and no other of the folder."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import HELLO, SLEEPY, Place

WRITER = """\
import time
from pathlib import Path

from stagewright.sdk import Worker

worker = Worker("writer", version="1")


@worker.action()
def write(inputs, context):
    with Path(inputs["file"]).open("a") as file:
        file.write("x")
    time.sleep(inputs["seconds"])
    if inputs.get("broken"):
        raise ValueError("no such luck")
    return {"ok": True}


def workers():
    return [worker]
"""
PIPELINE = """\
name: writes
stages:
  - {{id: nap, worker: writer, inputs: {{file: {file}, seconds: {seconds}}}}}
"""


def left_open(place: Place, file: Path, seconds: float = 60) -> str:
    """Start an execution whose handler writes a file and waits, and kill the command meanwhile."""
    place.file("writing.py", WRITER)
    place.file("stagewright.toml", '[workers]\nmodules = ["writing"]\n')
    place.file("writes.yaml", PIPELINE.format(file=file, seconds=seconds))
    process = place.begin("run", "writes.yaml")
    execution_id = place.wait_until_running("nap")
    while not file.exists():
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    return execution_id


def test_other_commands_do_not_start_what_is_open_again(place: Place) -> None:
    # given an open execution whose handler has run once
    file = place.folder / "ran"
    execution_id = left_open(place, file)
    place.file("hello.yaml", HELLO)
    assert file.read_text() == "x"
    # when others are run, registered and watched
    said = place.call("run", "hello.yaml", "-p", "who=x", "--json", "-q")
    assert said.code == 0, said.err
    assert place.call("pipelines", "register", "hello.yaml").code == 0
    assert place.call("executions", "watch", said.json["execution_id"], "-q").code == 0
    # then the handler has not run again
    assert file.read_text() == "x"
    # and those who look at it are told that nobody serves it
    got = place.ask("executions", "get", execution_id)
    assert "nobody serves it now" in got.err and f"executions watch {execution_id}" in got.err
    # when it is cancelled
    assert place.call("executions", "cancel", execution_id).out == f"{execution_id} cancelled\n"
    # then neither
    assert file.read_text() == "x"
    assert "nobody serves" not in place.ask("executions", "get", execution_id).err
    assert place.ask("doctor").code == 0


def test_watching_what_is_open_goes_on_with_it_alone(place: Place) -> None:
    # given two open executions
    first, second = place.folder / "first", place.folder / "second"
    one = left_open(place, first, 0.5)
    left_open(place, second)
    # when one is watched
    said = place.call("executions", "watch", one, "-q")
    # then it ends, and the other is left
    assert (said.code, said.json) == (0, {"ok": True}), said.err
    assert (first.read_text(), second.read_text()) == ("xx", "x")


def test_what_another_command_executes_is_not_called_unserved(place: Place) -> None:
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "60"))
    process = place.begin("run", "sleepy.yaml")
    try:
        execution_id = place.wait_until_running("nap")
        assert "nobody serves" not in place.ask("executions", "get", execution_id).err
    finally:
        process.kill()
        process.communicate()


def test_a_failure_is_told_once_as_progress_and_once_at_the_end_and_its_trace_to_those_who_ask(place: Place) -> None:
    place.file("writing.py", WRITER)
    place.file("stagewright.toml", '[workers]\nmodules = ["writing"]\n')
    inputs = f"{{file: {place.folder / 'ran'}, seconds: 0, broken: true}}"
    stage = f"{{id: a, worker: writer, retry: {{max_attempts: 1}}, inputs: {inputs}}}"
    place.file("broken.yaml", f"name: broken\nstages: [{stage}]\n")
    said = place.call("run", "broken.yaml")
    assert said.code == 1 and said.err.count("no such luck") == 2, said.err
    # the trace
    process = place.begin("run", "broken.yaml", "-v")
    _, told = process.communicate(timeout=30)
    assert told.count("Traceback") == 1 and 'raise ValueError("no such luck")' in told, told
    assert "Traceback" not in said.err


def test_a_registered_pipeline_is_printed_as_yaml_that_is_the_same_pipeline(place: Place) -> None:
    place.file("hello.yaml", HELLO)
    assert place.call("pipelines", "register", "hello.yaml").code == 0
    said = place.ask("pipelines", "get", "hello")
    assert said.out.startswith("name: hello\n") and "- id: ask\n" in said.out
    place.file("again.yaml", said.out)
    assert place.call("pipelines", "register", "again.yaml").out == "hello@1\n"
    told = place.ask("pipelines", "get", "hello", "--json")
    assert told.json["document"]["name"] == "hello" and told.out.startswith('{\n  "')
