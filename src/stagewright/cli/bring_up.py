"""`stagewright up`: serve in the foreground until a signal comes."""

from __future__ import annotations

from typing import Annotated

import typer

from stagewright.cli.options import Data, settings_of
from stagewright.cli.screen import Screen


def up(
    screen: Screen,
    host: Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0: any free one [default: 8700].")
    ] = None,
    data: Data = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="sqlite:///PATH [default: in DIR].")] = None,
    objects: Annotated[str | None, typer.Option(metavar="URL", help="file:///PATH [default: in DIR].")] = None,
    bus: Annotated[str | None, typer.Option(metavar="URL", help="Where events go besides [default: local].")] = None,
) -> None:
    """Serve the API in the foreground.

    SIGTERM ends it within seconds; what is open goes on at the next start.
    """
    settings = settings_of(data, host=host, port=port, database=database, objects=objects, bus=bus)
    from stagewright.app.lock import FolderLock

    # Asked before the port is, as a second server on a folder mostly asks for the same port too.
    lock = FolderLock(settings.data, settings.database_path)
    lock.acquire(None)
    lock.release()
    import asyncio

    import uvloop

    from stagewright.app.serve import serve

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(serve(settings, verbose=screen.is_verbose))
    raise typer.Exit(code)
