"""The real command as a process: call it, or start it and talk to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from stagewright.cli.commands import app

COMMAND = (sys.executable, "-m", "stagewright.cli.main")
CALL_TIMEOUT_S = 60.0
WAIT_TIMEOUT_S = 30.0
POLL_S = 0.02

HELLO = """\
name: hello
parameters:
  type: object
  required: [who]
  properties:
    who: {type: string}
    times: {type: integer, default: 1}
stages:
  - id: ask
    worker: probe
    inputs: {who: "${{ parameters.who }}", times: "${{ parameters.times }}"}
  - id: answer
    worker: probe
    needs: [ask]
    inputs: {hello: "${{ stages.ask.output.who }}", times: "${{ stages.ask.output.times }}"}
"""

FAILING = """\
name: failing
stages:
  - {id: good, worker: probe}
  - id: bad
    worker: probe
    action: fail
    needs: [good]
    retry: {max_attempts: 2, initial: 10ms}
    inputs: {times: 9, code: boom, retryable: true}
"""

SLEEPY = """\
name: sleepy
stages:
  - {id: first, worker: probe, inputs: {n: 1}}
  - {id: nap, worker: probe, action: sleep, needs: [first], inputs: {seconds: SECONDS}}
  - {id: last, worker: probe, needs: [nap], inputs: {done: true}}
"""


class Place:
    """A folder of its own in which commands are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "stagewright-data"

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def call(self, *arguments: str, timeout_s: float = CALL_TIMEOUT_S, **environment: str) -> Said:
        """Call a command and wait for its end."""
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=_environment(environment), capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and go on."""
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.folder, env=_environment({}), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @contextmanager
    def server(self) -> Iterator[str]:
        """Serve the folder meanwhile; gives the address, and asserts that SIGTERM ends it with 0."""
        process = self.begin("up", "--port", "0")
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("stagewright ready at http://127.0.0.1:"), line + process.communicate()[1]
            yield line.split()[-1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, process.communicate()[1]
        finally:
            process.kill()
            process.communicate()

    def ask(self, *arguments: str) -> Said:
        """Call a command in this process, which is quicker; for what only reads or is refused."""
        result = CliRunner().invoke(app, arguments, prog_name="stagewright")
        assert "Traceback" not in result.stderr, result.stderr
        return Said(result.exit_code, result.stdout, result.stderr)

    def wait_until_running(self, stage: str) -> str:
        """Wait until a stage of some execution is running; returns the execution's id."""
        ends_at = time.monotonic() + WAIT_TIMEOUT_S
        while time.monotonic() < ends_at:
            listed = self.ask("executions", "list", "--json")
            for item in listed.json["items"] if listed.code == 0 else ():
                shown = self.ask("executions", "get", item["execution_id"], "--json").json
                if any(each["stage_id"] == stage and each["status"] == "running" for each in shown["stages"]):
                    return str(item["execution_id"])
            time.sleep(POLL_S)
        raise AssertionError(f"stage {stage} is not running after {WAIT_TIMEOUT_S} s")


class Said:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


def _environment(added: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **added}
