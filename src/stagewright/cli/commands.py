"""All commands by name. Their modules are light: what is slow to import, they import when they are called."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stagewright import __version__
from stagewright.cli import artifacts, bring_up, configuration, demo, doctor, executions, pipelines, run, workers
from stagewright.cli.screen import command

EPILOG = "Exit codes: 0 ok · 1 execution failed · 2 usage · 3 server not reachable · 5 not found · 7 conflict · " + (
    "8 cancelled · 9 waiting timed out · 10 not valid · 70 internal error · 130 interrupted"
)

app = typer.Typer(
    help="Durable AI pipelines: executions that survive crashes, from one command to a server.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing the help with rich takes 0.15 s more
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stagewright {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("version")
def _version() -> None:
    """Print the version."""
    typer.echo(f"stagewright {__version__}")


command(app, "demo")(demo.demo)
command(app, "up")(bring_up.up)
command(app, "run")(run.run)
command(app, "doctor")(doctor.doctor)


@app.command(
    "bench",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _bench(context: typer.Context) -> None:
    """Measure how fast it is here."""
    from stagewright.cli.bench import bench

    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    inner.command()(bench)
    inner(args=context.args, prog_name="stagewright bench")


def _group(name: str, about: str, commands: dict[str, Any]) -> None:
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    for each, function in commands.items():
        command(group, each)(function)
    app.add_typer(group, name=name)


_group("executions", "List, watch and steer executions.", executions.COMMANDS)
_group("pipelines", "Check, register and draw pipelines.", pipelines.COMMANDS)
_group("artifacts", "List and fetch what executions produced.", artifacts.COMMANDS)
_group("workers", "See which workers there are.", workers.COMMANDS)
_group("config", "See the settings and where they come from.", configuration.COMMANDS)
