"""`make bench`: product, skeleton and peers in one go, one after another, round by round; writes `bench/RESULTS.md`.

python -m bench.run [--rounds 3] [--only NAME ...] [--growth] [--quick] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.report import Report, shape_comparison, shape_report
from bench.subjects import SUBJECTS, Absent, Subject, product_figures
from stagewright.cli.bench_place import file_system_of, measure_sync_ms

OUTPUT = Path(__file__).resolve().parent / "RESULTS.md"
ROUNDS = 3


def main() -> None:
    """Measure, print, write. Ends with 1 if something that was asked for could not be measured."""
    options = _options()
    load = os.getloadavg()[0]
    with _home() as home:
        chosen = [one for one in SUBJECTS if (one.name in options.only if options.only else one.is_default)]
        absent: dict[str, str] = {}
        ready = [one for one in chosen if _prepared(one, home, absent)]
        measured = _measure(ready, home, options, absent)
        if options.growth:
            _say("growth: fills a database, which takes minutes")
            _add(measured, "stagewright", product_figures(home, options.quick, ["--workload", "growth"])[0])
        report = Report(
            measured, {one.name: one.about for one in ready}, absent, options.rounds, datetime.now(UTC).date(),
            file_system_of(home), measure_sync_ms(home), _profile(home, options.quick), load, options.quick,
            _arguments(options),
        )  # fmt: skip
    options.output.write_text(shape_report(report), encoding="utf-8")
    print(shape_comparison(measured))
    print(f"\n{report.profile}\n\nWritten: {options.output}")
    for name, why in absent.items():
        print(f"NOT MEASURED: {name}: {why}", file=sys.stderr)
    sys.exit(1 if absent else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured; medians are told")
    names = [one.name for one in SUBJECTS]
    parser.add_argument(
        "--only", nargs="*", choices=names, default=[], help="measure these; celery only if it is named"
    )
    parser.add_argument("--growth", action="store_true", help="with a million finished executions too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the results are written")
    return parser.parse_args()


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return what somebody else has to write to measure the same."""
    only = ["--only", *options.only] if options.only else []
    flags = [f"--{name}" for name in ("growth", "quick") if getattr(options, name)]
    return ["--rounds", str(options.rounds), *only, *flags]


@contextmanager
def _home() -> Iterator[Path]:
    """Give the scratch folder: what `BENCH_HOME` names stays, a temporary one goes."""
    named = os.environ.get("BENCH_HOME")
    if named:
        Path(named).mkdir(parents=True, exist_ok=True)
        yield Path(named).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="stagewright-bench-") as folder:
        yield Path(folder)


def _prepared(subject: Subject, home: Path, absent: dict[str, str]) -> bool:
    _say(f"{subject.name}: preparing")
    try:
        subject.prepare(home)
    except Absent as error:
        absent[subject.name] = str(error)
        _say(f"{subject.name}: CANNOT BE MEASURED: {error}")
        return False
    return True


def _measure(
    subjects: list[Subject], home: Path, options: argparse.Namespace, absent: dict[str, str]
) -> dict[str, dict[str, list[Any]]]:
    measured: dict[str, dict[str, list[Any]]] = {}
    for number in range(options.rounds):
        for subject in subjects:
            _say(f"{subject.name}: round {number + 1} of {options.rounds}")
            try:
                for column, values in subject.measure(home, options.quick).items():
                    _add(measured, column, values)
            except Absent as error:
                absent[subject.name] = f"round {number + 1}: {error}"
                _say(f"{subject.name}: FAILED: {error}")
    return measured


def _add(measured: dict[str, dict[str, list[Any]]], column: str, values: dict[str, float | str]) -> None:
    figures = measured.setdefault(column, {})
    for name, value in values.items():
        figures.setdefault(name, []).append(value)


def _profile(home: Path, quick: bool) -> str:
    _say("stagewright: profile of chains")
    try:
        _, answer = product_figures(home, quick, ["--workload", "chains", "--profile"])
    except Absent as error:
        return f"NOT MEASURED: {error}"
    return str(answer["profile_texts"]["chains"])  # type: ignore[index]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
