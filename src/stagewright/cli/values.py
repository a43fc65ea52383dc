"""Parameters from the command line: `k=v` read as the pipeline's schema wants it, `@file.json` for whole objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from stagewright.model.errors import Malformed, Problem

FILE_BYTES_MAX = 10 * 1024 * 1024
PATH_FORMAT = "path-or-url"
DEPTH_MAX = 20

Schema = Mapping[str, Any]


def parse_parameters(texts: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Return the parameters that were written as `k=v` or `@file.json`, later ones over earlier ones.

    A key that is written several times makes a list where the schema allows one. Paths that exist are made absolute
    where the schema says `format: path-or-url`, as whoever reads them may stand in another folder.
    """
    parameters: dict[str, Any] = {}
    written: dict[str, list[str]] = {}
    for text in texts:
        if text.startswith("@"):
            parameters |= read_object(text[1:])
            continue
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"expected NAME=VALUE or @FILE.json, found: {text}", param_hint="-p")
        written.setdefault(name, []).append(value)
    for name, values in written.items():
        parameters[name] = _parse_values(name, values, _property(schema, name))
    return {name: absolute(value, _property(schema, name), schema) for name, value in parameters.items()}


def read_object(name: str) -> dict[str, Any]:
    """Read a JSON object from a file, `-` for stdin."""
    text = read_text(name)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(f"{name} is no JSON: {error}", [Problem(str(error), name)]) from None
    if not isinstance(value, dict):
        raise Malformed(f"Expected a JSON object of parameters in {name}, found {type(value).__name__}")
    return value


def read_text(name: str) -> bytes:
    """Read a file within bounds, `-` for stdin."""
    if name == "-":
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    try:
        with Path(name).expanduser().open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Malformed(f"{name} cannot be read: {error.strerror or error}") from None


def _parse_values(name: str, values: Sequence[str], schema: Schema) -> Any:
    if len(values) == 1:
        return parse_value(values[0], schema)
    if "array" not in types_of(schema):
        detail = f"'{name}' is given {len(values)} times, but the pipeline takes one value of it"
        raise typer.BadParameter(detail, param_hint="-p")
    items: Schema = next((each["items"] for each in branches(schema) if isinstance(each.get("items"), Mapping)), {})
    return [parse_value(value, items) for value in values]


def parse_value(text: str, schema: Schema) -> Any:
    """Read a text as the schema wants it: text stays text where text is allowed, else it is read as JSON.

    What is no JSON stays text, so that the check of the parameters can say what was expected.
    """
    if text in [each for branch in branches(schema) for each in branch.get("enum", ())]:
        return text
    kinds = types_of(schema)
    if "string" in kinds and not (text[:1] in ("[", "{") and kinds & {"array", "object"}):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def types_of(schema: Schema) -> set[str]:
    """Return the JSON types that a schema names, in any of its branches."""
    kinds: set[str] = set()
    for branch in branches(schema):
        kind = branch.get("type", ())
        kinds |= {kind} if isinstance(kind, str) else set(kind)
    return kinds


def branches(schema: Any, depth: int = DEPTH_MAX) -> Iterator[Schema]:
    """Yield a schema and what it combines."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    yield schema
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word, ()):
            yield from branches(branch, depth - 1)


def absolute(value: Any, schema: Schema, root: Schema) -> Any:
    """Make paths that exist here absolute, wherever the schema says that a text may be a path."""
    places = [_followed(branch, root) for branch in branches(_followed(schema, root))]
    if isinstance(value, str):
        return _absolute_path(value) if any(place.get("format") == PATH_FORMAT for place in places) else value
    if isinstance(value, list):
        inner: Schema = next((place["items"] for place in places if isinstance(place.get("items"), Mapping)), {})
        return [absolute(item, inner, root) for item in value]
    if isinstance(value, dict):
        properties = [place["properties"] for place in places if isinstance(place.get("properties"), Mapping)]
        known = {name: inner for each in properties for name, inner in each.items()}
        return {name: absolute(item, known.get(name, {}), root) for name, item in value.items()}
    return value


def _absolute_path(text: str) -> str:
    try:
        path = Path(text).expanduser()
        return str(path.resolve()) if text and path.exists() else text
    except (OSError, ValueError, RuntimeError):
        return text


def _followed(schema: Any, root: Schema) -> Schema:
    """Return what a `$ref` within the same schema points to, else the schema itself."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema if isinstance(schema, Mapping) else {}
    found: Any = root
    for key in reference[2:].split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _property(schema: Schema, name: str) -> Schema:
    found = (schema.get("properties") or {}).get(name, {})
    return _followed(found, schema)
