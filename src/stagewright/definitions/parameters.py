"""Parameters of an execution: defaults of the pipeline's schema filled in, then checked against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs

from stagewright.definitions.explain import explain
from stagewright.definitions.values import check_value, copy_value
from stagewright.definitions.words import Key, did_you_mean, listed, pointer, shown, type_of
from stagewright.model.errors import Invalid, Problem
from stagewright.model.pipeline import Pipeline

PROBLEMS_MAX = 200
CHECKS_CACHED_MAX = 1_024
PATTERN_BACKTRACKS_MAX = 100_000  # steps of a `pattern` that goes back and forth; beyond it the value is refused
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLAIN: tuple[Mapping[str, Any], ...] = ({}, {"type": "object"})
_OPEN_KEYWORDS = ("patternProperties", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas")


@dataclass(frozen=True, slots=True)
class _Check:
    validator: jsonschema_rs.Draft202012Validator | None  # None: every object fits
    has_defaults: bool


_checks: dict[str, _Check] = {}  # by digest of the pipeline; oldest first


def check_parameters(pipeline: Pipeline, parameters: object) -> dict[str, Any]:
    """Return the parameters with defaults filled in, also inside nested objects that were given.

    The argument is not changed. Invalid lists every problem, with pointers such as `#/parameters/topic`.
    """
    if not isinstance(parameters, Mapping):
        detail = f"Expected an object of parameters, found {type_of(parameters)}: {shown(parameters)}"
        raise Invalid(detail, (Problem(detail, "#/parameters"),))
    plain: dict[str, Any] = parameters if type(parameters) is dict else dict(parameters)
    problems = check_value(plain, "#/parameters")
    if problems:
        raise _invalid(pipeline, problems)
    check = _checks.get(pipeline.digest) or _remember(pipeline)
    filled = _filled(plain, pipeline.parameters) if check.has_defaults else dict(plain)
    if check.validator is None or check.validator.is_valid(filled):
        return filled
    errors = islice(check.validator.iter_errors(filled), PROBLEMS_MAX)
    found: list[Problem] = []
    for error in errors:
        schema = _part(pipeline.parameters, error.instance_path)
        found.extend(explain(error, schema, "#/parameters"))
    raise _invalid(pipeline, sorted(found, key=lambda each: each.pointer)[:PROBLEMS_MAX])


def _invalid(pipeline: Pipeline, problems: Sequence[Problem]) -> Invalid:
    return Invalid(f"The parameters do not fit the pipeline {pipeline.name}: {problems[0].detail}", problems)


def _remember(pipeline: Pipeline) -> _Check:
    schema = pipeline.parameters
    validator = None if schema in _PLAIN else validator_of(schema)
    check = _Check(validator, _has_defaults(schema))
    if pipeline.digest:
        while len(_checks) >= CHECKS_CACHED_MAX:
            _checks.pop(next(iter(_checks)), None)
        _checks[pipeline.digest] = check
    return check


def validator_of(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Compile a JSON Schema; nothing is fetched from anywhere. ValueError when it is none."""
    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        offline=True,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_BACKTRACKS_MAX),
    )


def check_parameters_schema(schema: Mapping[str, Any], base: str) -> list[Problem]:
    """List what is wrong with a parameters schema, by the metaschema of JSON Schema 2020-12."""
    problems: list[Problem] = []
    dialect = schema.get("$schema", DIALECT)
    if dialect != DIALECT:
        detail = f"Expected JSON Schema 2020-12 ({DIALECT}), found: {shown(dialect)}. Remove $schema or adapt it."
        return [Problem(detail, pointer(base, "$schema"))]
    if schema.get("type", "object") != "object":
        detail = f"Parameters are named values, so the type is object, found: {shown(schema['type'])}."
        problems.append(Problem(detail, pointer(base, "type")))
    for error in islice(_metaschema().iter_errors(schema), PROBLEMS_MAX):
        problems.extend(explain(error, {}, base))
    if not problems:
        try:
            validator_of(schema)
            problems += _unfit_defaults(schema, base)
        except ValueError as error:
            detail = getattr(error, "message", str(error)).split("\n")[0]
            path = getattr(error, "instance_path", [])
            problems.append(Problem(f"The schema cannot be used: {detail}", pointer(base, *path)))
    return problems


def _unfit_defaults(schema: Mapping[str, Any], base: str) -> list[Problem]:
    """List defaults that their own schema refuses, which else only the first execution would tell."""
    problems: list[Problem] = []
    for name, inner in schema.get("properties", {}).items():
        if not isinstance(inner, Mapping) or "default" not in inner:
            continue
        validator = validator_of({"$defs": schema.get("$defs", {}), **inner})
        place = pointer(base, "properties", name, "default")
        for error in islice(validator.iter_errors(inner["default"]), PROBLEMS_MAX):
            problems += [
                Problem(f"The default does not fit: {each.detail}", place) for each in explain(error, {}, place)
            ]
    return problems


@cache
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, offline=True, validate_formats=True)


def unknown_parameter(schema: Mapping[str, Any], path: Sequence[Key]) -> str | None:
    """Say why a path cannot be a parameter by this schema, or None if it can.

    Where a schema names `properties` only these may be referred to, unless it says itself that there may be others
    (`additionalProperties`, `patternProperties`, or composition with other schemas).
    """
    where = "parameters"
    for key in path:
        known = schema.get("properties") if isinstance(schema, Mapping) else None
        is_open = not isinstance(known, Mapping) or any(word in schema for word in _OPEN_KEYWORDS)
        if is_open or not isinstance(key, str):
            return None
        assert isinstance(known, Mapping)
        if key not in known:
            if schema.get("additionalProperties") not in (None, False):
                return None
            names = [str(name) for name in known]
            return f"There is no {key} in {where}{did_you_mean(key, names)}; known: {listed(names)}."
        where, schema = f"{where}.{key}", known[key]
    return None


def _has_defaults(schema: Any) -> bool:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return False
    return any(
        isinstance(inner, Mapping) and ("default" in inner or _has_defaults(inner)) for inner in properties.values()
    )


def _filled(value: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(value)
    for name, inner in schema["properties"].items():
        if not isinstance(inner, Mapping):
            continue
        if name not in filled:
            if "default" not in inner:
                continue
            filled[name] = copy_value(inner["default"])[0]
        if isinstance(filled[name], Mapping) and _has_defaults(inner):
            filled[name] = _filled(filled[name], inner)
    return filled


def _part(schema: Any, path: Sequence[Key]) -> Mapping[str, Any]:
    """Find the part of a schema that describes the value at a path, as far as plain keywords lead."""
    for key in path:
        if not isinstance(schema, Mapping):
            return {}
        properties = schema.get("properties")
        if isinstance(key, int):
            schema = schema.get("items")
        else:
            schema = properties.get(key) if isinstance(properties, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}
