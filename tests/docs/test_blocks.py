"""What the pages say can be done, can be done: every block is run, in order, against the real program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stagewright.model.errors import StagewrightError
from tests.docs.desk import Desk
from tests.docs.pages import Block, block_problems, blocks_of, pages, same_output
from tests.tidy.tree import report

PAGES = [page for page in pages() if blocks_of(page)]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_can_be_done(page: str, tmp_path: Path) -> None:
    blocks = blocks_of(page)
    if shutil.which("curl") is None and any(block.language == "sh" and "curl " in block.text for block in blocks):
        pytest.skip("the page talks to the server with curl, which is not installed")
    with Desk(tmp_path) as desk:
        for block in blocks:
            desk.do(block)


def test_no_block_goes_unchecked() -> None:
    report([problem for page in pages() for problem in block_problems(blocks_of(page))])


def test_the_pages_are_found() -> None:
    assert "README.md" in PAGES
    assert len(PAGES) >= 5


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```\n",
        "```sh\nfalse | true\n```\n<!-- exit: 3 -->\n```sh\nexit 4\n```\n",
        "```python\nassert 1 == 2\n```\n",
        "```sh\necho one\n```\n<!-- output -->\n```text\ntwo\n```\n",
        "```json\n{\n```\n",
        "<!-- file: a.toml -->\n```toml\n[a\n```\n",
        "```yaml\nname: x\nstages: [{id: a, worker: b, needs: [c]}]\n```\n",
        "<!-- background -->\n```sh\nstagewright up --port nowhere\n```\n",
        "<!-- file: ../a.yaml -->\n```yaml\na: 1\n```\n",
    ],
)
def test_a_block_that_does_not_hold_is_seen(text: str, tmp_path: Path) -> None:
    with Desk(tmp_path) as desk, pytest.raises((AssertionError, ValueError, StagewrightError)):
        for block in blocks_of("page.md", text):
            desk.do(block)


def test_blocks_share_a_folder_and_their_order(tmp_path: Path) -> None:
    text = (
        "<!-- file: a.txt -->\n```text\nhello\n```\n"
        "```sh\ncat a.txt > b.txt\ncat b.txt\necho from 12 to 15\n```\n"
        "<!-- output -->\n```text\nhello\nfrom … to …\n```\n"
        "<!-- exit: 7 -->\n```sh\nexit 7\n```\n"
    )
    with Desk(tmp_path) as desk:
        for block in blocks_of("page.md", text):
            desk.do(block)


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ ls\n```\n",
        "```text\nsome output\n```\n",
        "<!-- output -->\n```text\nsome output\n```\n",
        "<!-- not run: no -->\n```sh\nls\n```\n",
        "<!-- ignore -->\n```sh\nls\n```\n",
        "<!-- background -->\n```python\nprint()\n```\n",
    ],
)
def test_a_block_that_nobody_would_check_is_seen(text: str) -> None:
    assert len(block_problems(blocks_of("page.md", text))) == 1


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n…\nc\n", "a\nb1\nb2\nc\n", True),
        ("a\n…\nc\n", "a\nb\nd\n", False),
        ("took … s", "took 1.2 s", True),
        ("took … s", "took 1.2 s\nand more", False),
        ("a.c", "abc", False),
    ],
)
def test_output_is_compared_line_by_line(expected: str, found: str, same: bool) -> None:
    assert same_output(expected, found) is same


def test_a_block_knows_its_place() -> None:
    assert blocks_of("p.md", "x\n\n<!-- file: a.sh -->\n```sh\nls\n```\n") == [
        Block("p.md", 4, "sh", "ls\n", "file", "a.sh")
    ]
