"""Where a command writes: data to stdout, everything else to stderr; and the frame that every command runs in."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer

from stagewright.cli.failures import INTERNAL, INTERRUPTED, exit_code, lines_of, problem_of
from stagewright.cli.naming import program
from stagewright.model.errors import StagewrightError

F = TypeVar("F", bound=Callable[..., Any])

CELL_LENGTH_MAX = 60


@dataclass(frozen=True, slots=True)
class Screen:
    """How a command was asked to speak."""

    as_json: bool = False
    is_quiet: bool = False
    is_verbose: bool = False
    is_plain: bool = False  # no colours and no moving parts

    @property
    def is_live(self) -> bool:
        """True if somebody looks on, so that progress may move."""
        dull = self.is_plain or self.is_quiet or self.is_verbose or os.environ.get("TERM") == "dumb"
        return sys.stderr.isatty() and not dull and not os.environ.get("CI")

    @property
    def has_colour(self) -> bool:
        """True if stderr may have colours (no-color.org, force-color.org)."""
        if self.is_plain or os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb")

    def say(self, text: str) -> None:
        """Write a line for people to stderr, unless they want quiet."""
        if not self.is_quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Write a line for people to stderr in any case."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def text(self, text: str) -> None:
        """Write data as text to stdout."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        """Write one JSON value to stdout: indented for people, on one line for programs."""
        indent = 2 if sys.stdout.isatty() else None
        self.text(json.dumps(value, ensure_ascii=False, indent=indent))

    def line(self, value: Any) -> None:
        """Write one JSON value on one line to stdout, for streams of them."""
        self.text(json.dumps(value, ensure_ascii=False))

    def table(self, items: Sequence[dict[str, Any]], columns: Iterable[str], *, more: str | None = None) -> None:
        """Write items as aligned columns; with --json as `{items, next_cursor}`."""
        if self.as_json:
            self.json({"items": list(items), "next_cursor": more})
            return
        names = list(columns)
        rows = [[cell(item.get(name)) for name in names] for item in items]
        if not rows:
            self.say("nothing there")
            return
        widths = [max(len(row[at]) for row in ([name.upper() for name in names], *rows)) for at in range(len(names))]
        for row in ([name.upper() for name in names], *rows):
            self.text("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        if more is not None:
            self.say(f"there is more: --after {more}")


def cell(value: Any) -> str:
    """Show a value in one cell of a table."""
    if value is None:
        return "-"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return text if len(text) <= CELL_LENGTH_MAX else text[: CELL_LENGTH_MAX - 1] + "…"


# --- the frame of a command ------------------------------------------------------------------------------------------

_COMMON: dict[str, Any] = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")],
    "is_quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print data and errors only.")],
    "is_verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Print every event with its ids.")],
    "is_plain": Annotated[bool, typer.Option("--no-color", help="No colours, no moving parts.")],
}


def command(app: typer.Typer, name: str, **options: Any) -> Callable[[F], F]:
    """Register a function as a command.

    Its first parameter is the `Screen`; the options that make it are added to those of the function. Coroutine
    functions are run. Errors of the product become their lines and exit codes, with --json the problem document.
    """

    def register(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            for key, annotation in _COMMON.items()
        ]

        def call(**values: Any) -> None:
            screen = Screen(**{key: values.pop(key) for key in _COMMON})
            perform(screen, function, values)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + added
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, **options)(call)
        return function

    return register


def perform(screen: Screen, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Call a command's function and turn what it raises into an exit."""
    try:
        if inspect.iscoroutinefunction(function):
            import asyncio

            asyncio.run(function(screen, **values))
        else:
            function(screen, **values)
    except StagewrightError as error:
        show_error(screen, error)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        screen.say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.TyperException, typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        show_bug(screen, error)
        raise typer.Exit(INTERNAL) from None


def show_error(screen: Screen, error: StagewrightError) -> None:
    """Write what went wrong: the problem document on stdout with --json, else lines on stderr."""
    if screen.as_json:
        screen.json(problem_of(error))
        return
    for line in lines_of(error, program()):
        screen.warn(line)


def show_bug(screen: Screen, error: Exception) -> None:
    """Write what nobody expected; the trace only for those who ask."""
    detail = f"{type(error).__name__}: {error}"
    if screen.as_json:
        screen.json(problem_of(_as_bug(detail)))
    screen.warn(f"Error: Something went wrong inside stagewright\n  {detail}")
    if not screen.is_verbose:
        screen.warn("  This is a bug: repeat the command with -v and report what it prints")
        return
    import traceback

    traceback.print_exception(error)


def _as_bug(detail: str) -> StagewrightError:
    from stagewright.model.errors import Trouble

    class Bug(Trouble):
        code, status, title = "internal_error", 500, "Something went wrong inside stagewright"

    return Bug(detail)
