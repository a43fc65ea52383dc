"""Templates: JSON values of a document in which texts may hold `${{ expressions }}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from stagewright.definitions.evaluate import (
    ExpressionError,
    NeedsData,
    Unresolved,
    context_of,
    evaluate,
    explained,
    program,
)
from stagewright.definitions.references import Expression, Reference, find_references
from stagewright.definitions.scan import OPENING, ScanError, Source, split
from stagewright.definitions.words import pointer, shown, type_of
from stagewright.definitions.work import Heavy, Reckoner
from stagewright.model.data import DataRef
from stagewright.model.errors import Invalid, Problem
from stagewright.ports.evaluator import Answer, Question

__all__ = ["Compiled", "ExpressionError", "NeedsData", "Reference", "Template", "compile_all"]

CEL_CHARACTERS_MAX = 250_000  # in one document
PROBLEMS_MAX = 1_001  # in one value
TEXT_BYTES_MAX = 1024 * 1024  # that expressions may put into texts, and `<<` may take in, in one value
SHOWN_CHARACTERS = 200  # of an expression in a message
MEMBER_BYTES = 16  # as which a member that is taken in counts
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
    _computed: tuple[Expression, ...] = ()  # those that are no plain paths, no repeats

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

    def ask(self, scope: Mapping[str, Any], *, work_max: int) -> Question | None:
        """Return what must be evaluated elsewhere because it may be more work than `work_max` units; None if nothing.

        NeedsData as in `render`. The unit is told in `definitions.work`; plain paths cost nothing.
        """
        if not self._computed:
            return None
        needed: list[DataRef] = []
        reckoner, is_heavy = Reckoner(scope, work_max), False
        for expression in self._computed:
            try:
                if is_heavy:
                    context_of(expression.references, scope)
                else:
                    reckoner.add(expression)
            except NeedsData as needs:
                needed.extend(needs.references)
            except Heavy:
                is_heavy = True
        if needed:
            raise NeedsData(tuple(dict.fromkeys(needed)))
        if not is_heavy:
            return None
        references = dict.fromkeys(reference for each in self._computed for reference in each.references)
        return Question(tuple(each.source for each in self._computed), context_of(tuple(references), scope))

    def render(
        self,
        scope: Mapping[str, Any],
        *,
        answers: Mapping[str, Answer] | None = None,
        text_bytes_max: int = TEXT_BYTES_MAX,
    ) -> Any:
        """Return the value with its expressions replaced; shares its constant parts with the template.

        `scope` maps roots to values, stages as `{"stages": {id: {"output": …, "status": …, "summary": …}}}`. A
        DataRef stays in the result where a whole-value path leads to exactly it. `answers` has what was evaluated
        elsewhere, by source. NeedsData names all DataRefs that must be loaded first; ExpressionError says which
        expression has no value and why.
        """
        if self._node is None:
            return self.value
        rendering = _Rendering(scope, answers or {}, text_bytes_max)
        rendered = rendering.node(self._node)
        if rendering.needed:
            raise NeedsData(tuple(dict.fromkeys(rendering.needed)))
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
    template = Template(value, references, node, tuple(compiler.computed))
    return Compiled(template, compiler.places, compiler.problems)


class _Compiler:
    def __init__(self, budget: CelBudget) -> None:
        self.budget = budget
        self.places: list[tuple[Reference, str]] = []
        self.problems: list[Problem] = []
        self.computed: dict[Expression, None] = {}

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
            self.computed[expression] = None
        return expression


@dataclass(slots=True)
class _Rendering:
    """One rendering of a template; collects the DataRefs that must be loaded first."""

    scope: Mapping[str, Any]
    answers: Mapping[str, Answer]
    bytes_left: int
    needed: list[DataRef] = field(default_factory=list)

    def node(self, node: _Node) -> Any:
        if isinstance(node, _Object):
            rendered = {} if node.spread is None else self._spread(node.spread)
            rendered.update(node.constant)
            for key, child in node.changing:
                rendered[key] = self.node(child)
            return rendered
        if isinstance(node, _List):
            items = list(node.constant)
            for number, child in node.changing:
                items[number] = self.node(child)
            return items
        if isinstance(node, _Whole):
            return self._value(node.expression, node.pointer, is_whole=True)
        return "".join(piece if isinstance(piece, str) else self._text(piece, node.pointer) for piece in node.pieces)

    def _spread(self, node: _Whole) -> dict[str, Any]:
        value = self._value(node.expression, node.pointer, is_whole=False)
        if isinstance(value, Mapping):
            self._count(MEMBER_BYTES * len(value), node.pointer)
            return dict(value)
        if self.needed:
            return {}  # it is not loaded yet; all is rendered again when it is
        detail = f"Expected an object to take in with {SPREAD}, found {type_of(value)}: {shown(value)}"
        raise ExpressionError(Problem(detail, node.pointer))

    def _text(self, expression: Expression, at: str) -> str:
        value = self._value(expression, at, is_whole=False)
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        self._count(len(text), at)
        return text

    def _count(self, size_bytes: int, at: str) -> None:
        """Keep small documents from making large inputs on the engine's loop."""
        self.bytes_left -= size_bytes
        if self.bytes_left < 0:
            detail = (
                "The texts that expressions make are too large in all; hand large values on whole, or in an artifact."
            )
            raise ExpressionError(Problem(detail, at))

    def _value(self, expression: Expression, at: str, *, is_whole: bool) -> Any:
        try:
            answer = self.answers.get(expression.source)
            if answer is None:
                return evaluate(expression, self.scope, is_whole=is_whole)
            if answer.refusal is None:
                return answer.value
            refused = Unresolved(answer.refusal, is_vague=answer.is_vague)
            raise explained(refused, expression.references, self.scope)
        except NeedsData as needs:
            self.needed.extend(needs.references)
            return None
        except Unresolved as unresolved:
            detail = f"${{{{ {_shortened(expression.source)} }}}} cannot be evaluated: {unresolved}"
            raise ExpressionError(Problem(detail, at)) from None


def _shortened(source: str) -> str:
    return source if len(source) <= SHOWN_CHARACTERS else source[:SHOWN_CHARACTERS] + "…"
