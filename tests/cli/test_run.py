"""`run` in this process: results, exit codes, bad input, and what becomes of it when it is interrupted."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.command import FAILING, HELLO, SLEEPY, Place


def test_a_file_runs_and_its_output_is_the_data(place: Place) -> None:
    place.file("hello.yaml", HELLO)
    said = place.call("run", "hello.yaml", "-p", "who=2024", "-p", "times=3")
    # Text stays text and numbers become numbers, as the schema has them.
    assert (said.code, said.json) == (0, {"hello": "2024", "times": 3}), said.err
    assert [line.split(maxsplit=1)[1] for line in said.err.splitlines() if "ask" in line] == [
        "● ask started (probe)",
        next(line.split(maxsplit=1)[1] for line in said.err.splitlines() if "✓ ask" in line),
    ]


def test_a_registered_name_runs_with_parameters_from_a_file_and_json_tells_all(place: Place) -> None:
    place.file("hello.yaml", HELLO)
    place.file("in.json", json.dumps({"who": "file", "times": 2}))
    assert place.call("pipelines", "register", "hello.yaml").out == "hello@1\n"
    said = place.call(
        "run", "hello", "-p", "@in.json", "-p", "who=line", "--json", "-q", "--tag", "t", "--request-id", "r"
    )
    assert (said.code, said.err) == (0, "")
    told = said.json
    assert (told["status"], told["output"], told["deliverables"], told["error"]) == (
        "completed", {"hello": "line", "times": 2}, [], None,
    )  # fmt: skip
    assert (told["pipeline"], told["version"], told["request_id"]) == ("hello", 1, "r")
    # The same request again answers with the same execution; with another body it is a conflict.
    again = place.call("run", "hello", "-p", "who=line", "-p", "times=2", "--tag", "t", "--json", "--request-id", "r")
    assert again.json["execution_id"] == told["execution_id"]
    assert place.call("run", "hello", "-p", "who=other", "--request-id", "r").code == 7
    listed = place.ask("executions", "list", "--json", "--tag", "t").json["items"]
    assert [item["execution_id"] for item in listed] == [told["execution_id"]]


def test_a_failed_execution_exits_with_1_names_its_cause_and_can_be_retried(place: Place) -> None:
    place.file("failing.yaml", FAILING)
    said = place.call("run", "failing.yaml")
    assert said.code == 1 and said.out == ""
    assert (
        "failed in stage 'bad'" in said.err
        and "boom: " in said.err
        and "stagewright executions retry exec_" in said.err
    )
    told = place.call("run", "failing.yaml", "--json", "-q")
    assert told.code == 1 and told.json["status"] == "failed"
    assert (told.json["error"]["code"], told.json["error"]["stage_id"]) == ("boom", "bad")
    # A retry keeps what completed, tells only what is new, and fails alike.
    retried = place.call("executions", "retry", told.json["execution_id"])
    assert retried.code == 1 and "failing goes on" in retried.err and "good started" not in retried.err


BAD = """\
name: bad
stages:
  - {id: one, worker: probe, needs: [two]}
  - {id: two, worker: probe, needs: [one]}
  - {id: three, wurker: probe, needs: [four]}
"""


def test_a_bad_document_is_refused_with_all_its_problems_and_their_places(place: Place) -> None:
    place.file("bad.yaml", BAD)
    said = place.call("run", "bad.yaml", "--json")
    assert said.code == 10
    found = {(each["pointer"], each["line"]) for each in said.json["errors"]}
    assert {("#/stages/0/needs/0", 3), ("#/stages/2/wurker", 5), ("#/stages/2/needs/0", 5)} <= found
    assert any("one → two → one" in each["detail"] for each in said.json["errors"])
    plain = place.ask("pipelines", "validate", "bad.yaml")
    assert plain.code == 10 and "did you mean worker?" in plain.err and "line 5, #/stages/2/wurker" in plain.err
    assert not place.data.exists(), "nothing was begun for a document that cannot run"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "no_such"), 5, "There is no pipeline 'no_such'. There are: market_research"),
        (("run", "no_such.yaml"), 5, "There is no file no_such.yaml"),
        (("run", "lonely.yaml"), 10, "No worker named 'nobody' is registered (stage 'only')"),
        (("run", "hello.yaml"), 10, "#/parameters/who"),
        (("run", "hello.yaml", "-p", "who=x", "-p", "times=many"), 10, "#/parameters/times"),
        (("run", "hello.yaml", "-p", "who"), 2, "expected NAME=VALUE"),
        (("run", "hello.yaml", "-p", "@missing.json"), 10, "missing.json cannot be read"),
        (("run", "hello.yaml", "-p", "who=x", "--server", "127.0.0.1:1"), 3, "stagewright up"),
        (("executions", "get", "exec_nothing"), 5, "There is no"),
        (("doctor", "--data", "nowhere"), 5, "There is no database nowhere"),
        (("up", "--port", "99999"), 2, "'--port'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_why(place: Place, arguments: tuple[str, ...], code: int, words: str) -> None:
    place.file("hello.yaml", HELLO)
    place.file("lonely.yaml", "name: lonely\nstages: [{id: only, worker: nobody}]\n")
    said = place.ask(*arguments)
    assert said.code == code, said.err
    assert words in said.err and said.out == ""


def test_a_wrong_setting_names_itself(place: Place) -> None:
    said = place.call("up", STAGEWRIGHT_PORTT="1", STAGEWRIGHT_PORT="x")
    assert said.code == 2 and "STAGEWRIGHT_PORTT" in said.err and "STAGEWRIGHT_PORT)" in said.err


def test_the_time_to_wait_is_bounded_and_watch_goes_on_where_run_left(place: Place) -> None:
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "1"))
    said = place.call("run", "sleepy.yaml", "--timeout", "0.1", "--json", "-q")
    assert said.code == 9 and said.json["status"] == "running"
    assert "at the next start" in said.err
    watched = place.call("executions", "watch", said.json["execution_id"], "-q")
    assert (watched.code, watched.json) == (0, {"done": True}), watched.err


def test_an_interrupt_stops_cleanly_and_says_how_to_go_on(place: Place) -> None:
    # given an execution in the middle of a stage
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "60"))
    process = place.begin("run", "sleepy.yaml")
    execution_id = place.wait_until_running("nap")
    # when Ctrl-C comes
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    # then the command ends with the code for it, and the execution is kept
    assert process.returncode == 130
    assert f"stagewright executions watch {execution_id}" in said and "Traceback" not in said
    assert place.ask("doctor").code == 0
    # and can be cancelled by another command; whoever looks sees it
    assert place.call("executions", "cancel", execution_id).out == f"{execution_id} cancelled\n"
    assert place.call("executions", "watch", execution_id, "-q").code == 8
    assert place.call("executions", "cancel", execution_id).code == 7


def test_a_killed_run_is_finished_by_the_same_command(place: Place) -> None:
    # given a run that is killed in the middle
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "1"))
    process = place.begin("run", "sleepy.yaml", "--request-id", "once")
    execution_id = place.wait_until_running("nap")
    process.kill()
    process.communicate()
    # when the same is asked for again
    said = place.call("run", "sleepy.yaml", "--request-id", "once", "--json", "-q")
    # then the execution ends, and the stage that had completed was not begun again
    assert (said.code, said.json["execution_id"], said.json["output"]) == (0, execution_id, {"done": True})
    events = [json.loads(line) for line in place.ask("executions", "events", execution_id, "--json").out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    started = [event["stage_id"] for event in events if event["type"] == "stage.started"]
    assert started.count("first") == 1 and started.count("last") == 1
    assert place.ask("doctor").code == 0
