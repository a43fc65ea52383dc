"""What `/metrics` shows: the engine's own counts, in the Prometheus text format 0.0.4."""

from __future__ import annotations

from stagewright import __version__
from stagewright.engine.core import Engine

Sample = tuple[str, str, str, int]
"""Name (with labels), type, help text and value."""


def metrics_text(engine: Engine) -> str:
    """Return all metrics; counters begin at 0 with the process."""
    lines: list[str] = []
    for name, kind, text, value in _samples(engine):
        bare = name.partition("{")[0]
        lines += [f"# HELP {bare} {text}", f"# TYPE {bare} {kind}", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def _samples(engine: Engine) -> list[Sample]:
    journal = engine.journal
    return [
        (f'stagewright_build_info{{version="{__version__}"}}', "gauge", "The release that is running, always 1.", 1),
        ("stagewright_executions_active", "gauge", "Executions that the engine holds in memory.", len(engine.actors)),
        ("stagewright_decisions_total", "counter", "Decisions that changed an execution.", engine.decisions),
        ("stagewright_flushes_total", "counter", "Transactions in which the journal wrote.", journal.flushes),
        ("stagewright_rows_written_total", "counter", "Rows that the journal wrote.", journal.rows_written),
        ("stagewright_rows_pending", "gauge", "About how many rows wait for the journal.", journal.pending_rows),
        ("stagewright_journal_stalled", "gauge", "1 while the journal cannot write.", int(journal.is_stalled)),
    ]
