"""The fenced blocks of a page, and what the comment before each says about it.

A comment on the line before a block is one of
    <!-- file: NAME -->       the block is the content of that file
    <!-- output -->           what the block before it prints; `…` stands for any text, alone on a line for any lines
    <!-- background -->       a server: it goes on while the rest of the page is worked through
    <!-- exit: N -->          the block ends with that code
    <!-- not run: REASON -->  nobody runs it, and why
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tidy.tree import text_of, tracked

MARKS = ("file", "output", "background", "exit", "not run")
RUNNABLE = ("sh", "python")
CONTENT = ("yaml", "json", "toml", "html", "svg")
PROSE = ("text", "mermaid")
REASON_CHARS_MIN = 20

FENCE = re.compile(r"^(?P<ticks>```+)(?P<language>[\w-]*)\n(?P<text>.*?)^(?P=ticks)[ \t]*$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^<!-- (?P<kind>[a-z ]+?)(?:: (?P<value>[^\n]*?))? -->[ \t]*\n\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `kind` is a word of `MARKS` or empty; `line` is that of its fence, from 1."""

    page: str
    line: int
    language: str
    text: str
    kind: str = ""
    value: str = ""

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return the pages whose blocks have to be true: the README and what describes the product as it is."""
    folders = ("docs/tutorials/", "docs/how-to/", "docs/reference/", "docs/explanation/", "examples/")
    return [path for path in tracked() if path == "README.md" or (path.startswith(folders) and path.endswith(".md"))]


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """Return the blocks of a page in their order."""
    return list(_blocks(page, text if text is not None else text_of(page) or ""))


def _blocks(page: str, text: str) -> Iterator[Block]:
    for fence in FENCE.finditer(text):
        line_before = text.rfind("\n", 0, max(0, fence.start() - 1)) + 1
        mark = MARK.match(text[line_before : fence.start()])
        line = text.count("\n", 0, fence.start()) + 1
        kind, value = (mark["kind"], mark["value"] or "") if mark else ("", "")
        yield Block(page, line, fence["language"], fence["text"], kind, value)


def block_problems(blocks: list[Block]) -> list[str]:
    """Name the blocks that nobody would check, or whose mark cannot be meant."""
    problems = []
    for number, block in enumerate(blocks):
        before = blocks[number - 1] if number else None
        if block.kind and block.kind not in MARKS:
            problems.append(f"{block.place}: there is no mark {block.kind!r}; there are: {', '.join(MARKS)}")
        elif block.kind == "not run" and len(block.value) < REASON_CHARS_MIN:
            problems.append(f"{block.place}: say in a sentence why nobody runs it: {block.value!r}")
        elif block.kind == "output" and (before is None or before.language not in RUNNABLE):
            problems.append(f"{block.place}: an output follows the block that prints it")
        elif block.kind in ("background", "exit") and block.language != "sh":
            problems.append(f"{block.place}: only commands can be {block.kind}")
        elif block.kind == "" and block.language not in (*RUNNABLE, *CONTENT, *PROSE):
            problems.append(f"{block.place}: expected one of {RUNNABLE + CONTENT + PROSE}, found: {block.language!r}")
        elif block.kind == "" and block.language in PROSE and block.language == "text":
            problems.append(f"{block.place}: mark it as output, as a file or as not run, or write it as prose")
    return problems


def same_output(expected: str, found: str) -> bool:
    """Compare printed text with what a page shows of it; spaces at the ends of lines do not count."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n"
    tidy = "".join(line.rstrip() + "\n" for line in found.strip("\n").splitlines())
    return re.fullmatch(pattern, tidy) is not None
