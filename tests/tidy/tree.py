"""The project's own files as the house rules see them: what git tracks or would track, read once."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GIT_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file; `path` is relative to the root, with forward slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Parse it."""
        return ast.parse(self.text, self.path)


@cache
def tracked() -> tuple[str, ...]:
    """Return the paths that are in the project, or would be after `git add .`; sorted, relative to the root."""
    paths = tuple(sorted(path for path in _git_files() or _folder_files() if (ROOT / path).is_file()))
    assert "pyproject.toml" in paths, f"expected the project's own files in {ROOT}, found: {paths[:5]}"
    return paths


def _git_files() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return []
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
    ).stdout
    return [path for path in listing.split("\0") if path]


def _folder_files() -> list[str]:
    # An unpacked archive has no git to ask; what is made by working in it lies in these folders.
    made = {"__pycache__", "dist", "build", "node_modules", "stagewright-data", "report"}
    found = []
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in made and (name == ".ci" or not name.startswith("."))]
        found += [(Path(folder) / name).relative_to(ROOT).as_posix() for name in files]
    return found


@cache
def text_of(path: str) -> str | None:
    """Return the text of a tracked file; None if it is not UTF-8, as pictures are not."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@cache
def sources(under: str = "") -> tuple[Source, ...]:
    """Return all Python files whose path starts with `under`."""
    paths = [path for path in tracked() if path.endswith(".py") and path.startswith(under)]
    return tuple(Source(path, text_of(path) or "") for path in paths)


def product() -> tuple[Source, ...]:
    """Return the Python files of the package."""
    found = sources("src/stagewright/")
    assert len(found) > 20, f"expected the package tree, found {len(found)} files"
    return found


def listed(name: str) -> dict[str, str]:
    """Read a list of exceptions of this folder: `thing: reason` a line, `#` for comments; every one has a reason."""
    entries = {}
    for number, line in enumerate((HERE / name).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        thing, _, reason = line.partition(": ")
        assert reason.strip(), f"{name}:{number}: expected `thing: reason`, found: {line}"
        assert thing not in entries, f"{name}:{number}: listed twice: {thing}"
        entries[thing] = reason.strip()
    return entries


def functions(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its dotted name in the file, methods and inner functions included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield outer + node.name, node
            yield from functions(node, f"{outer}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{outer}{node.name}.")
        else:
            yield from functions(node, outer)


def report(problems: list[str]) -> None:
    """Fail with all problems at once, one a line."""
    assert not problems, "\n" + "\n".join(problems)
