"""Parameters of the command line become what the pipeline's schema wants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from stagewright.cli.values import parse_parameters
from stagewright.model.errors import Malformed

SCHEMA = {
    "properties": {
        "topic": {"type": "string"},
        "many": {"type": "array", "items": {"type": "string"}},
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "depth": {"enum": ["quick", "1"]},
        "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "maybe": {"type": ["integer", "null"]},
    }
}
PATHS = {
    "$defs": {"place": {"type": "string", "format": "path-or-url"}},
    "properties": {
        "one": {"type": "string", "format": "path-or-url"},
        "sources": {"anyOf": [{"$ref": "#/$defs/place"}, {"type": "array", "items": {"$ref": "#/$defs/place"}}]},
        "nested": {"type": "object", "properties": {"file": {"$ref": "#/$defs/place"}}},
        "text": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("topic=2024", "2024"),
        ("topic=true", "true"),
        ("topic=a=b", "a=b"),
        ("topic=", ""),
        ('topic={"a":1}', '{"a":1}'),
        ("count=3", 3),
        ("count=many", "many"),  # the check of the parameters says what was expected
        ("flag=true", True),
        ("depth=1", "1"),
        ("maybe=null", None),
        ("either=x", "x"),
        ('either=["x","y"]', ["x", "y"]),
        ('many=["x"]', ["x"]),
        ("unknown=5", 5),
        ("unknown=five", "five"),
    ],
)
def test_a_value_is_read_as_its_schema_wants_it(text: str, value: object) -> None:
    assert parse_parameters([text], SCHEMA) == {text.split("=")[0]: value}


def test_a_name_given_several_times_makes_a_list_where_one_is_allowed() -> None:
    assert parse_parameters(["either=a", "either=1", "many=x", "many=2"], SCHEMA) == {
        "either": ["a", "1"],
        "many": ["x", "2"],
    }
    with pytest.raises(typer.BadParameter, match="given 2 times"):
        parse_parameters(["count=1", "count=2"], SCHEMA)


def test_what_is_no_assignment_is_a_usage_error() -> None:
    for text in ("topic", "=x"):
        with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
            parse_parameters([text], SCHEMA)


def test_a_file_of_parameters_is_an_object_and_single_ones_stand_above_it(tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_text(json.dumps({"topic": "file", "count": 1}))
    assert parse_parameters(["topic=line", f"@{file}"], SCHEMA) == {"topic": "line", "count": 1}
    file.write_text("[1]")
    with pytest.raises(Malformed, match="Expected a JSON object"):
        parse_parameters([f"@{file}"], SCHEMA)
    file.write_text("{")
    with pytest.raises(Malformed, match="is no JSON"):
        parse_parameters([f"@{file}"], SCHEMA)


def test_paths_that_exist_become_absolute_where_the_schema_has_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "feed.xml").write_text("")
    here = str(tmp_path.resolve() / "feed.xml")
    texts = ["one=feed.xml", "sources=feed.xml", "sources=https://example.org/feed.xml", "text=feed.xml"]
    assert parse_parameters([*texts, 'nested={"file":"feed.xml","other":"feed.xml"}'], PATHS) == {
        "one": here,
        "sources": [here, "https://example.org/feed.xml"],
        "text": "feed.xml",
        "nested": {"file": here, "other": "feed.xml"},
    }
    assert parse_parameters(["one=gone.xml", "sources=feed.xml"], PATHS) == {"one": "gone.xml", "sources": here}
