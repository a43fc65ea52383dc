"""`stagewright doctor`: whether every invariant holds on a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stagewright.cli.failures import EXECUTION_FAILED
from stagewright.cli.options import Data, settings_of
from stagewright.cli.screen import Screen

FINDINGS_FAILED = EXECUTION_FAILED


async def doctor(
    screen: Screen,
    data: Data = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="sqlite:///PATH [default: in DIR].")] = None,
    objects: Annotated[str | None, typer.Option(metavar="URL", help="file:///PATH [default: in DIR].")] = None,
) -> None:
    """Check a database against the invariants.

    Reads only, also beside a running server. Exits 1 if one does not hold.
    """
    from stagewright.app.doctor import examine

    settings = settings_of(data, database=database, objects=objects)
    folder: Path | None = settings.objects_path
    if database is not None and data is None and settings.objects is None:
        # Its objects mostly lie beside it; those of the usual data folder belong to another database.
        beside = settings.database_path.parent / "objects"
        folder = beside if beside.is_dir() else None
    told = await examine(settings, folder)
    findings = told["findings"]
    if screen.as_json:
        screen.json({"ok": not findings} | told)
    else:
        for finding in findings:
            screen.text(f"✗ {finding['invariant']}: {finding['execution_id'] or 'database'}: {finding['detail']}")
        verdict = f"{len(findings)} finding(s)" if findings else "every invariant holds"
        if folder is None:
            screen.say("objects were not checked: name their folder with --objects file:///PATH or --data DIR")
        screen.text(f"{'✗' if findings else '✓'} {told['database']}: {verdict} ({told['executions_open']} open)")
    if findings:
        raise typer.Exit(FINDINGS_FAILED)
