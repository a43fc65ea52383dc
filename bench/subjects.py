"""Who is measured: the product, the skeleton, the peers; how each is installed and asked for its figures.

Peers are installed into a scratch folder outside the repository (`BENCH_HOME`, else a temporary one) from the
registries that pip and npm are set up for, in the versions written here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALL_TIMEOUT_S = 600
MEASURE_TIMEOUT_S = 1_800
GROWTH_TIMEOUT_S = 3_600

Values = dict[str, float | str]
"""Figures by `workload.name`; a text says why there is no number."""


class Absent(Exception):
    """A subject cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One column of the results."""

    name: str
    about: str
    prepare: Callable[[Path], None]  # into the scratch folder; raises Absent
    measure: Callable[[Path, bool], dict[str, Values]]  # scratch folder, quick → figures by column
    is_default: bool = True


def product(home: Path, quick: bool) -> dict[str, Values]:
    """Ask `stagewright bench` for all workloads but growth."""
    return {"stagewright": product_figures(home, quick, [])[0]}


def product_figures(home: Path, quick: bool, arguments: list[str]) -> tuple[Values, dict[str, object]]:
    """Return the figures of `stagewright bench` and its whole answer; the databases lie in the scratch folder."""
    command = [sys.executable, "-c", "from stagewright.cli.main import main; main()", "bench", "--json"]
    answer = json.loads(_output([*command, "--data", str(home), *_quick(quick), *arguments], GROWTH_TIMEOUT_S))
    values: Values = {}
    for figure in answer["figures"]:
        value = figure["value"]
        values[f"{figure['workload']}.{figure['name']}"] = figure["facts"]["why"] if value is None else value
    return values, answer


def skeleton(home: Path, quick: bool) -> dict[str, Values]:
    """Measure both variants of the skeleton."""
    command = [sys.executable, str(HERE / "skeleton" / "journal_sqlite.py"), "--data", str(home), *_quick(quick)]
    found = json.loads(_output(command, MEASURE_TIMEOUT_S))
    return {"skeleton, strict": found["strict"], "skeleton, loose": found["loose"]}


def _peer(name: str, script: str, arguments: tuple[str, ...] = ()) -> Callable[[Path, bool], dict[str, Values]]:
    def measure(home: Path, quick: bool) -> dict[str, Values]:
        command = [str(_python(home, script)), str(HERE / "peers" / f"bench_{script}.py"), "--home", str(home)]
        lines = _output([*command, *arguments, *_quick(quick)], MEASURE_TIMEOUT_S).splitlines()
        return {name: json.loads(lines[-1])}

    return measure


def _environment(script: str, *packages: str) -> Callable[[Path], None]:
    """Return what makes a virtual environment with these packages."""

    def prepare(home: Path) -> None:
        python = _python(home, script)
        if not python.exists():
            _install([sys.executable, "-m", "venv", str(python.parents[1])])
        _install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])

    return prepare


def _prepare_restate(home: Path) -> None:
    if shutil.which("npm") is None:
        raise Absent("npm is not installed, and Restate's server comes from there")
    folder = home / "restate-npm"
    folder.mkdir(parents=True, exist_ok=True)
    _install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), RESTATE_SERVER])
    if not list((folder / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server")):
        raise Absent("npm has no server of Restate for this machine")
    _environment("restate", "restate-sdk==1.3.0", "granian==2.8.7", "uvloop")(home)


def _prepare_celery(home: Path) -> None:
    if shutil.which("redis-server") is None:
        raise Absent("redis-server is not installed")
    _environment("celery", "celery[redis]==5.7.0")(home)


def _nothing(home: Path) -> None:
    pass


def _python(home: Path, script: str) -> Path:
    return home / f"venv-{script}" / "bin" / "python"


def _quick(quick: bool) -> list[str]:
    return ["--quick"] if quick else []


def _install(command: list[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"`{Path(command[0]).name}` failed: {error}") from error
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        said = _without_paths(lines[-1]) if lines else "it does not say why"
        raise Absent(f"`{Path(command[0]).name}` could not install it: {said}")


def _output(command: list[str], timeout_s: float) -> str:
    """Return what a program prints; `Absent` with the end of its complaint if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STAGEWRIGHT_")}
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise Absent(f"it was not done within {timeout_s:g} s") from error
    if result.returncode or not result.stdout.strip():
        sys.stderr.write(result.stderr)
        lines = result.stderr.strip().splitlines() or ["without a word"]
        raise Absent(f"it ended with {result.returncode}: {_without_paths(lines[-1])}")
    return result.stdout


def _without_paths(text: str) -> str:
    """What is told goes into a file that is shared: where somebody's folders lie is nobody's business."""
    return re.sub(r"(?<![\w.])/[^\s'\"]*/", "", text)[:500]


RESTATE_SERVER = "@restatedev/restate-server@1.7.12"

SUBJECTS = (
    Subject("stagewright", "the product, everything on", _nothing, product),
    Subject(
        "skeleton",
        "the engine's shape and nothing else; the strict one commits an attempt before its dispatch, as the product",
        _nothing,
        skeleton,
    ),
    Subject(
        "restate",
        "1.7.12 with restate-sdk 1.3.0 and granian 2.8.7; a server, a service over HTTP/2, a client for the load",
        _prepare_restate,
        _peer("Restate", "restate"),
    ),
    Subject(
        "dbos",
        "3.4.0 on SQLite in WAL mode, one process",
        _environment("dbos", "dbos==3.4.0", "uvloop"),
        _peer("DBOS, SQLite", "dbos"),
    ),
    Subject(
        "celery",
        "5.7.0 with Redis, whose file is synced each second: less durable than the others",
        _prepare_celery,
        _peer("Celery, Redis", "celery"),
        is_default=False,
    ),
)
