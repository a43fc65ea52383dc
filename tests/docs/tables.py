"""The parts of reference pages that are made from the code. `python -m tests.docs.tables` writes them into the pages.

A part stands between `<!-- from the code: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_origin, get_type_hints

import httpx2
import orjson
from pydantic import BaseModel
from typer.main import get_command

from stagewright.app.runtime import Runtime
from stagewright.app.settings import Settings
from stagewright.cli.commands import app as command_line
from stagewright.definitions.build import NOT_RUN_YET
from stagewright.definitions.references import FUNCTIONS, MACROS, METHODS
from stagewright.definitions.schema import pipeline_schema
from stagewright.server.build import build_app
from tests.tidy.tree import ROOT

PART = re.compile(r"(<!-- from the code: (?P<name>[a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), *map(list, rows)]
    width = len(lines[0])
    lines.insert(1, ["---"] * width)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


# --- settings -------------------------------------------------------------------------------------------------------


def settings() -> dict[str, str]:
    """Return every setting with its default, as a page would show it."""
    return dict(_settings(Settings, ""))


def _settings(model: Any, prefix: str) -> Iterable[tuple[str, str]]:
    for name, hint, default in _fields(model):
        inner = _section(hint)
        if inner is not None:
            yield from _settings(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(default)


def _fields(model: Any) -> Iterable[tuple[str, Any, Any]]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield name, field.annotation, field.default
        return
    hints = get_type_hints(model)
    for each in fields(model):
        yield each.name, hints[each.name], None if each.default is MISSING else each.default


def _section(hint: Any) -> Any:
    is_class = isinstance(hint, type) and get_origin(hint) is None
    return hint if is_class and (issubclass(hint, BaseModel) or is_dataclass(hint)) else None


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    return "[]" if default == () else str(default)


# --- pipeline documents ---------------------------------------------------------------------------------------------


def _fields_of(schema: Mapping[str, Any], later: Iterable[str]) -> str:
    definitions = pipeline_schema()["$defs"]
    needed = schema.get("required", [])
    rows = []
    for name, field in schema["properties"].items():
        if name in later:
            continue
        default = _json(field["default"]) if "default" in field else ("required" if name in needed else "–")
        rows.append((f"`{name}`", _kind(field, definitions), default, field["description"]))
    return table(("field", "is", "default", "meaning"), rows)


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name})" if "properties" in definitions[name] else name
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = str(field.get("type", "any"))
    inner = field.get("items", {})
    if kind == "array":
        return "list of " + (f"{str(inner['$ref']).rpartition('/')[2]}s" if "$ref" in inner else f"{inner['type']}s")
    bounds = [f"{word} {field[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in field]
    return " ".join([kind, *bounds])


def _json(value: Any) -> str:
    return f"`{orjson.dumps(value).decode()}`"


def document_table() -> str:
    """Return the fields of a document."""
    return _fields_of(pipeline_schema(), NOT_RUN_YET["pipeline"])


def stage_table() -> str:
    """Return the fields of a stage that this release runs."""
    return _fields_of(pipeline_schema()["$defs"]["stage"], NOT_RUN_YET["stage"])


def retry_table() -> str:
    """Return the fields of `retry`."""
    return _fields_of(pipeline_schema()["$defs"]["retry"], ())


def defaults_table() -> str:
    """Return the fields of `defaults`."""
    return _fields_of(pipeline_schema()["properties"]["defaults"], ())


def later_list() -> str:
    """Return what the language has and this release refuses."""
    stage = ", ".join(f"`{name}`" for name in NOT_RUN_YET["stage"])
    whole = ", ".join(f"`{name}`" for name in NOT_RUN_YET["pipeline"])
    return f"In a stage: {stage}. In the document: {whole}.\n"


def functions_table() -> str:
    """Return what an expression may call."""
    rows = [
        ("functions", ", ".join(f"`{name}`" for name in FUNCTIONS)),
        ("methods", ", ".join(f"`{name}`" for name in METHODS)),
        ("macros", ", ".join(f"`{name}`" for name in MACROS)),
    ]
    return table(("kind", "names"), rows)


# --- HTTP and the command line --------------------------------------------------------------------------------------


def routes_table() -> str:
    """Return every path of the OpenAPI document with what it does."""
    rows = []
    for path, methods in _openapi()["paths"].items():
        for method, operation in methods.items():
            asked = [f"`{each['name']}`" for each in operation.get("parameters", ()) if each["in"] == "query"]
            rows.append((f"`{method.upper()} {path}`", _sentence(operation["description"]), " ".join(asked)))
    return table(("call", "what it does", "query"), sorted(rows, key=lambda row: row[0].strip("`").split(" ")[1]))


@cache
def _openapi() -> dict[str, Any]:
    """Let the application describe itself; a node that is not started is enough for that."""
    with TemporaryDirectory() as folder:
        runtime = Runtime(Settings(data=Path(folder)), on_fatal=lambda error: None)
        app: Any = build_app(runtime.service, runtime.chance, Path(folder))
        return asyncio.run(_asked(app))


async def _asked(app: Any) -> dict[str, Any]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        answer = await client.get("/openapi.json")
    described: dict[str, Any] = answer.raise_for_status().json()
    return described


def commands_table() -> str:
    """Return every command with its first sentence, its arguments and options."""
    found = _walk(get_command(command_line))
    rows = [(f"`stagewright {' '.join(path)}`", _sentence(command.help), options) for path, command, options in found]
    return table(("command", "what it does", "options"), rows)


def _walk(command: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any, str]]:
    inner = getattr(command, "commands", None)
    if inner:
        for name in sorted(inner):
            if not inner[name].hidden:
                yield from _walk(inner[name], (*path, name))
        return
    arguments = [
        str(each.metavar or each.name.upper()) for each in command.params if each.param_type_name == "argument"
    ]
    options = [
        "`" + "/".join(max(names, key=len) for names in (each.opts, each.secondary_opts) if names) + "`"
        for each in command.params
        if each.param_type_name == "option" and not each.hidden and max(each.opts, key=len) not in COMMON_OPTIONS
    ]
    yield (*path, *arguments), command, " ".join(options)


COMMON_OPTIONS = ("--json", "--quiet", "--verbose", "--no-color", "--help")


def _sentence(text: str | None) -> str:
    return (text or "").strip().split("\n\n")[0].replace("\n", " ")


# --- pages ----------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "document": document_table,
    "stage": stage_table,
    "retry": retry_table,
    "defaults": defaults_table,
    "later": later_list,
    "functions": functions_table,
    "routes": routes_table,
    "commands": commands_table,
}


def renewed(text: str) -> str:
    """Return a page with its parts as the code has them now. KeyError for a part that nobody makes."""
    return PART.sub(lambda match: f"{match[1]}\n{PARTS[match['name']]()}\n{match[3]}", text)


def reference_pages() -> list[Path]:
    """Return the pages that may have such parts."""
    return sorted((ROOT / "docs" / "reference").glob("*.md"))


if __name__ == "__main__":
    for page in reference_pages():
        old = page.read_text(encoding="utf-8")
        new = renewed(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
