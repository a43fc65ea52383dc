"""The same commands while a server has the folder: they go to it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import FAILING, HELLO, SLEEPY, Place


def test_commands_on_a_served_folder_go_to_its_server(place: Place) -> None:
    place.file("hello.yaml", HELLO)
    place.file("failing.yaml", FAILING)
    place.file("bad.yaml", "name: bad\nstages: [{id: a, worker: nobody}]\n")
    with place.server() as url:
        # A second server is refused by name, whatever port it asks for.
        second = place.call("up", "--port", "0")
        assert second.code == 7 and url in second.err and "process " in second.err
        # A file and a name run over HTTP.
        said = place.call("run", "hello.yaml", "-p", "who=net", "--json", "-q")
        assert (said.code, said.json["output"]) == (0, {"hello": "net", "times": 1}), said.err
        execution_id = said.json["execution_id"]
        assert place.call("pipelines", "register", "hello.yaml").out == "hello@1\n"
        assert place.call("run", "hello", "-p", "who=name", "-q").json == {"hello": "name", "times": 1}
        # So they do from elsewhere with the address.
        named = place.ask("executions", "get", execution_id, "--json", "--data", "none", "--server", url)
        assert named.json["execution_id"] == execution_id
        assert place.call("executions", "get", execution_id, STAGEWRIGHT_SERVER=url).code == 0
        # Refusals are the server's own.
        missing = place.call("run", "nope", "--json")
        assert (missing.code, missing.json["code"]) == (5, "unknown_pipeline") and missing.json["trace_id"]
        unfit = place.call("run", "hello", "--json")
        assert unfit.code == 10 and unfit.json["errors"][0]["pointer"] == "#/parameters/who"
        assert "No worker named 'nobody'" in place.ask("pipelines", "validate", "bad.yaml").err
        failed = place.call("run", "failing.yaml", "--json", "-q")
        assert (failed.code, failed.json["error"]["code"]) == (1, "boom")
        # Reads agree with what a reader beside the server sees.
        assert {item["name"] for item in place.ask("pipelines", "list", "--json").json["items"]} == {
            "hello", "market_research",
        }  # fmt: skip
        assert "probe" in place.ask("workers", "list").out
        assert place.ask("doctor").code == 0
    # When the server has gone, the same folder answers.
    assert place.ask("executions", "get", execution_id, "--json").json["output"] == {"hello": "net", "times": 1}


def test_what_waits_can_be_left_watched_and_cancelled_and_deliverables_are_fetched(place: Place) -> None:
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "60"))
    with place.server() as url:
        left = place.call("run", "sleepy.yaml", "--detach", "--json")
        assert left.code == 0 and left.json["status"] in ("pending", "running")
        assert f"the execution goes on at server {url}" in left.err
        execution_id = left.json["execution_id"]
        assert place.call("executions", "watch", execution_id, "--timeout", "0.1").code == 9
        graph = place.ask("pipelines", "graph", "--execution", execution_id)
        assert graph.out.startswith("flowchart LR") and "sleep" in graph.out
        cancelled = place.call("executions", "cancel", execution_id, "--json")
        assert cancelled.json == {"execution_id": execution_id, "status": "cancelled"}
        assert place.call("executions", "watch", execution_id, "-q").code == 8

        demo = place.call("demo", "--json", "-q").json
        assert demo["status"] == "completed"
        artifacts = place.ask("artifacts", "list", demo["execution_id"], "--json").json["items"]
        page = next(item for item in artifacts if item["name"] == "report.html")
        assert place.ask("artifacts", "get", page["artifact_id"], "-o", "page.html").code == 0
        delivered = next(item for item in demo["deliverables"] if item["name"] == "report.html")
        assert delivered["url"] == url + page["url"]
        written = (place.folder / "page.html").read_bytes()
        assert written == Path(delivered["path"]).read_bytes() and len(written) == page["size_bytes"]
        lines = place.ask("executions", "events", demo["execution_id"], "--json").out.splitlines()
        assert json.loads(lines[-1])["type"] == "execution.completed"


def test_a_run_that_was_killed_is_finished_by_a_server(place: Place) -> None:
    place.file("sleepy.yaml", SLEEPY.replace("SECONDS", "1"))
    process = place.begin("run", "sleepy.yaml")
    execution_id = place.wait_until_running("nap")
    process.kill()
    process.communicate()
    with place.server():
        said = place.call("executions", "watch", execution_id, "--json", "-q")
        assert (said.code, said.json["output"]) == (0, {"done": True})
    assert place.ask("doctor").code == 0
