"""Options and arguments that several commands share, and the choice between a server and the local data folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

if TYPE_CHECKING:
    from stagewright.app.folder import Folder
    from stagewright.app.local import LocalNode
    from stagewright.app.settings import Settings
    from stagewright.sdk.client import Client

SERVER_VARIABLE = "STAGEWRIGHT_SERVER"


def not_empty(text: str | None) -> str | None:
    """Check an argument that must say something."""
    if text is not None and not text.strip():
        raise typer.BadParameter("it is empty: give an id or a name")
    return text


def folder(path: Path | None) -> Path | None:
    """Check an option that names a folder, which may be made later."""
    found = path
    while found is not None and not os.path.lexists(found) and found != found.parent:
        found = found.parent
    if found is not None and not found.is_dir():
        what = f"{found} is a file" if found.exists() else f"{found} leads nowhere"
        raise typer.BadParameter(f"{what}: name a folder")
    return path


def output_folder(path: Path | None) -> Path | None:
    """Check a folder that will be written to."""
    found = folder(path)
    while found is not None and not found.exists() and found != found.parent:
        found = found.parent
    if found is not None and not os.access(found, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"nothing may be written into {found}: name another folder")
    return path


def output_file(path: Path | None) -> Path | None:
    """Check a file that will be written in a folder that is there."""
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file in it, for example {path / 'report.html'}")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"There is no folder {path.parent}: make it first, or name another file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"nothing may be written into {path.parent}: name a file elsewhere")
    return path


Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help=f"The server to ask (or {SERVER_VARIABLE}).", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The data folder [default: ./stagewright-data].",
        show_default=False,
        callback=folder,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Where to write the deliverables.", callback=output_folder,
    ),
]  # fmt: skip
ExecutionId = Annotated[
    str, typer.Argument(metavar="EXECUTION", help="The id of an execution, exec_…", callback=not_empty)
]


class Reader(Protocol):
    """Where executions can be looked at: a server, this process, or a folder; values in the shapes of the API."""

    is_server: bool
    place: str

    async def execution(self, execution_id: str) -> dict[str, Any]: ...

    def watch(self, execution_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]: ...

    async def pipelines(self) -> list[dict[str, Any]]: ...

    async def pipeline(self, name: str, version: int | None = None) -> dict[str, Any]: ...

    async def workers(self) -> list[dict[str, Any]]: ...

    async def artifacts(self, execution_id: str) -> list[dict[str, Any]]: ...

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]: ...


class Door(Reader, Protocol):
    """Where executions can be started and steered too."""

    async def execute(self, body: Mapping[str, Any]) -> dict[str, Any]: ...

    async def cancel(self, execution_id: str, reason: str | None = None) -> dict[str, Any]: ...

    async def resume(self, execution_id: str) -> None: ...

    async def retry(self, execution_id: str, from_stage: str | None = None) -> dict[str, Any]: ...

    async def register(self, document: Mapping[str, Any]) -> dict[str, Any]: ...

    async def validate(self, document: Mapping[str, Any]) -> None: ...


def settings_of(data: Path | None = None, **overrides: Any) -> Settings:
    """Load the settings of this machine; what the command line names stands above them."""
    from stagewright.app.settings import load_settings

    settings = load_settings(os.environ, {"data": data, **overrides})
    if settings.data.exists() and not settings.data.is_dir():
        from stagewright.model.errors import Misconfigured, Problem

        detail = f"{settings.data} is a file: name a folder"
        raise Misconfigured(f"data (STAGEWRIGHT_DATA): {detail}", [Problem(detail, "data (STAGEWRIGHT_DATA)")])
    return settings


def server_of(server: str | None, data: Path | None) -> str | None:
    """Return the address that was named; a folder on the command line stands above the environment."""
    if server is not None:
        return server
    return None if data is not None else os.environ.get(SERVER_VARIABLE) or None


def serving(settings: Settings) -> str | None:
    """Return the address of the server that has the folder now."""
    from stagewright.app.lock import serving_url

    return serving_url(settings.data)


@asynccontextmanager
async def opened(server: str | None, data: Path | None) -> AsyncIterator[Client | LocalNode]:
    """Open the named server, else the one that has the data folder, else the folder in this process.

    Of what is open in a folder nothing goes on by itself here: see `LocalNode.resume`.
    """
    address = server_of(server, data)
    settings = None if address is not None else settings_of(data)
    if settings is not None:
        address = serving(settings)
    if address is not None:
        async with _client(address) as client:
            yield client
        return
    from stagewright.app.local import LocalNode

    assert settings is not None
    node = LocalNode(settings)
    await node.start()
    try:
        yield node
    finally:
        await node.close()


@asynccontextmanager
async def reading(server: str | None, data: Path | None) -> AsyncIterator[Client | Folder]:
    """The same for those who only look: the folder is read without taking it."""
    address = server_of(server, data)
    settings = None if address is not None else settings_of(data)
    if settings is not None:
        address = serving(settings)
    if address is not None:
        async with _client(address) as client:
            yield client
        return
    from stagewright.app.folder import Folder

    assert settings is not None
    folder = Folder(settings)
    try:
        yield folder
    finally:
        await folder.close()


def _client(address: str) -> Client:
    from stagewright.sdk.client import Client

    return Client(address)
