"""Errors of a JSON Schema validator in plain words: what was expected, what was found, how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from stagewright.definitions.words import did_you_mean, listed, pointer, shown, type_of
from stagewright.model.errors import Problem

NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_BOUNDS = {
    "minimum": "a number of at least {}",
    "maximum": "a number of at most {}",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} fields",
    "maxProperties": "at most {} fields",
    "pattern": "text of the form {}",
    "format": "text of the format {}",
    "const": "{}",
    "contentEncoding": "text encoded as {}",
    "contentMediaType": "text of media type {}",
}


def explain(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any], base: str) -> Iterator[Problem]:
    """Yield the problems of one validation error; `schema` is what describes the value, empty if not known.

    A missing and an unknown field each get their own problem, whose pointer names that field.
    """
    here = pointer(base, *error.instance_path)
    kind = error.kind.name
    if kind == "required":
        name = str(error.kind.value)
        yield Problem(f"The field {name} is missing; add it{_described(schema, name)}.", pointer(here, name))
    elif kind in ("additionalProperties", "unevaluatedProperties"):
        known = list(schema.get("properties", {}))
        for name in error.kind.value:
            yield Problem(_unknown_field(name, known), pointer(here, name))
    elif kind == "propertyNames":
        yield Problem(f"The name of a field does not fit: {error.kind.value.message}; rename it.", here)
    else:
        yield Problem(_mismatch(error, kind) + _example(schema), here)


def _unknown_field(name: str, known: list[str]) -> str:
    if not known:
        return f"There is no field {name} here; remove it."
    return f"There is no field {name} here{did_you_mean(name, known)}; known: {listed(known, 40)}."


def _mismatch(error: jsonschema_rs.ValidationError, kind: str) -> str:
    value = error.kind.value
    found = shown(error.instance)
    if kind == "type":
        expected = " or ".join(_TYPES.get(name, name) for name in value)
        return f"Expected {expected}, found {type_of(error.instance)}: {found}"
    if kind == "enum":
        options = [str(option) for option in value]
        hint = did_you_mean(error.instance, options) if isinstance(error.instance, str) else ""
        return f"Expected one of {listed(options, 40)}{hint}, found: {found}"
    if kind == "uniqueItems":
        return f"Expected items that differ, found one twice: {found}"
    if kind == "falseSchema":
        return f"Nothing is allowed here, found: {found}"
    if kind == "pattern" and value == NAME_PATTERN:
        return f"Expected a name of letters, digits, _, . and - that begins with none of the latter two, found: {found}"
    if kind in _BOUNDS:
        return f"Expected {_BOUNDS[kind].format(value)}, found: {found}"
    if kind in ("anyOf", "oneOf") and any(value):
        ways = dict.fromkeys(_mismatch(branch[0], branch[0].kind.name) for branch in value if branch)
        return "None of the allowed forms fits: " + "; or ".join(list(ways)[:4])
    return f"The value does not fit ({kind}): {_first_sentence(error.message)}"


def _first_sentence(message: str) -> str:
    return message.split("\n")[0][:200]


def _described(schema: Mapping[str, Any], name: str) -> str:
    description = schema.get("properties", {}).get(name, {}).get("description")
    return f" ({description})" if isinstance(description, str) and len(description) <= 200 else ""


def _example(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return f". Write for example {shown(examples[0])}."
    return "."
