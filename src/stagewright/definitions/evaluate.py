"""Evaluating one expression: plain paths by our own walk, anything else by CEL (github.com/google/cel-spec).

CEL converts its whole context on every call, so it is given only the paths that the expression names. The CEL
library takes 0.2 s to import and is imported at the first expression that needs it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stagewright.definitions.references import Expression, Reference
from stagewright.definitions.scan import ScanError
from stagewright.definitions.words import Key, did_you_mean, listed, shown, type_of
from stagewright.model.data import DataRef
from stagewright.model.errors import Invalid, Problem

if TYPE_CHECKING:
    import cel

PROGRAMS_CACHED_MAX = 4_096


class ExpressionError(Invalid):
    """An expression cannot be evaluated with the values that there are; `problem` names it and the mend."""

    code, title = "expression_error", "An expression cannot be evaluated"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, (problem,))
        self.problem = problem


class NeedsData(Exception):
    """The values behind `references` must be loaded and put into the scope in their place; then render again."""

    def __init__(self, references: tuple[DataRef, ...]) -> None:
        super().__init__(f"{len(references)} values must be loaded")
        self.references = references


class Unresolved(Exception):
    """Why a value cannot be had, in words; becomes an `ExpressionError` where the place is known."""


@lru_cache(maxsize=PROGRAMS_CACHED_MAX)
def program(source: str) -> cel.Program:
    """Compile CEL, once for each text. ScanError when it is no CEL."""
    import cel

    try:
        return cel.compile(source)
    except ValueError as error:
        raise ScanError(f"This is no CEL expression: {source[:80]} ({_syntax(str(error))})") from None


def evaluate(expression: Expression, scope: Mapping[str, Any], *, is_whole: bool) -> Any:
    """Return the value of an expression; a DataRef only if `is_whole` and it is a path to exactly that.

    NeedsData when a value lies elsewhere; Unresolved when there is none.
    """
    if expression.is_path:
        value = walk(scope, expression.references[0])
        if isinstance(value, DataRef) and not is_whole:
            raise NeedsData((value,))
        return value
    context = _context(expression.references, scope)
    return _plain(_execute(expression.source, context, expression.references, scope))


def walk(scope: Mapping[str, Any], reference: Reference) -> Any:
    """Follow a path through a scope. NeedsData where it goes through a DataRef, Unresolved where it ends early."""
    keys = reference.keys
    value: Any = scope
    for at, key in enumerate(keys):
        if isinstance(value, DataRef):
            raise NeedsData((value,))
        if not _has(value, key):
            raise Unresolved(_not_done(scope, keys[:at], value) or _missing(value, keys[:at], key))
        value = value[key]
    return value


def _has(value: Any, key: Key) -> bool:
    if isinstance(key, str):
        return isinstance(value, Mapping) and key in value
    return isinstance(value, list | tuple) and key < len(value)


def path_text(keys: Sequence[Key]) -> str:
    """Write keys as a person would: `stages['scan-node'].output.items[0]`."""
    text = str(keys[0]) if keys else ""
    for key in keys[1:]:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if key.isidentifier() else f"['{key}']"
    return text


def _not_done(scope: Mapping[str, Any], before: tuple[Key, ...], value: Any) -> str | None:
    """Say why an output is null where its stage did not complete."""
    if value is not None or len(before) != 3 or before[0] != "stages":
        return None
    status = scope["stages"][before[1]].get("status")
    if status == "completed":
        return None
    path = path_text(before)
    return f"{path} is null because it is {status}; test {path_text(before[:2])}.status == 'completed' first."


def _missing(value: Any, before: tuple[Key, ...], key: Key) -> str:
    where = path_text(before)
    if not before:
        return f"{key} has no value here; it is known only where the documentation says so."
    if isinstance(value, Mapping) and isinstance(key, str):
        if before[0] == "stages" and key == "output":
            status = value.get("status")
            return f"{where} has no output" + (f" because it is {status}." if status else ".")
        names = [str(name) for name in value]
        there = f"it has {listed(names)}" if names else "it is empty"
        return f"{where} has no {key}{did_you_mean(key, names)}; {there}. Test with has() if it may be absent."
    if isinstance(value, list | tuple):
        if isinstance(key, int):
            return f"{where} has {len(value)} items, so there is no [{key}]; test size({where}) first."
        return f"{where} is a list and has no {key}; write {where}[0].{key} or use map()."
    return f"{where} is {type_of(value)} and has no {key}; found {shown(value)}."


def _context(references: tuple[Reference, ...], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Build the smallest scope in which the references resolve; where one ends early its holder stays visible."""
    context: dict[str, Any] = {}
    needed: list[DataRef] = []
    # Shorter paths first: a longer one that begins alike is then already there with the whole of the shorter.
    for reference in sorted(references, key=lambda each: len(each.path)):
        _graft(context, scope, reference.keys, needed)
    if needed:
        raise NeedsData(tuple(dict.fromkeys(needed)))
    return context


def _graft(context: dict[str, Any], scope: Mapping[str, Any], keys: tuple[Key, ...], needed: list[DataRef]) -> None:
    source: Any = scope
    target: Any = context
    for at, key in enumerate(keys):
        if not isinstance(source, Mapping) or not isinstance(key, str) or key not in source:
            return
        source = source[key]
        if isinstance(source, DataRef):
            needed.append(source)
            return
        is_last = at == len(keys) - 1
        if key in target:
            if target[key] is source:
                return
        elif is_last or not isinstance(source, Mapping) or isinstance(keys[at + 1], int):
            _check_loaded(source, needed)
            target[key] = source
            return
        else:
            target[key] = {}
        target = target[key]


def _check_loaded(value: Any, needed: list[DataRef]) -> None:
    """Note the DataRefs in the first two levels of a value, where the engine may put them (`parameters`, `item`)."""
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    needed.extend(child for child in children if isinstance(child, DataRef))


def _execute(source: str, context: dict[str, Any], references: tuple[Reference, ...], scope: Mapping[str, Any]) -> Any:
    compiled = program(source)
    try:
        return compiled.execute(context)
    except KeyError as error:
        raise Unresolved(_missing_key(error, references, scope)) from None
    except IndexError as error:
        raise Unresolved(f"{error}; test the size first.") from None
    except ZeroDivisionError:
        raise Unresolved("It divides by zero; test the divisor first, as in b == 0 ? 0 : a / b.") from None
    except OverflowError:
        raise Unresolved("A number grew beyond 64 bits; use double() for large numbers.") from None
    except RuntimeError:
        raise Unresolved(
            _first_missing(references, scope) or "A function got a value of a type that it does not take."
        ) from None
    except (TypeError, ValueError) as error:
        raise Unresolved(_first_missing(references, scope) or _mismatch(str(error))) from None


def _mismatch(message: str) -> str:
    found = message.removeprefix("Unsupported operation: ").split(". ")[0].split("\n")[0][:120]
    return f"The types do not go together: {found}. Convert with int(), double() or string()."


def _missing_key(error: KeyError, references: tuple[Reference, ...], scope: Mapping[str, Any]) -> str:
    key = str(error.args[0]) if error.args else ""
    return _first_missing(references, scope) or f"There is no {key}. Test with has() if it may be absent."


def _first_missing(references: tuple[Reference, ...], scope: Mapping[str, Any]) -> str | None:
    for reference in references:
        try:
            walk(scope, reference)
        except Unresolved as unresolved:
            return str(unresolved)
    return None


def _syntax(message: str) -> str:
    """Keep what the CEL parser says about the first mistake: column and reason."""
    _, _, rest = message.partition("ERROR: <input>:1:")
    first = rest.split("\n")[0]
    column, _, reason = first.partition(": ")
    if not column.isdigit():
        return "its brackets, quotes or operators do not match"
    reason = reason.removeprefix("Syntax error: ").split(" expecting ")[0]
    return f"at character {column}: {reason}"


def _plain(value: Any) -> Any:
    """Turn what CEL answers into JSON: times as RFC 3339 text, durations as seconds. Unresolved for the rest."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise Unresolved("The result is infinite or no number, which JSON lacks; test the divisor first.")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise Unresolved("The keys of the resulting object are not text; use string().")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise Unresolved(f"The result is no JSON value but {type(value).__name__}; convert it with string().")
