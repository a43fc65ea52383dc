"""The wheel carries all of the package: queries, schemas, templates, pipelines, the demo's feeds, the mark of types."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.tidy.tree import ROOT, report, tracked

BUILD_TIMEOUT_S = 110
SOURCES = "src/"


def unpacked(paths: list[str], names: list[str]) -> list[str]:
    """Name the files of the package that are not in the wheel."""
    wheel = set(names)
    inside = [path for path in paths if path.startswith(SOURCES + "stagewright/")]
    return [f"{path}: not in the wheel" for path in inside if path.removeprefix(SOURCES) not in wheel]


def test_a_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    # given a wheel as pip builds it, with the build backend of the lock file
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index"]
    result = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(ROOT)], capture_output=True, text=True, timeout=BUILD_TIMEOUT_S
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    # when it is opened
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(archive.read(name).decode() for name in names if name.endswith("/entry_points.txt"))
    # then all is there, and nothing that is no part of the package
    report(unpacked(list(tracked()), names))
    assert "stagewright/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "stagewright = stagewright.cli.main:main" in entry_points
    assert [name for name in names if not name.startswith("stagewright")] == []


def test_a_missing_file_is_seen() -> None:
    paths = ["src/stagewright/a.py", "src/stagewright/store/sql/b.sql", "tests/test_c.py"]
    assert unpacked(paths, ["stagewright/a.py"]) == ["src/stagewright/store/sql/b.sql: not in the wheel"]
