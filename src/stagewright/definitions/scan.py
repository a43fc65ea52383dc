"""The scanner of `${{ … }}` in text, and of the tokens of an expression. Pure text work; knows no values."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING, CLOSING = "${{", "}}"
EXPRESSION_LENGTH_MAX = 2_000  # characters between the braces

# Raw strings come first: in them a backslash does not protect a quote.
_TEXT = (
    r"(?:[rR][bB]?|[bB][rR])(?:\"[^\"\n]*\"|'[^'\n]*')"
    r"|[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?''')"
    r"|[bB]?(?:\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
)
_INSIDE = re.compile(rf"(?P<text>{_TEXT})|(?P<brace>[{{}}])|[A-Za-z_0-9]+|.", re.DOTALL)
_TOKEN = re.compile(
    rf"(?P<space>\s+|//[^\n]*)|(?P<text>{_TEXT})"
    r"|(?P<number>0[xX][0-9a-fA-F]+u?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?u?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])",
    re.DOTALL | re.ASCII,
)


class ScanError(ValueError):
    """The text cannot be an expression; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text between `${{` and `}}`, without spaces around it."""

    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression. `kind` is text, number, name or sign."""

    kind: str
    text: str


def split(text: str) -> list[str | Source]:
    """Cut a text into literal pieces and sources, in order, without empty literal pieces. ScanError if one is open."""
    pieces: list[str | Source] = []
    at = 0
    while (start := text.find(OPENING, at)) >= 0:
        if start > at:
            pieces.append(text[at:start])
        end = _end_of_source(text, start + len(OPENING))
        source = text[start + len(OPENING) : end].strip()
        if not source:
            raise ScanError("There is nothing between ${{ and }}; write an expression there.")
        pieces.append(Source(source))
        at = end + len(CLOSING)
    if at < len(text):
        pieces.append(text[at:])
    return pieces


def _end_of_source(text: str, start: int) -> int:
    """Find the `}}` that closes, past strings and past the braces of map literals."""
    depth = 0
    for token in _INSIDE.finditer(text, start, start + EXPRESSION_LENGTH_MAX + 1):
        if token["brace"] == "{":
            depth += 1
        elif token["brace"] == "}":
            if depth == 0 and text.startswith(CLOSING, token.start()):
                return token.start()
            depth = max(0, depth - 1)
    if len(text) - start > EXPRESSION_LENGTH_MAX:
        raise ScanError(
            f"An expression is longer than {EXPRESSION_LENGTH_MAX} characters or not closed; "
            "close it with }} or move the work into a worker."
        )
    raise ScanError("An expression that begins with ${{ is not closed; add }}.")


def tokens(source: str) -> list[Token]:
    """Split an expression into tokens without spaces and comments. ScanError on a character that fits nowhere."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None and source[at] in "\"'":
            raise ScanError(f"A text in quotes is not closed in {source}; close it.")
        if match is None:
            raise ScanError(f"An expression cannot contain {source[at]!r} there: {source}")
        at = match.end()
        if match.lastgroup is not None and match.lastgroup != "space":
            found.append(Token(match.lastgroup, match[0]))
    return found


def text_of(token: Token) -> str | None:
    """Return what a text token says when that needs no unescaping, else None."""
    quoted = token.text
    if "\\" in quoted or quoted[0] not in "\"'" or quoted[:3] in ('"""', "'''"):
        return None
    return quoted[1:-1]
