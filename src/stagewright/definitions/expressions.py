"""Templates: JSON values of a document in which texts may hold `${{ expressions }}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from stagewright.definitions.evaluate import ExpressionError, NeedsData, Unresolved, evaluate, program
from stagewright.definitions.references import Expression, Reference, find_references
from stagewright.definitions.scan import OPENING, ScanError, Source, split
from stagewright.definitions.words import pointer, shown, type_of
from stagewright.model.data import DataRef
from stagewright.model.errors import Invalid, Problem

__all__ = ["Compiled", "ExpressionError", "NeedsData", "Reference", "Template", "compile_all"]

CEL_CHARACTERS_MAX = 250_000  # in one document
PROBLEMS_MAX = 1_001  # in one value
SPREAD = "<<"
"""The key of an object whose value is one expression: the members of that value are taken in, own members win."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A text that is one expression: its value keeps its type."""

    expression: Expression
    pointer: str


@dataclass(frozen=True, slots=True)
class _Mixed:
    """A text with expressions in it: becomes text."""

    pieces: tuple[str | Expression, ...]
    pointer: str


@dataclass(frozen=True, slots=True)
class _Object:
    constant: Mapping[str, Any]  # every member, so that order is kept; the changing ones are overwritten
    changing: tuple[tuple[str, _Node], ...]
    spread: _Whole | None


@dataclass(frozen=True, slots=True)
class _List:
    constant: list[Any]
    changing: tuple[tuple[int, _Node], ...]


_Node = _Whole | _Mixed | _Object | _List


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value with its expressions compiled. Immutable; may be rendered any number of times, by any thread."""

    value: Any
    references: tuple[Reference, ...]  # in document order, no repeats
    _node: _Node | None

    @staticmethod
    def compile(value: Any, base: str = "#") -> Template:
        """Compile any JSON value; `base` is the pointer of the value, for messages. Invalid lists all problems."""
        compiled = compile_all(value, base)
        if compiled.problems:
            raise Invalid(compiled.problems[0].detail, compiled.problems)
        return compiled.template

    @property
    def is_constant(self) -> bool:
        """True when there is no expression in it; `render` then returns the value itself."""
        return self._node is None

    def render(self, scope: Mapping[str, Any]) -> Any:
        """Return the value with its expressions replaced; shares its constant parts with the template.

        `scope` maps roots to values, stages as `{"stages": {id: {"output": …, "status": …, "summary": …}}}`. A
        DataRef stays in the result where a whole-value path leads to exactly it. NeedsData names all DataRefs that
        must be loaded first; ExpressionError says which expression has no value and why.
        """
        if self._node is None:
            return self.value
        needed: list[DataRef] = []
        rendered = _render(self._node, scope, needed)
        if needed:
            raise NeedsData(tuple(dict.fromkeys(needed)))
        return rendered


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template with the pointer of every reference in it, and every problem instead of only the first."""

    template: Template
    places: list[tuple[Reference, str]]
    problems: list[Problem]


class CelBudget:
    """How much CEL a document may still hold; compiling takes 5 µs a character, equal expressions count once."""

    def __init__(self, characters_max: int = CEL_CHARACTERS_MAX) -> None:
        self.characters_left = characters_max
        self._seen: set[str] = set()

    def take(self, source: str) -> None:
        """Count an expression; ScanError when it is too much."""
        if source in self._seen:
            return
        if len(source) > self.characters_left:
            raise ScanError(
                f"The expressions that are no plain paths have more than {CEL_CHARACTERS_MAX} characters in all; "
                "move the work into workers."
            )
        self._seen.add(source)
        self.characters_left -= len(source)


def compile_all(value: Any, base: str, budget: CelBudget | None = None) -> Compiled:
    """Compile any JSON value without raising; with problems, the template leaves those texts as they are.

    At most `PROBLEMS_MAX` problems are listed. `budget` is shared by all values of one document.
    """
    compiler = _Compiler(budget or CelBudget())
    node = compiler.compile(value, base)
    references = tuple(dict.fromkeys(reference for reference, _ in compiler.places))
    return Compiled(Template(value, references, node), compiler.places, compiler.problems)


def is_one_expression(text: str) -> bool:
    """Say whether a text is one expression and nothing else; also when a mistake in it is reported elsewhere."""
    try:
        pieces = split(text)
    except ScanError:
        return True
    return len(pieces) == 1 and isinstance(pieces[0], Source)


class _Compiler:
    def __init__(self, budget: CelBudget) -> None:
        self.budget = budget
        self.places: list[tuple[Reference, str]] = []
        self.problems: list[Problem] = []

    def compile(self, value: Any, at: str) -> _Node | None:
        """Return the node of a value, or None if nothing in it changes."""
        if isinstance(value, str):
            is_template = OPENING in value and len(self.problems) < PROBLEMS_MAX
            return self.compile_text(value, at) if is_template else None
        if isinstance(value, dict):
            for key in value:
                if OPENING in key:
                    detail = "Expressions are not evaluated in keys; put the expression into the value."
                    self.problems.append(Problem(detail, pointer(at, key)))
            return self.compile_object(value, at)
        if isinstance(value, list):
            entries = ((number, self.compile(item, f"{at}/{number}")) for number, item in enumerate(value))
            items = tuple((number, node) for number, node in entries if node is not None)
            return _List(value, items) if items else None
        return None

    def compile_object(self, value: dict[str, Any], at: str) -> _Object | None:
        members = ((key, self.compile(item, pointer(at, key))) for key, item in value.items())
        fields = {key: node for key, node in members if node is not None}
        if not fields:
            return None
        spread = fields.get(SPREAD)
        if not isinstance(spread, _Whole):
            return _Object(value, tuple(fields.items()), None)
        del fields[SPREAD]
        own = {key: item for key, item in value.items() if key != SPREAD}
        return _Object(own, tuple(fields.items()), spread)

    def compile_text(self, text: str, at: str) -> _Node | None:
        try:
            pieces = split(text)
            parts = tuple(self.expression(p.text) if isinstance(p, Source) else p for p in pieces)
        except ScanError as error:
            self.problems.append(Problem(str(error), at))
            return None
        first = parts[0]
        if len(parts) == 1 and isinstance(first, Expression):
            is_path = first.is_path
            self.places += [(replace(ref, is_whole=True) if is_path else ref, at) for ref in first.references]
            return _Whole(first, at)
        self.places += [(ref, at) for part in parts if isinstance(part, Expression) for ref in part.references]
        return _Mixed(parts, at)

    def expression(self, source: str) -> Expression:
        expression = find_references(source)
        if not expression.is_path:
            self.budget.take(source)
            program(source)  # so that a mistake of syntax is found at load
        return expression


def _render(node: _Node, scope: Mapping[str, Any], needed: list[DataRef]) -> Any:
    if isinstance(node, _Object):
        rendered = {} if node.spread is None else _spread(node.spread, scope, needed)
        rendered.update(node.constant)
        for key, child in node.changing:
            rendered[key] = _render(child, scope, needed)
        return rendered
    if isinstance(node, _List):
        items = list(node.constant)
        for number, child in node.changing:
            items[number] = _render(child, scope, needed)
        return items
    if isinstance(node, _Whole):
        return _value(node.expression, node.pointer, scope, needed, is_whole=True)
    texts = (
        piece if isinstance(piece, str) else _text(_value(piece, node.pointer, scope, needed, is_whole=False))
        for piece in node.pieces
    )
    return "".join(texts)


def _spread(node: _Whole, scope: Mapping[str, Any], needed: list[DataRef]) -> dict[str, Any]:
    value = _value(node.expression, node.pointer, scope, needed, is_whole=False)
    if isinstance(value, Mapping):
        return dict(value)
    if needed:
        return {}  # it is not loaded yet; all is rendered again when it is
    detail = f"Expected an object to take in with {SPREAD}, found {type_of(value)}: {shown(value)}"
    raise ExpressionError(Problem(detail, node.pointer))


def _value(expression: Expression, at: str, scope: Mapping[str, Any], needed: list[DataRef], *, is_whole: bool) -> Any:
    try:
        return evaluate(expression, scope, is_whole=is_whole)
    except NeedsData as needs:
        needed.extend(needs.references)
        return None
    except Unresolved as unresolved:
        detail = f"${{{{ {expression.source} }}}} cannot be evaluated: {unresolved}"
        raise ExpressionError(Problem(detail, at)) from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
