"""What holds for every test: no test is skipped in silence, and chance is the same each time in CI.

`TESTS_STRICT=1` (set by `.ci/run`) turns every skip into a failure, as a test that could not run
has shown nothing. Without it skips are counted and listed at the very end, where nobody overlooks them.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import hypothesis
import pytest

STRICT = os.environ.get("TESTS_STRICT") == "1"

# Slow machines must not fail a property, so no deadline an example; pytest-timeout bounds the test as a whole.
hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, print_blob=True, database=None
)
hypothesis.settings.load_profile("ci" if STRICT or os.environ.get("CI") else "dev")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no single test be skipped in strict mode; an expected failure (`xfail`) is none."""
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let no whole module be skipped in strict mode (`importorskip`, `pytest.skip(allow_module_level=True)`)."""
    report = yield
    if STRICT and report.skipped:
        _fail(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every skip with its reason, loudly."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"{len(skipped)} SKIPPED: this is no complete test", yellow=True, bold=True)
    for report in sorted(skipped, key=lambda report: str(report.nodeid)):
        terminalreporter.line(f"{report.nodeid}: {_reason(report)}", yellow=True)


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = _reason(report)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped, which strict mode does not allow: {reason}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):  # (path, line, message), as pytest writes a skip
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
