"""`stagewright bench`: the product's own workloads with full durability, and where the time goes."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stagewright.cli.bench_figures import Figure
    from stagewright.cli.bench_inside import Sizes
    from stagewright.cli.bench_place import Place
    from stagewright.cli.bench_profile import Profile

USAGE_EXIT = 2


class Workload(StrEnum):
    """What can be measured."""

    chains = "chains"
    latency = "latency"
    fanout = "fanout"
    submit = "submit"
    start = "start"
    crash = "crash"
    api = "api"
    growth = "growth"


BY_DEFAULT = tuple(one for one in Workload if one is not Workload.growth)  # which fills a database for minutes


def bench(
    workload: Annotated[list[Workload] | None, typer.Option(help="Which one; may be given several times")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for the databases, on the disk to measure")] = None,
    database: Annotated[str | None, typer.Option(help="sqlite:///PATH of a database that does not exist yet")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often; the table shows medians")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: shows that it works, not how fast")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Show where the time goes")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines")] = False,
) -> None:
    """Measure the workloads on this machine and compare with the bars."""
    from stagewright.cli.bench_figures import TABLE_HEAD, shape_table, table_rows, whys
    from stagewright.cli.bench_inside import QUICK, Sizes
    from stagewright.cli.bench_place import NotMeasurable, open_place
    from stagewright.cli.bench_profile import shape_profile

    profiles: dict[str, Profile] = {}
    try:
        with open_place(data, database) as place:
            if not as_json:
                typer.echo(_describe(place))
            figures = measure_all(
                list(workload or BY_DEFAULT), place, QUICK if quick else Sizes(), repeat, profiles if profile else None
            )
            answer = _answer(figures, place, quick, profiles)
    except NotMeasurable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(USAGE_EXIT) from None
    if as_json:
        import orjson

        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(shape_table(TABLE_HEAD, table_rows(figures)))
    for why in whys(figures):
        typer.echo(f"Not measured: {why}")
    if quick:
        typer.echo("Tiny sizes: these figures say nothing about speed.")
    for name, one in profiles.items():
        typer.echo("\n" + shape_profile(name, one))


def measure_all(
    workloads: list[Workload], place: Place, sizes: Sizes, repeat: int, profiles: dict[str, Profile] | None
) -> list[Figure]:
    """Measure the workloads `repeat` times; `profiles` gets one a workload in this process if it is a dictionary."""
    from stagewright.cli.bench_figures import merge

    figures = []
    for workload in workloads:
        rounds = []
        for number in range(repeat):
            seen: list[Profile] | None = [] if profiles is not None and number == repeat - 1 else None
            rounds.append(_measure(workload, place, sizes, seen))
            if profiles is not None and seen:
                profiles[workload.value] = seen[-1]
        figures += merge(rounds)
    return figures


def _measure(workload: Workload, place: Place, sizes: Sizes, profiles: list[Profile] | None) -> list[Figure]:
    from stagewright.cli.bench_growth import measure_growth
    from stagewright.cli.bench_http import measure_api, measure_http_submit
    from stagewright.cli.bench_inside import measure
    from stagewright.cli.bench_outside import measure_crash, measure_start

    if workload is Workload.start:
        return measure_start(place, sizes)
    if workload is Workload.crash:
        return measure_crash(place, sizes)
    if workload is Workload.api:
        return measure_api(place, sizes)
    if workload is Workload.growth:
        return measure_growth(place, sizes)
    figures = measure(workload.value, place, sizes, profiles)
    return figures + measure_http_submit(place, sizes) if workload is Workload.submit else figures


def _describe(place: Place) -> str:
    kind = place.file_system if place.is_durable else f"{place.file_system}, WHICH IS MEMORY: NOTHING HERE IS DURABLE"
    load = os.getloadavg()[0]
    return (
        f"Databases in {place.folder} ({kind}), synchronous = FULL, a sync takes {place.sync_ms:.2f} ms; "
        f"{load:.1f} other programs wanted one of the {os.cpu_count()} cores lately\n"
    )


def _answer(figures: list[Figure], place: Place, quick: bool, profiles: dict[str, Profile]) -> dict[str, Any]:
    from stagewright.cli.bench_profile import shape_profile

    return {
        "figures": [figure.as_json() for figure in figures],
        "file_system": place.file_system,
        "is_durable": place.is_durable,
        "sync_ms": place.sync_ms,
        "is_quick": quick,
        "profiles": {name: one.as_json() for name, one in profiles.items()},
        "profile_texts": {name: shape_profile(name, one) for name, one in profiles.items()},
    }
