"""Both lock files pin everything by hash, carry no address, and fit pyproject.toml."""

from __future__ import annotations

import re
import tomllib

from tests.tidy.tree import report, text_of

PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+)((?: ;[^\\]*)?) \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def lock_problems(name: str, text: str) -> list[str]:
    """Name lines that are neither a pin nor a hash, and pins without a hash."""
    problems = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if PIN.match(line):
            if number == len(lines) or not HASH.match(lines[number]):
                problems.append(f"{name}:{number}: a pin without a hash: {line}")
        elif not HASH.match(line):
            problems.append(f"{name}:{number}: expected `name==version \\` or a sha256, found: {line}")
    return problems


def pins(text: str) -> set[tuple[str, ...]]:
    """Return (name, version, marker) of each pin."""
    return {match.groups() for line in text.splitlines() if (match := PIN.match(line))}


def asked(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements, as lock files spell them."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", entry, maxsplit=1)[0]).lower() for entry in requirements}


def _read(name: str) -> str:
    return text_of(name) or ""


def test_every_pin_has_its_hashes_and_nothing_else_is_there() -> None:
    report(lock_problems("constraints.txt", _read("constraints.txt")))
    report(lock_problems("constraints-dev.txt", _read("constraints-dev.txt")))


def test_the_locks_hold_what_the_project_asks_for_and_the_build_backend() -> None:
    project = tomllib.loads(_read("pyproject.toml"))
    needed = asked(
        project["project"]["dependencies"] + project["dependency-groups"]["build"] + project["build-system"]["requires"]
    )
    developing = asked(project["project"]["optional-dependencies"]["dev"])
    locked = {pin[0] for pin in pins(_read("constraints.txt"))}
    locked_dev = {pin[0] for pin in pins(_read("constraints-dev.txt"))}
    assert needed <= locked, f"expected in constraints.txt (make lock): {sorted(needed - locked)}"
    assert developing <= locked_dev, f"expected in constraints-dev.txt (make lock): {sorted(developing - locked_dev)}"


def test_tests_use_the_versions_that_users_get() -> None:
    missing = pins(_read("constraints.txt")) - pins(_read("constraints-dev.txt"))
    assert not missing, f"pinned otherwise in constraints-dev.txt (make lock): {sorted(missing)}"


def test_these_checks_can_fail() -> None:
    digest = "a" * 64
    good = f"apsw==3.54.1.0 \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{digest}\n"
    assert lock_problems("x", good) == []
    assert lock_problems("x", "apsw==3.54.1.0\n")
    assert lock_problems("x", "apsw==3.54.1.0 \\\nrich==1 \\\n" + good)
    assert lock_problems("x", "# a header\n" + good)
    assert lock_problems("x", "--index" + "-url somewhere\n" + good)
    assert asked(["ruamel.yaml>=0.19", "uvloop; sys_platform != 'win32'"]) == {"ruamel-yaml", "uvloop"}
