"""Reference pages say what the code does: parts made from it are fresh, lists are complete and name nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pytest

from stagewright.cli import failures
from stagewright.definitions import load_text, svg
from stagewright.server import door_shapes
from stagewright.workers.content import pipelines as content_pipelines
from tests.docs.tables import PART, reference_pages, renewed, settings
from tests.tidy.tree import ROOT, product, report, text_of

MEND = "refresh it with: python -m tests.docs.tables"


def page(name: str) -> str:
    """Return a reference page."""
    return text_of(f"docs/reference/{name}.md") or ""


def rows_of(text: str, cells_min: int = 2) -> dict[str, list[str]]:
    """Return the table rows of a page whose first cell is one `word`, by that word."""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        word = re.fullmatch(r"`([^`]+)`", cells[0]) if len(cells) >= cells_min else None
        if word:
            rows[word[1]] = cells[1:]
    return rows


def differences(what: str, expected: Iterable[str], found: Iterable[str]) -> list[str]:
    """Name what is missing and what is there without reason."""
    wanted, there = set(expected), set(found)
    missing = [f"{what}: not there: {each}" for each in sorted(wanted - there)]
    return missing + [f"{what}: no such thing in the code: {each}" for each in sorted(there - wanted)]


# --- made from the code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", reference_pages(), ids=lambda path: path.name)
def test_what_is_made_from_the_code_is_fresh(path: object) -> None:
    text = (ROOT / str(path)).read_text(encoding="utf-8")
    assert renewed(text) == text, MEND


def test_a_stale_part_is_seen() -> None:
    stale = "x\n<!-- from the code: functions -->\nold\n<!-- end -->\ny\n"
    assert PART.search(stale)
    assert renewed(stale) != stale
    assert renewed(renewed(stale)) == renewed(stale)


def test_the_picture_of_market_research_is_fresh() -> None:
    pipeline = load_text(content_pipelines()[0].read_bytes())
    assert text_of("docs/explanation/market_research.svg") == svg(pipeline)


# --- settings -------------------------------------------------------------------------------------------------------


def setting_problems(text: str) -> list[str]:
    """Name settings that are missing, that are none, or that have another default."""
    rows, known = rows_of(text, 3), settings()
    wrong = [
        f"settings: {name}: expected the default `{known[name]}`, found {cells[0]}"
        for name, cells in rows.items()
        if name in known and cells[0] != f"`{known[name]}`"
    ]
    silent = [f"settings: {name}: say what it means" for name, cells in rows.items() if len(cells[-1]) < 10]
    return differences("settings", known, rows) + wrong + silent


def test_every_setting_is_there_with_its_default() -> None:
    report(setting_problems(page("settings")))


def test_a_wrong_setting_is_seen() -> None:
    text = page("settings")
    assert len(setting_problems(text.replace("`engine.stall_s` | `10.0`", "`engine.stall_s` | `11.0`"))) == 1
    assert len(setting_problems(text.replace("| `engine.stall_s` |", "| `engine.stal_s` |"))) == 2


# --- errors ---------------------------------------------------------------------------------------------------------


def refusals() -> dict[str, int | None]:
    """Return the code of every error class with the status that it names itself."""
    found: dict[str, int | None] = {}
    for source in product():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                own = _constants(node)
                if "code" in own and "title" in own:
                    found[str(own["code"])] = own.get("status")  # type: ignore[assignment]
    return found


def _constants(node: ast.ClassDef) -> dict[str, object]:
    """Return what `code, status = "x", 400` and its like assign in a class."""
    found: dict[str, object] = {}
    for statement in node.body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            found[target.id] = value.value
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=True)
            found |= {a.id: b.value for a, b in pairs if isinstance(a, ast.Name) and isinstance(b, ast.Constant)}
    return found


def failure_codes() -> set[str]:
    """Return the codes with which steps and executions fail, besides those that workers choose."""
    found = {"terminal", "retry"}  # the defaults of sdk.Terminal and sdk.Retry
    for source in product():
        if source.path.startswith("src/stagewright/workers/"):
            continue
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            first = node.args[0] if node.args else None
            if name in ("Failure", "_failure") and isinstance(first, ast.Constant):
                found.add(str(first.value))
            if name == "Terminal":
                found |= {
                    str(each.value.value)
                    for each in node.keywords
                    if each.arg == "code" and isinstance(each.value, ast.Constant)
                }
    return found


def error_problems(text: str) -> list[str]:
    """Name codes that are missing from their table, that are none, or that have another status."""
    first, _, second = text.partition("## Failures")
    shown, codes = rows_of(first, 4), refusals()
    wrong = [
        f"errors: {code}: expected status {status}, found {shown[code][0]}"
        for code, status in codes.items()
        if status is not None and code in shown and shown[code][0] not in (str(status), "–")
    ]
    failed = {code: cells for code, cells in rows_of(second, 4).items() if len(cells) == 3}
    return differences("errors", codes, shown) + wrong + differences("failures", failure_codes(), failed)


def test_every_code_is_there_with_its_status() -> None:
    report(error_problems(page("errors")))


def test_a_wrong_code_is_seen() -> None:
    text = page("errors")
    assert len(error_problems(text.replace("| `stalled` | 503", "| `stalled` | 500"))) == 1
    assert len(error_problems(text.replace("| `worker_lost` |", "| `worker_gone` |"))) == 2


# --- events ---------------------------------------------------------------------------------------------------------


def event_types() -> dict[str, set[str]]:
    """Return every type of event that the state machine makes, with the keys of its data as far as they are written."""
    found: dict[str, set[str]] = {}
    endings = {"execution.": ("completed", "failed", "cancelled"), "stage.": ("skipped", "cancelled")}
    for source in product():
        if not source.path.startswith("src/stagewright/model/"):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "add_event":
                kind, data = node.args[2], node.args[3]
                if isinstance(kind, ast.BinOp) and isinstance(kind.left, ast.Constant):
                    for ending in endings[str(kind.left.value)]:
                        found.setdefault(f"{kind.left.value}{ending}", set())
                elif isinstance(kind, ast.Constant):
                    found.setdefault(str(kind.value), set()).update(_keys(data))
            elif isinstance(node, ast.Dict) and {"type", "at"} <= _keys(node):
                kind = node.values[[_text(key) for key in node.keys].index("type")]
                if isinstance(kind, ast.Constant):
                    found.setdefault(str(kind.value), set())
    return found


def _keys(node: ast.AST) -> set[str]:
    return {_text(key) for key in node.keys} if isinstance(node, ast.Dict) else set()


def _text(node: ast.AST | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def event_problems(text: str) -> list[str]:
    """Name events that are missing or that nobody makes, and data that the page does not name."""
    rows, types = rows_of(text, 3), event_types()
    silent = [
        f"events: {kind}: its data has {key}"
        for kind, keys in types.items()
        for key in sorted(keys)
        if kind in rows and f"`{key}`" not in rows[kind][0]
    ]
    return differences("events", types, rows) + silent


def test_every_event_is_there_with_its_data() -> None:
    report(event_problems(page("events")))


def test_a_wrong_event_is_seen() -> None:
    text = page("events")
    assert len(event_problems(text.replace("| `worker.lost` |", "| `worker.gone` |"))) == 2
    assert len(event_problems(text.replace("`progress`, `message` | How far", "`progress` | How far"))) == 1


# --- exit codes -----------------------------------------------------------------------------------------------------


def exit_problems(text: str) -> list[str]:
    """Name exit codes that are missing from the page, or that no command uses."""
    codes = {str(code): name for name, code in vars(failures).items() if name.isupper() and isinstance(code, int)}
    known = {f"{code} {name.lower().replace('_', ' ')}" for code, name in codes.items() if not name.endswith("_MAX")}
    found = {f"{code} {name}" for code, name in re.findall(r"^\| (\d+) \| ([a-z ]+) \|", text, re.MULTILINE)}
    return differences("exit codes", known, found)


def test_every_exit_code_is_there() -> None:
    report(exit_problems(page("exit-codes")))


def test_a_wrong_exit_code_is_seen() -> None:
    assert len(exit_problems(page("exit-codes").replace("| 9 | timed out |", "| 99 | timed out |"))) == 2


# --- calls of other systems -----------------------------------------------------------------------------------------


def door_problems(text: str) -> list[str]:
    """Name words of runs that the page does not translate as the code does."""
    wanted = {(theirs, ours) for ours, theirs in [*door_shapes.STATUS.items(), *door_shapes.TYPES.items()]}
    wanted = {(theirs, ours) for theirs, ours in wanted if theirs != ours}
    rows = rows_of(text)
    return [
        f"front doors: {ours} is told as {theirs}"
        for theirs, ours in sorted(wanted)
        if f"`{ours}`" not in " ".join(rows.get(theirs, []))
    ]


def test_every_word_of_a_run_is_translated_on_its_page() -> None:
    report(door_problems(page("front-doors")))


def test_a_wrong_word_of_a_run_is_seen() -> None:
    assert len(door_problems(page("front-doors").replace("`stage.skipped`", "`stage.skippt`"))) == 1


def test_every_call_of_a_front_door_is_on_its_page() -> None:
    text = page("front-doors")
    paths = re.findall(
        r"/(?:api/)?(?:clients|projects|requests|master-templates|runs|workflows|agents|agent-runs)", page("http-api")
    )
    report(differences("front doors", {path for path in paths if path not in text}, ()))


# --- the README -----------------------------------------------------------------------------------------------------


def test_the_readme_is_short_and_links_to_no_registry_badge() -> None:
    text = text_of("README.md") or ""
    assert len(text.split()) <= 900
    assert "shields" not in text
    assert "badge" not in text
