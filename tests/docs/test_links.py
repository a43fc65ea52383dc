"""Links to a part of a page lead to a heading of it (links to files are the house rules' affair)."""

from __future__ import annotations

import posixpath
import re

from tests.docs.pages import FENCE
from tests.tidy.tree import report, text_of, tracked

LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the names under which the headings of a page can be reached."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(FENCE.sub("", text)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def dead_anchors(page: str, text: str) -> list[str]:
    """Name the links to headings that are not there."""
    problems = []
    for target, anchor in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page
        there = anchors(text if path == page else text_of(path) or "")
        if path.endswith(".md") and anchor not in there:
            problems.append(f"{page}: no heading for {target}#{anchor}; there are: {', '.join(sorted(there))}")
    return problems


def test_links_to_headings_lead_somewhere() -> None:
    documents = [path for path in tracked() if path.endswith(".md")]
    report([problem for path in documents for problem in dead_anchors(path, text_of(path) or "")])


def test_a_dead_anchor_is_seen() -> None:
    text = "# Two words\n\n[a](#two-words) [b](#three-words) [c](docs/glossary.md#no-such-part)\n"
    assert len(dead_anchors("README.md", text)) == 2
