"""A command that only tells something starts at once, and loads nothing for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "fastapi", "starlette", "pydantic", "apsw", "uvicorn", "httpx2", "orjson", "jsonschema_rs", "ruamel", "cel",
    "feedparser", "selectolax", "jinja2", "rich", "stagewright.app", "stagewright.engine",
    "stagewright.definitions",
)  # fmt: skip
PROGRAM = """
import sys, time
begun = time.process_time()
sys.argv = ["stagewright", *{arguments!r}]
from stagewright.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(time.process_time() - begun, *sorted(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def told(*arguments: str) -> tuple[str, float, list[str]]:
    """Return what a command prints, how long the processor worked for it, and which heavy modules it loaded."""
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    seconds, *loaded = done.stderr.split()
    return done.stdout, float(seconds), loaded


def test_the_version_costs_nothing() -> None:
    out, seconds, loaded = min((told("--version") for _ in range(3)), key=lambda each: each[1])
    assert out.startswith("stagewright 0.") and loaded == []
    assert seconds < 0.06


def test_the_help_comes_at_once() -> None:
    out, seconds, loaded = min((told("--help") for _ in range(3)), key=lambda each: each[1])
    assert "Commands:" in out and loaded == []
    assert seconds < 0.2


@pytest.mark.parametrize("arguments", [("run", "--help"), ("executions", "--help"), ("pipelines", "graph", "--help")])
def test_the_help_of_a_command_loads_nothing_either(arguments: tuple[str, ...]) -> None:
    out, _, loaded = told(*arguments)
    # Typer itself reads the arguments of a command with pydantic.
    assert "Usage:" in out and set(loaded) <= {"pydantic"}
