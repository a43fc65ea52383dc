"""Inputs of handlers that say what they expect: a dataclass or a Pydantic model as the type of the first argument."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stagewright.sdk.outcome import Terminal

PROBLEMS_MAX = 10
_FOUND_CHARS_MAX = 60
_MAPPINGS = (dict, Mapping)
_ROWS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list, Sequence: list, tuple: tuple, set: set, frozenset: frozenset,
}  # fmt: skip
_WORDS = {str: "a string", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}


def typed_inputs(handler: Callable[..., Any], inputs: Any) -> Any:
    """Return the inputs as the handler's first argument wants them, unchanged if it does not say.

    Raises Terminal `bad_input`, which names every field that does not fit.
    """
    wanted = _wanted(handler)
    if wanted is None:
        return inputs
    problems: list[str] = []
    value = _read(wanted, inputs, "inputs", problems)
    if problems:
        more = f"; and {len(problems) - PROBLEMS_MAX} more" if len(problems) > PROBLEMS_MAX else ""
        raise Terminal("; ".join(problems[:PROBLEMS_MAX]) + more, code="bad_input")
    return value


def is_typed(handler: Callable[..., Any]) -> bool:
    """Say whether `typed_inputs` would change or refuse anything."""
    return _wanted(handler) is not None


@lru_cache(maxsize=1024)
def _wanted(handler: Callable[..., Any]) -> Any:
    """Return the dataclass or model of the first argument, None if it has another type or none."""
    try:
        first = next(iter(inspect.signature(handler).parameters.values()), None)
        hint = None if first is None else _hints(handler).get(first.name)
    except (TypeError, ValueError):
        return None
    if isinstance(hint, type) and (is_dataclass(hint) or _is_model(hint)):
        return hint
    return None


def _hints(owner: Any) -> dict[str, Any]:
    """Return the types of fields or arguments; those that cannot be resolved here are left out as unknown."""
    try:
        return get_type_hints(owner)
    except (NameError, AttributeError, TypeError):
        return {}


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "model_validate") and hasattr(hint, "model_fields")


def _read(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    """Return the value as its type wants it; what does not fit is added to `problems`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, path, problems)
    if origin is Literal:
        return value if value in arguments else _refuse(f"one of {list(arguments)}", value, path, problems)
    if (origin or hint) in _MAPPINGS:
        return _read_mapping(arguments, value, path, problems)
    if (origin or hint) in _ROWS:
        return _read_row(origin or hint, arguments, value, path, problems)
    if _is_model(hint):
        return _read_model(hint, value, path, problems)
    if isinstance(hint, type):
        return _read_class(hint, value, path, problems)
    return value  # type variables and the like promise nothing that could be checked


def _read_class(hint: type, value: Any, path: str, problems: list[str]) -> Any:
    if is_dataclass(hint):
        return _read_dataclass(hint, value, path, problems)
    if issubclass(hint, Enum):
        known = {member.value: member for member in hint}
        return known[value] if _is_among(value, known) else _refuse(f"one of {list(known)}", value, path, problems)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint in _WORDS:
        fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
        return value if fits else _refuse(_WORDS[hint], value, path, problems)
    try:
        fits = isinstance(value, hint)
    except TypeError:  # a TypedDict and some protocols cannot be asked
        return value
    return value if fits else _refuse(f"a {hint.__name__}", value, path, problems)


def _is_among(value: Any, known: Mapping[Any, Any]) -> bool:
    return isinstance(value, str | int | float) and value in known


def _read_dataclass(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        return _refuse("an object", value, path, problems)
    before, hints, read = len(problems), _hints(hint), {}
    names = {field.name for field in fields(hint) if field.init}
    for name in sorted(value.keys() - names):
        known = ", ".join(sorted(names))
        problems.append(f"{path}.{name}: there is no such input; take it out or use one of: {known}")
    for field in fields(hint):
        if not field.init:
            continue
        if field.name in value:
            wanted = hints.get(field.name, Any)
            read[field.name] = _read(wanted, value[field.name], f"{path}.{field.name}", problems)
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.append(f"{path}.{field.name}: is needed and missing; give it among the stage's inputs")
    if len(problems) > before:
        return None
    try:
        return hint(**read)
    except (TypeError, ValueError) as error:  # what the class itself checks when it is made
        problems.append(f"{path}: {error}")
        return None


def _read_model(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    try:
        return hint.model_validate(value)
    except ValueError as error:  # Pydantic's own error is one, and lists where
        errors = getattr(error, "errors", None)
        if errors is None:
            problems.append(f"{path}: {error}")
            return None
        for item in errors(include_url=False):
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
            problems.append(f"{path}{where}: {item['msg']}, found: {repr(item.get('input'))[:_FOUND_CHARS_MAX]}")
        return None


def _read_union(arguments: Sequence[Any], value: Any, path: str, problems: list[str]) -> Any:
    if value is None and type(None) in arguments:
        return None
    choices = [choice for choice in arguments if choice is not type(None)]
    for choice in choices:
        tried: list[str] = []
        read = _read(choice, value, path, tried)
        if not tried:
            return read
    if len(choices) == 1:
        return _read(choices[0], value, path, problems)  # says exactly what is wrong
    words = " or ".join(_WORDS.get(choice, getattr(choice, "__name__", str(choice))) for choice in arguments)
    return _refuse(words, value, path, problems)


def _read_mapping(arguments: Sequence[Any], value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        return _refuse("an object", value, path, problems)
    if len(arguments) != 2:
        return value
    return {key: _read(arguments[1], item, f"{path}.{key}", problems) for key, item in value.items()}


def _read_row(kind: Any, arguments: Sequence[Any], value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, list):
        return _refuse("a list", value, path, problems)
    is_fixed = kind is tuple and bool(arguments) and arguments[-1] is not Ellipsis
    if is_fixed and len(arguments) != len(value):
        return _refuse(f"a list of {len(arguments)} items", value, path, problems)
    each = arguments if is_fixed else [arguments[0] if arguments else Any] * len(value)
    items = [_read(each[place], item, f"{path}[{place}]", problems) for place, item in enumerate(value)]
    return _ROWS[kind](items) if not problems else items


def _refuse(expected: str, value: Any, path: str, problems: list[str]) -> None:
    problems.append(f"{path}: expected {expected}, found: {repr(value)[:_FOUND_CHARS_MAX]}")
