"""Which values an expression names: paths from its roots, found by our own scanner and without evaluating it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from stagewright.definitions.scan import ScanError, Token, text_of, tokens
from stagewright.definitions.words import Key, did_you_mean, listed

Root = Literal["parameters", "stages", "execution", "item", "index"]

ROOTS: tuple[Root, ...] = ("parameters", "stages", "execution", "item", "index")
STAGE_FIELDS = ("output", "status", "summary", "outputs")
FUNCTIONS = ("size", "string", "int", "uint", "double", "bytes", "dyn", "type", "timestamp", "duration", "has")
METHODS = (
    *("size", "contains", "startsWith", "endsWith", "matches", "getFullYear", "getMonth", "getDate"),
    *("getDayOfMonth", "getDayOfYear", "getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
MACROS = ("map", "filter", "all", "exists", "exists_one")
MACRO_DEPTH_MAX = 2
NESTING_MAX = 64

_LITERALS = ("true", "false", "null", "in")
_TYPE_NAMES = ("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type")
_EXPRESSIONS_CACHED_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Reference:
    """One path that an expression names.

    `path` is what follows the root, or what follows the stage: `stages.fetch.output.feeds[0]` has root `stages`,
    stage `fetch` and path `("output", "feeds", 0)`. `is_whole` says that the JSON value in the document is exactly
    this path and nothing else, so that the value found there is handed on as it is.
    """

    root: Root
    stage: str | None
    path: tuple[Key, ...]
    is_whole: bool = False

    @property
    def keys(self) -> tuple[Key, ...]:
        """The way to the value in a scope, root first."""
        return (self.root, *self.path) if self.stage is None else (self.root, self.stage, *self.path)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression whose names are all known. A plain path needs no CEL to be evaluated."""

    source: str
    references: tuple[Reference, ...]  # in order, no repeats
    is_path: bool


@lru_cache(maxsize=_EXPRESSIONS_CACHED_MAX)
def find_references(source: str) -> Expression:
    """Scan an expression. ScanError names what is unknown, with the mend; CEL syntax is not checked here."""
    words = tokens(source)
    if not words:
        raise ScanError("There is nothing between ${{ and }}; write an expression there.")
    found = _Finder(words, source).find()
    references = tuple(dict.fromkeys(reference for reference, _, _ in found))
    is_path = len(found) == 1 and found[0][1:] == (0, len(words))
    return Expression(source, references, is_path)


def find_places(source: str) -> tuple[list[tuple[Reference, int, int]], dict[int, int]]:
    """Return the references with their first token and the one after the last, and where each bracket closes."""
    finder = _Finder(tokens(source), source)
    return finder.find(), finder.closing


class _Finder:
    """One pass over the tokens; `bound` are the macro variables with the token range in which they hold."""

    def __init__(self, words: Sequence[Token], source: str) -> None:
        self.words = words
        self.source = source
        self.closing = self._match_brackets()
        self.bound = self._macro_variables()

    def text(self, at: int) -> str:
        return self.words[at].text if 0 <= at < len(self.words) else ""

    def find(self) -> list[tuple[Reference, int, int]]:
        found = []
        for at, word in enumerate(self.words):
            if word.kind != "name" or self._is_member(at):
                continue
            if self.text(at + 1) == "(":
                self._check_function(word.text)
            elif word.text in _LITERALS or self._is_bound(word.text, at):
                continue
            elif word.text in ROOTS:
                reference, end = self._path(at)
                found.append((reference, at, end))
            elif word.text not in _TYPE_NAMES:
                raise ScanError(self._unknown(at))
        return found

    def _is_member(self, at: int) -> bool:
        """Whether a name follows a dot; then it is a field or a method of what stands before it."""
        if self.text(at - 1) != ".":
            return False
        before = self.words[at - 2] if at >= 2 else Token("sign", "")
        if before.kind == "sign" and before.text not in (")", "]", "}"):
            raise ScanError(f"A name cannot begin with a dot in {self.source}; remove the dot.")
        name = self.text(at)
        if self.text(at + 1) == "(" and name not in METHODS and name not in MACROS and before.text != "optional":
            known = (*METHODS, *MACROS)
            raise ScanError(
                f"There is no method {name} in {self.source}{did_you_mean(name, known)}; known: {listed(known, 20)}."
            )
        return True

    def _check_function(self, name: str) -> None:
        if name not in FUNCTIONS:
            raise ScanError(
                f"There is no function {name} in {self.source}{did_you_mean(name, FUNCTIONS)}; "
                f"known: {listed(FUNCTIONS, 20)}."
            )

    def _is_bound(self, name: str, at: int) -> bool:
        return any(name == bound and start < at < end for bound, start, end in self.bound)

    def _unknown(self, at: int) -> str:
        name = self.text(at)
        return (
            f"There is no name {name} in {self.source}{did_you_mean(name, ROOTS)}; "
            f"known: {listed(ROOTS)}. Text stands in quotes."
        )

    def _path(self, at: int) -> tuple[Reference, int]:
        """Read the longest path of constant keys from the root at `at`; return it with the token after it."""
        root = next(name for name in ROOTS if name == self.text(at))
        keys: list[Key] = []
        at += 1
        while (step := self._key(at)) is not None:
            keys.append(step[0])
            at = step[1]
        if root != "stages":
            return Reference(root, None, tuple(keys)), at
        stage = self._stage_of(keys, at)
        return Reference(root, stage, tuple(keys[1:])), at

    def _key(self, at: int) -> tuple[Key, int] | None:
        if self.text(at) == "." and at + 1 < len(self.words) and self.words[at + 1].kind == "name":
            is_call = self.text(at + 2) == "("
            return None if is_call else (self.text(at + 1), at + 2)
        if self.text(at) != "[" or self.text(at + 2) != "]":
            return None
        word = self.words[at + 1]
        if word.kind == "number" and word.text.isdigit() and len(word.text) < 10:
            return int(word.text), at + 3
        name = text_of(word) if word.kind == "text" else None
        return None if name is None else (name, at + 3)

    def _stage_of(self, keys: list[Key], after: int) -> str:
        if not keys or not isinstance(keys[0], str):
            raise ScanError(f"After stages comes the id of one stage, as in stages.fetch.output: {self.source}")
        if len(keys) == 1 and self.text(after) == "-":
            raise ScanError(
                f"A stage id with a hyphen is written in brackets, as in stages['scan-node'].output: {self.source}"
            )
        if len(keys) < 2 or keys[1] not in STAGE_FIELDS:
            field = keys[1] if len(keys) > 1 else ""
            raise ScanError(
                f"After stages.{keys[0]} comes .output, .status or .summary"
                f"{did_you_mean(str(field), STAGE_FIELDS)}: {self.source}"
            )
        return keys[0]

    def _match_brackets(self) -> dict[int, int]:
        closing: dict[int, int] = {}
        open_at: list[int] = []
        for at, word in enumerate(self.words):
            if word.kind != "sign":
                continue
            if word.text in "([{":
                open_at.append(at)
                if len(open_at) > NESTING_MAX:
                    raise ScanError(f"The brackets are nested deeper than {NESTING_MAX}: {self.source[:80]}…")
            elif word.text in ")]}" and open_at:
                closing[open_at.pop()] = at
        return closing

    def _macro_variables(self) -> list[tuple[str, int, int]]:
        bound: list[tuple[str, int, int]] = []
        for at in range(1, len(self.words) - 1):
            is_macro = self.text(at) in MACROS and self.text(at - 1) == "." and self.text(at + 1) == "("
            if not is_macro or self.text(at + 3) != "," or self.words[at + 2].kind != "name":
                continue
            start, end = at + 1, self.closing.get(at + 1, len(self.words))
            bound.append((self.text(at + 2), start, end))
            depth = sum(1 for _, outer, outer_end in bound if outer <= start < outer_end)
            if depth > MACRO_DEPTH_MAX:
                raise ScanError(
                    f"More than {MACRO_DEPTH_MAX} macros stand inside each other in {self.source[:80]}; "
                    "move the work into a worker."
                )
        return bound
