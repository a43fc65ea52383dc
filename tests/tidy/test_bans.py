"""Time and chance are handed in, and imports stand on top: what makes a simulation repeatable and layers visible."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.tree import Source, functions, listed, product, report

# Workers, the CLI, the SDK and the bench live in the real world; only the orchestrator itself is simulated.
REAL_WORLD = ("workers", "cli", "sdk")
# Where even a duration may only come from the clock that was handed in, as it decides what happens next.
SIMULATED = ("model", "engine", "definitions", "resources", "estimator", "store")

WALL_CLOCK_AND_CHANCE = {
    "time.time", "time.time_ns", "time.localtime", "time.gmtime",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "uuid.uuid1", "uuid.uuid4", "uuid.uuid7", "os.urandom", "random", "secrets",
}  # fmt: skip
MONOTONIC = {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns", "time.sleep"}


def package_of(path: str) -> str:
    """Return the part of the house that a file belongs to, `engine` for `src/stagewright/engine/actor.py`."""
    parts = path.removeprefix("src/stagewright/").split("/")
    return parts[0].removesuffix(".py")


def banned_uses(source: Source, banned: set[str]) -> list[str]:
    """Name every use of something banned, however it was imported; a banned module bans all that is in it."""
    names = _imported_names(source.tree)
    problems = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        dotted = _dotted(node, names)
        if dotted and (dotted in banned or dotted.split(".")[0] in banned):
            problems.append(f"{source.path}:{node.lineno}: {dotted}: expected the Clock or Chance port to be handed in")
    return sorted(set(problems))


def inner_imports(source: Source) -> list[str]:
    """Name every import inside a function."""
    return sorted(
        {
            f"{source.path}:{inner.lineno}: import inside {name}: put it on top, or list the module in lazy_imports.txt"
            for name, function in functions(source.tree)
            for inner in ast.walk(function)
            if isinstance(inner, ast.Import | ast.ImportFrom)
        }
    )


def _imported_names(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        outer = _dotted(node.value, names)
        return f"{outer}.{node.attr}" if outer else None
    return None


def test_nobody_reads_a_clock_or_draws_chance_but_the_named_files() -> None:
    allowed = listed("clock_and_chance.txt")
    problems = []
    for source in product():
        package = package_of(source.path)
        if package in REAL_WORLD or source.path in allowed:
            continue
        banned = WALL_CLOCK_AND_CHANCE | (MONOTONIC if package in SIMULATED else set())
        problems += banned_uses(source, banned)
    report(problems)


def test_imports_stand_on_top_but_for_the_command_line_and_listed_modules() -> None:
    allowed = listed("lazy_imports.txt")
    found = {source.path: inner_imports(source) for source in product() if package_of(source.path) != "cli"}
    report([problem for path, problems in found.items() if path not in allowed for problem in problems])
    report([f"lazy_imports.txt: {path} needs no place here any more" for path in allowed if not found.get(path)])


@pytest.mark.parametrize(
    "text",
    [
        "import time\nt = time.time()",
        "import time as clock\nt = clock.time_ns()",
        "from time import time\nt = time()",
        "from datetime import datetime\nt = datetime.now()",
        "import datetime as dt\nt = dt.datetime.utcnow()",
        "import random\nx = random.Random(1)",
        "from random import choice\nx = choice([1])",
        "from uuid import uuid4 as new\nx = new()",
        "import os\nx = os.urandom(8)",
        "import secrets\nx = secrets.token_hex()",
        "def f(chance=__import__):\n    import random\n    return random.random()",
    ],
)
def test_the_ban_sees_every_way_to_write_it(text: str) -> None:
    assert banned_uses(Source("a.py", text), WALL_CLOCK_AND_CHANCE)


def test_the_ban_lets_likeness_pass() -> None:
    text = "import os\nfrom datetime import timedelta\nclass C:\n    def time(self): return self.random\nx = os.path\n"
    assert banned_uses(Source("a.py", text), WALL_CLOCK_AND_CHANCE) == []


def test_an_import_inside_a_method_is_seen() -> None:
    text = "if TYPE_CHECKING:\n    import os\nclass C:\n    def f(self):\n        import re\n"
    assert [problem.split(":")[1] for problem in inner_imports(Source("a.py", text))] == ["5"]
