"""Links in documents lead somewhere, and every decision stands in the index."""

from __future__ import annotations

import posixpath
import re

from tests.tidy.tree import ROOT, report, text_of, tracked

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
RECORD = re.compile(r"docs/decisions/(\d{4})-[a-z0-9-]+\.md")
INDEX = "docs/decisions/README.md"


def dead_links(path: str, text: str) -> list[str]:
    """Name the relative links of a document that lead to no file or folder."""
    problems = []
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.split("#")[0]))
        if file.startswith("..") or not (ROOT / file).exists():
            problems.append(f"{path}: a link leads nowhere: {target}")
    return problems


def index_problems(paths: list[str], index: str) -> list[str]:
    """Name records that are not in the index, and numbers that are missing or used twice."""
    records = [path for path in paths if RECORD.fullmatch(path)]
    numbers = [int(path.removeprefix("docs/decisions/")[:4]) for path in records]
    problems = [f"{INDEX}: expected a line with a link to {path}" for path in records if f"({path[15:]})" not in index]
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        problems.append(f"docs/decisions: expected numbers from 1 without gap or repeat, found: {sorted(numbers)}")
    return problems


def test_every_relative_link_leads_to_a_file() -> None:
    documents = [path for path in tracked() if path.endswith(".md")]
    report([problem for path in documents for problem in dead_links(path, text_of(path) or "")])


def test_every_decision_is_in_the_index() -> None:
    report(index_problems(list(tracked()), text_of(INDEX) or ""))


def test_these_checks_can_fail() -> None:
    assert dead_links("docs/README.md", "see [x](glossary.md), [y](https://example.org/z) and [z](#here)") == []
    assert len(dead_links("docs/README.md", "see [x](no-such-page.md#part)")) == 1
    assert len(dead_links("README.md", "see [x](../outside.md)")) == 1
    records = ["docs/decisions/0001-a.md", "docs/decisions/0003-c.md"]
    assert len(index_problems(records, "(0001-a.md)")) == 2
