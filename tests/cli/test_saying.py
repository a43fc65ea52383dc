"""What commands say: problems, exit codes, progress, tables and file names."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from stagewright.app.lock import FolderInUse
from stagewright.cli.failures import exit_code, lines_of, problem_of
from stagewright.cli.follow import deliver
from stagewright.cli.progress import Progress, duration, event_line
from stagewright.cli.screen import Screen, command
from stagewright.model import errors
from stagewright.model.errors import Problem, StagewrightError
from stagewright.sdk.client import Client, Unreachable, error_from


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable("x"), 3),
        (errors.Stalled("x"), 3),
        (errors.NotFound("x"), 5),
        (errors.UnknownPipeline("x"), 5),
        (errors.WrongState("x"), 7),
        (errors.RequestConflict("x"), 7),
        (errors.KeyReused("x"), 7),
        (FolderInUse(Path("d"), {}), 7),
        (errors.Invalid("x"), 10),
        (errors.InvalidDocument("x"), 10),
        (errors.Malformed("x"), 10),
        (errors.TooLarge("x"), 10),
        (errors.Misconfigured("x"), 2),
        (errors.StoreTrouble("x"), 70),
        (errors.DataLost("x"), 70),
    ],
)
def test_each_error_has_its_exit_code(error: StagewrightError, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_says_what_why_and_what_to_do() -> None:
    problems = [Problem("There is no stage b.", "#/stages/0/needs/0", 4), Problem("Add a name.", "#")]
    assert lines_of(errors.InvalidDocument("two problems", problems)) == [
        "Error: The pipeline document is not valid",
        "  line 4, #/stages/0/needs/0: There is no stage b.",
        "  #: Add a name.",
        "  Mend the document and check it with: stagewright pipelines validate FILE",
    ]
    many = [Problem(f"p{number}", "#") for number in range(60)]
    assert lines_of(errors.Invalid("all", many))[-1] == "  … and 10 more"


def test_a_problem_of_a_server_becomes_the_error_that_it_was() -> None:
    # given a problem document as a server sends it
    body = {"code": "request_conflict", "title": "t", "status": 409, "detail": "taken", "trace_id": "abc", "errors": []}
    # when it is read and shown again
    error = error_from(409, json.dumps(body).encode())
    # then kind, detail and trace are the same
    assert type(error) is errors.RequestConflict and exit_code(error) == 7
    shown = problem_of(error)
    assert {name: shown[name] for name in ("code", "status", "detail", "trace_id", "errors")} == {
        name: body[name] for name in ("code", "status", "detail", "trace_id", "errors")
    }


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (404, b'{"code": "unknown_path", "detail": "no such path"}', errors.NotFound),
        (503, b"", errors.Stalled),
        (502, b"<html>gateway</html>", errors.Trouble),
        (418, b"[]", errors.Refusal),
    ],
)
def test_what_is_no_problem_of_ours_is_told_by_its_status(status: int, content: bytes, kind: type) -> None:
    error = error_from(status, content, "7")
    assert type(error) is kind and error.detail and error.retry_after_s == 7


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.Malformed, match="address"):
        Client(url)


# --- progress --------------------------------------------------------------------------------------------------------


def shown(*stages: str) -> dict[str, Any]:
    return {
        "execution_id": "exec_1",
        "pipeline": "p",
        "created_at": "2026-11-21T10:00:00.000000Z",
        "stages": [{"stage_id": name, "worker": "probe"} for name in stages],
    }


def event(seq: int, kind: str, second: int, stage: str | None = None, **data: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"seq": seq, "type": kind, "at": f"2026-11-21T10:00:{second:02d}.000000Z"}
    return told | {"execution_id": "exec_1", "data": data} | ({"stage_id": stage, "attempt": 1} if stage else {})


STORY = (
    (event(1, "execution.created", 0), None),
    (event(2, "execution.started", 0), "● p started  exec_1"),
    (event(3, "stage.started", 0, "a"), "  ● a started (probe)"),
    (event(4, "stage.progress", 1, "a", progress=0.5, message="half"), "  ● a: 50% half"),
    (event(5, "stage.completed", 2, "a", duration_ms=2000.0), "  ✓ a completed in 2.0 s"),
    (event(6, "stage.waiting", 2, "b", reason="slot"), "  ◔ b waiting: slot"),
    (event(7, "stage.started", 3, "b"), "  ● b started (probe)"),
    (
        event(8, "stage.failed", 4, "b", error={"code": "c", "message": "broken\npipe"}),
        "  ✗ b failed in 1.0 s: broken pipe",
    ),
    (event(9, "stage.cancelled", 4, "c"), "  ⊘ c cancelled"),
    (
        event(10, "execution.failed", 4, duration_ms=4000.0, error={"message": "broken"}),
        "✗ p failed after 4.0 s: broken",
    ),
)


def test_each_change_has_its_line() -> None:
    progress = Progress.of(shown("a", "b", "c"))
    for told, line in STORY:
        said = progress.apply(told)
        assert (None if said is None else said.split(" ", 1)[1]) == line
    assert [stage.status for stage in progress.stages.values()] == ["completed", "failed", "cancelled"]


def test_the_tree_shows_every_stage_and_counts_what_is_done_where_there_are_many() -> None:
    progress = Progress.of(shown("a", "b", "c"))
    for told, _ in STORY[:6]:
        progress.apply(told)
    text = drawn(progress)
    assert "✓ a probe 2.0 s" in text and "◔ b probe  slot" in text and "○ c" in text
    many = Progress.of(shown(*(f"s{number}" for number in range(40))))
    many.apply(event(1, "stage.started", 0, "s7"))
    many.apply(event(2, "stage.started", 0, "s8"))
    many.apply(event(3, "stage.completed", 1, "s8"))
    text = drawn(many)
    assert "s7" in text and "s9" not in text and "… 38 pending, 1 completed" in text


def drawn(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(progress.tree("*"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_verbose_lines_carry_the_ids() -> None:
    line = event_line(event(8, "stage.failed", 4, "b", failures=2, error={"code": "boom", "message": "x"}))
    assert line == (
        "2026-11-21T10:00:04.000000Z event=stage.failed execution=exec_1 seq=8 stage=b attempt=1 failures=2 error=boom"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (1.25, "1.2 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# --- the frame of commands -------------------------------------------------------------------------------------------


def framed(function: Any) -> typer.Typer:
    app = typer.Typer()
    command(app, "do")(function)
    return app


def test_a_bug_is_one_line_and_70_and_its_trace_is_for_those_who_ask() -> None:
    def fails(screen: Screen) -> None:
        raise KeyError("lost")

    result = CliRunner().invoke(framed(fails), [])
    assert result.exit_code == 70 and "KeyError: 'lost'" in result.stderr and "Traceback" not in result.stderr
    assert "Traceback" in CliRunner().invoke(framed(fails), ["-v"]).stderr
    told = CliRunner().invoke(framed(fails), ["--json"])
    assert json.loads(told.stdout)["code"] == "internal_error"


def test_an_interrupt_is_130() -> None:
    async def waits(screen: Screen) -> None:
        raise KeyboardInterrupt

    assert CliRunner().invoke(framed(waits), []).exit_code == 130


def test_a_table_is_aligned_for_people_and_an_envelope_for_programs() -> None:
    def lists(screen: Screen) -> None:
        screen.table([{"name": "a", "size": 10}, {"name": "long", "size": None}], ("name", "size"), more="next")

    result = CliRunner().invoke(framed(lists), [])
    assert result.stdout.splitlines() == ["NAME  SIZE", "a     10", "long  -"]
    assert result.stderr == "there is more: --after next\n"
    told = json.loads(CliRunner().invoke(framed(lists), ["--json"]).stdout)
    assert told == {"items": [{"name": "a", "size": 10}, {"name": "long", "size": None}], "next_cursor": "next"}


class Store:
    """Gives artifacts as a door does."""

    is_server = False
    place = "here"

    async def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        yield artifact_id.encode()


def test_names_of_deliverables_cannot_lead_out_of_the_folder_nor_over_each_other(tmp_path: Path) -> None:
    names = ("../../evil.txt", "a/report.md", "b\\report.md", "..", "/etc/passwd", ".hidden")
    items = [{"artifact_id": f"art_{name}", "name": name, "url": "u", "media_type": "m"} for name in names]
    folder = tmp_path / "out"
    found = asyncio.run(deliver(Store(), {"deliverables": items}, folder))  # type: ignore[arg-type]
    assert sorted(path.name for path in folder.iterdir()) == [
        "deliverable", "evil.txt", "hidden", "passwd", "report-2.md", "report.md",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert all(Path(item["path"]).read_text() == f"art_{item['name']}" for item in found)
