"""How much work an expression is at most, told before it is evaluated, from its macros and the sizes of what it names.

The unit is about what copying one list item takes: 20 to 50 ns. The bound follows the way the CEL library works: every
name copies its value, every operator may copy or compare what stands before it, and a macro that gathers items copies
what it has gathered so far each time, so `map` over n items is n² units. Values are walked only up to the bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stagewright.definitions.evaluate import Unresolved, context_of, walk
from stagewright.definitions.references import MACROS, Expression, Reference, find_places
from stagewright.definitions.scan import Token, tokens

CONVERTED_UNITS = 10  # to walk over one item here and to hand it to CEL, or to take it back
CHARACTERS_PER_UNIT = 128
ITERATION_UNITS = 4
_PLANS_CACHED_MAX = 4_096
_GATHERING = ("map", "filter")


class Heavy(Exception):
    """It may be more work than the bound."""


@dataclass(frozen=True, slots=True)
class _Constant:
    units: int


@dataclass(frozen=True, slots=True)
class _Name:
    """A macro variable."""

    name: str


@dataclass(frozen=True, slots=True)
class _Operator:
    """Anything that computes with what stands before it. The cost of a regular expression is not estimated."""

    is_regular: bool = False


@dataclass(frozen=True, slots=True)
class _Macro:
    kind: str
    variable: str
    body: tuple[_Part, ...]


_Part = Reference | _Constant | _Name | _Operator | _Macro


class Reckoner:
    """Adds up the work of the expressions of one template; `Heavy` as soon as it is over the bound."""

    def __init__(self, scope: Mapping[str, Any], units_max: int) -> None:
        self._scope = scope
        self._left = self._units_max = units_max
        self._items_max = units_max // CONVERTED_UNITS  # that one value may have
        self._weights: dict[int, int] = {}  # by id: scope and contexts keep the values alive
        self._contexts: list[dict[str, Any]] = []

    def add(self, expression: Expression) -> None:
        """Count an expression. NeedsData when a value that it names must be loaded first."""
        context = context_of(expression.references, self._scope)
        self._contexts.append(context)
        self._take(CONVERTED_UNITS * sum(map(self._weight, context.values())))
        size, cost = self._region(_plan(expression.source), {})
        self._take(cost + CONVERTED_UNITS * size)

    def _take(self, units: int) -> None:
        self._left -= units
        if self._left < 0:
            raise Heavy

    def _weight(self, value: Any) -> int:
        """Return the units of a value; walked at most up to the bound, and once."""
        if not isinstance(value, Mapping | list | tuple):
            return 1 + len(value) // CHARACTERS_PER_UNIT if isinstance(value, str) else 1
        known = self._weights.get(id(value))
        if known is not None:
            return known
        units, pending = 0, [value]
        while pending:
            each = pending.pop()
            units += 1
            if isinstance(each, str):
                units += len(each) // CHARACTERS_PER_UNIT
            elif isinstance(each, Mapping):
                units += 2 * len(each)
                pending.extend(each.values() if units <= self._items_max else ())
            elif isinstance(each, list | tuple):
                if len(each) > self._items_max:
                    raise Heavy
                pending.extend(each)
            if units > self._items_max:
                raise Heavy
        self._weights[id(value)] = units
        self._take(units)
        return units

    def _reference(self, reference: Reference) -> tuple[Any, int]:
        """Return a value, None if there is none, and the units of what is copied to get at it."""
        keys = reference.keys
        indexed = next((at for at, key in enumerate(keys) if isinstance(key, int)), len(keys))
        value, units = None, 1
        with suppress(Unresolved):
            units = self._weight(walk(self._scope, Reference(reference.root, None, keys[1:indexed])))
            value = walk(self._scope, reference)
        return value, units

    def _region(self, parts: Sequence[_Part], variables: Mapping[str, int]) -> tuple[int, int]:
        """Return the size that no value in a region exceeds, and its cost."""
        size = cost = 1
        before: tuple[int, int] | None = None  # items and the largest, of the value just before
        for part in parts:
            shape, before = before, None
            if isinstance(part, Reference):
                value, units = self._reference(part)
                before = self._shape(value)
                size, cost = size + units, cost + units
            elif isinstance(part, _Constant | _Name):
                units = part.units if isinstance(part, _Constant) else variables.get(part.name, size)
                size, cost = size + units, cost + units
            elif isinstance(part, _Macro):
                made, spent, before = self._macro(part, shape, size, variables)
                size, cost = size + made, cost + spent
            else:
                cost += self._units_max if part.is_regular else size
            if cost >= self._units_max:
                raise Heavy
        return size, cost

    def _macro(
        self, macro: _Macro, shape: tuple[int, int] | None, size: int, variables: Mapping[str, int]
    ) -> tuple[int, int, tuple[int, int] | None]:
        """Return the size of a macro's result, its cost, and the shape of the result where known."""
        if shape is not None:
            items, largest = shape
            made, spent = self._region(macro.body, {**variables, macro.variable: largest}) if items else (0, 0)
            kept = largest if macro.kind == "filter" else made
            cost = items * (spent + ITERATION_UNITS)
            if macro.kind not in _GATHERING:
                return 1, cost, None
            return items * kept + 1, cost + items * items * kept, (items, kept)
        # Only the sum of the items' sizes is known. The work is a polynomial of the largest item, so it is no more
        # than that of as many items as there can be, each small, and that of one item as large as all.
        small, cheap = self._region(macro.body, {**variables, macro.variable: 1})
        made, spent = self._region(macro.body, {**variables, macro.variable: size})
        cost = size * (cheap + ITERATION_UNITS) + spent
        if macro.kind not in _GATHERING:
            return 1, cost, None
        result = 2 * size if macro.kind == "filter" else size * small + made
        return result, cost + size * result, None

    def _shape(self, value: Any) -> tuple[int, int] | None:
        if isinstance(value, Mapping):
            return len(value), max((self._weight(key) for key in value), default=0)
        if isinstance(value, list | tuple):
            return len(value), max((self._weight(each) for each in value), default=0)
        return None


@lru_cache(maxsize=_PLANS_CACHED_MAX)
def _plan(source: str) -> tuple[_Part, ...]:
    return _Planner(source).parts(0, None)


class _Planner:
    """One pass over the tokens of an expression that is known to be CEL."""

    def __init__(self, source: str) -> None:
        self.words: Sequence[Token] = tokens(source)
        places, self.closing = find_places(source)
        self.references = {at: (reference, end) for reference, at, end in places}

    def parts(self, at: int, end: int | None) -> tuple[_Part, ...]:
        found: list[_Part] = []
        last = len(self.words) if end is None else end
        while at < last:
            if at in self.references:
                reference, at = self.references[at]
                found.append(reference)
            elif self._is_macro(at):
                closing = self.closing.get(at + 1, last)
                body = self.parts(at + 4, closing)
                found.append(_Macro(self.words[at].text, self.words[at + 2].text, body))
                at = closing + 1
            else:
                if not (self.words[at].text == "." and self._is_macro(at + 1)):
                    found.append(self._part(at))
                at += 1
        return tuple(found)

    def _is_macro(self, at: int) -> bool:
        """Whether a macro's name stands there: between a dot and a bracket with a variable and a comma."""
        texts = [word.text for word in self.words[max(0, at - 1) : at + 4]]
        return at > 0 and len(texts) == 5 and texts[0] == "." and texts[1] in MACROS and texts[2::2] == ["(", ","]

    def _part(self, at: int) -> _Part:
        word = self.words[at]
        if word.kind == "text":
            return _Constant(1 + len(word.text) // CHARACTERS_PER_UNIT)
        if word.kind == "number" or word.text in ("true", "false", "null"):
            return _Constant(1)
        is_called = at + 1 < len(self.words) and self.words[at + 1].text == "("
        is_member = at > 0 and self.words[at - 1].text == "."
        if word.kind == "name" and word.text != "in" and not is_called and not is_member:
            return _Name(word.text)
        return _Operator(is_called and word.text == "matches")
