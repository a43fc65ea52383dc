"""The JSON Schema of pipeline documents, for editors and for the first check; its errors in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from stagewright.definitions.explain import explain
from stagewright.definitions.words import Key, listed, pointer
from stagewright.model.errors import Problem

SHAPE_PROBLEMS_MAX = 1_001  # one more than `build` tells of, so that it sees that there are more
KINDS = ("worker", "sleep", "pipeline", "wait_for")  # what a stage does: exactly one of these

# `durations` says these better, and with bounds that a schema cannot express.
_SAID_BY_DURATIONS = ("pattern", "minimum", "minLength", "maxLength")
_FILE = "pipeline.v1.schema.json"


@cache
def _schema_bytes() -> bytes:
    return files(__package__).joinpath(_FILE).read_bytes()


def pipeline_schema() -> dict[str, Any]:
    """Return the JSON Schema 2020-12 of canonical pipeline documents; a fresh copy each time."""
    schema: dict[str, Any] = orjson.loads(_schema_bytes())
    return schema


@cache
def _schema() -> dict[str, Any]:
    return pipeline_schema()


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(), offline=True)


def known_fields(*path: Key) -> list[str]:
    """List the fields that an object of a document may have, in the order in which they are documented."""
    return list(_schema_at(_schema(), path).get("properties", {}))


def check_shape(document: Mapping[str, Any]) -> list[Problem]:
    """List where a document has not the shape of the schema; in no particular order, at most `SHAPE_PROBLEMS_MAX`."""
    errors = _validator().iter_errors(document)
    return list(islice(_problems(document, errors), SHAPE_PROBLEMS_MAX))


def _problems(document: Mapping[str, Any], errors: Iterator[jsonschema_rs.ValidationError]) -> Iterator[Problem]:
    for error in errors:
        if error.kind.name == "oneOf":
            yield from _kind_problem(document, error.instance_path)
        else:
            schema = _schema_at(_schema(), error.instance_path)
            if not (schema.get("$ref") == "#/$defs/duration" and error.kind.name in _SAID_BY_DURATIONS):
                yield from explain(error, schema, "#")


def _kind_problem(document: Mapping[str, Any], path: Sequence[Key]) -> Iterator[Problem]:
    stage: Any = document
    for key in path:
        stage = stage[key]
    if not isinstance(stage, Mapping):
        return  # its type is wrong, which is reported by itself
    present = [kind for kind in KINDS if kind in stage]
    if present:
        detail = f"A stage does exactly one thing, found {listed(present)}; keep one and make a stage of the other."
    else:
        detail = "A stage needs a worker (or sleep); add worker: NAME."
    yield Problem(detail, pointer("#", *path))


def _schema_at(schema: Mapping[str, Any], path: Sequence[Key]) -> Mapping[str, Any]:
    """Find the part of the pipeline schema that describes the value at a path; empty where there is none."""
    here = _resolved(schema, schema)
    for key in path:
        inner = here.get("items") if isinstance(key, int) else here.get("properties", {}).get(key)
        if inner is None:
            return {}
        here = _resolved(schema, inner)
    return here


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    target = schema["$defs"][reference.removeprefix("#/$defs/")]
    return {**target, **part}
