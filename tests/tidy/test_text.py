"""What no tracked file may say: where packages come from, where somebody's checkout lies, work left for nobody."""

from __future__ import annotations

import re

import pytest

from tests.tidy.tree import report, text_of, tracked

# Written in parts, as this file is tracked too.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"),
        ("registry", "npmmirror", "com"), ("crates", "io"), ("proxy", "golang", "org"), ("conda", "anaconda", "org"),
    )
)  # fmt: skip
REGISTRY = re.compile("|".join(rf"(?<![\w-]){re.escape(host)}" for host in REGISTRIES))
DOWNLOAD = re.compile(r'(?<!-)--(extra-)?index-url|"resolved"\s*:|/packages/[0-9a-f]{2}/[0-9a-f]{2}/')
MACHINE_PATH = re.compile(r"""(?:^|[\s"'`=(\[:>,])/(?:root|work|home|Users)/[A-Za-z._]""", re.MULTILINE)
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b(?!.*#\d)")
CODE = (".py", ".sql", ".ts", ".tsx", ".sh", ".toml", ".yaml", ".yml", "Makefile", ".ci/run")
PICTURES = (".svg", ".png", ".ico")


def text_problems(path: str, text: str) -> list[str]:
    """Name every line that says something it may not."""
    rules = [(REGISTRY, "a registry's host name"), (DOWNLOAD, "a download address")]
    if not path.endswith(PICTURES):
        rules.append((MACHINE_PATH, "a folder of one machine"))
    if path.endswith(CODE):
        rules.append((UNFINISHED, "work left without an issue; write `#number` beside it"))
    return [
        f"{path}:{number}: {what}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, what in rules
        if pattern.search(line)
    ]


def test_no_tracked_file_says_what_none_may() -> None:
    report([problem for path in tracked() for problem in text_problems(path, text_of(path) or "")])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("README.md", f"see https://{REGISTRIES[0]}/project/x"),
        ("constraints.txt", f"# from https://files.{REGISTRIES[1]}/x"),
        ("web/package-lock.json", '"resolved"' + ': "https://somewhere/x"'),
        ("a.txt", "-" + "-index-url https://somewhere/simple"),
        ("a.toml", 'path = "' + '/home/' + 'someone/x"'),
        ("a.md", "/" + "root/x"),
        ("a.py", "x = 1  # TO" + "DO: later"),
        ("Makefile", "# FIX" + "ME"),
    ],
)  # fmt: skip
def test_a_bad_line_is_seen(path: str, line: str) -> None:
    assert len(text_problems(path, f"first\n{line}\nlast\n")) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "x = 1  # TO" + "DO(#12): later"),
        ("a.md", "the list of what is TO" + "DO"),
        ("a.md", "GET /api/work/items and src/home/x"),
        ("a.py", "pointer = '#/stages/0/worker'"),
        ("Makefile", "uv pip compile --no-emit-index-url"),
    ],
)
def test_a_good_line_passes(path: str, line: str) -> None:
    assert text_problems(path, line) == []
