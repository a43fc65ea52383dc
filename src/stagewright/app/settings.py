"""Configuration: command line over `STAGEWRIGHT_*` environment over `stagewright.toml` over defaults."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stagewright.channels.process import ProcessSettings
from stagewright.definitions.aliases import mistake_in
from stagewright.engine.settings import EngineSettings
from stagewright.model.errors import Misconfigured, Problem

PREFIX = "STAGEWRIGHT_"
FILE = "stagewright.toml"

KNOWN_TO_COMMANDS = frozenset(("STAGEWRIGHT_SERVER", "STAGEWRIGHT_BUILD_UI", "STAGEWRIGHT_CONFIG"))
"""Variables that are read by the command line and the build, not by the server."""


class WorkerSettings(BaseModel):
    """Which local workers there are besides the shipped ones, and how they are run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modules: tuple[str, ...] = ()  # each has a function `workers()` that returns a list of `sdk.Worker`
    folder: Path = Path()  # where such modules are looked for after everything that is installed
    local: ProcessSettings = Field(default_factory=ProcessSettings)


class Settings(BaseModel):
    """All settings of a server. Sections are nested: `STAGEWRIGHT_ENGINE__SLICE_US`, or `[engine] slice_us` in TOML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8700  # 0: any free one
    data: Path = Path("stagewright-data")  # the folder of the database, the objects and the lock
    database: str | None = None  # sqlite:///PATH; None: DATA/stagewright.db
    objects: str | None = None  # file:///PATH; None: DATA/objects
    bus: str = "local"
    aliases: dict[str, str] = {}  # other names of workers and pipelines, before the shipped ones
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data / "stagewright.db" if self.database is None else Path(self.database.removeprefix("sqlite:///"))

    @property
    def objects_path(self) -> Path:
        """The folder of the object store."""
        return self.data / "objects" if self.objects is None else Path(self.objects.removeprefix("file://"))


def load_settings(
    environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None, folder: Path | None = None
) -> Settings:
    """Merge the sources and check them; `Misconfigured` names everything that is wrong at once.

    `overrides` come from the command line; None values do not override.
    """
    problems: list[Problem] = []
    values = _from_file(environment, folder or Path.cwd(), problems)
    _merge(values, _from_environment(environment, problems))
    _merge(values, {name: value for name, value in (overrides or {}).items() if value is not None})
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_explain(item) for item in error.errors()]
    if settings is not None:
        problems += _check_addresses(settings)
    if problems or settings is None:
        lines = "".join(f"\n  {problem.pointer}: {problem.detail}" for problem in problems)
        raise Misconfigured(f"The configuration has {len(problems)} problem(s):{lines}", problems)
    return settings


def _from_file(environment: Mapping[str, str], folder: Path, problems: list[Problem]) -> dict[str, Any]:
    named = environment.get(PREFIX + "CONFIG")
    path = Path(named) if named else folder / FILE
    if not named and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        problems.append(Problem(f"cannot be read: {error}", str(path)))
        return {}


def _from_environment(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in KNOWN_TO_COMMANDS:
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        target = values
        for part in path[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                problems.append(Problem("is set both as a value and as a section", name))
                break
        else:
            target[path[-1]] = _value(text)
    return values


def _value(text: str) -> Any:
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for name, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = value


def _explain(item: Any) -> Problem:
    path = [str(part) for part in item["loc"]]
    where = f"{'.'.join(path)} ({PREFIX}{'__'.join(path).upper()})"
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = ", ".join(sorted(Settings.model_fields)) if len(path) == 1 else "see docs/reference/settings.md"
        return Problem(f"there is no such setting; there are: {known}", where)
    return Problem(f"{item['msg']}; found {item.get('input')!r}", where)


def _check_addresses(settings: Settings) -> list[Problem]:
    problems = []
    if settings.database is not None and not settings.database.startswith("sqlite:///"):
        problems.append(Problem(f"expected sqlite:///PATH, found {settings.database!r}", "database"))
    if settings.objects is not None and not settings.objects.startswith("file://"):
        problems.append(Problem(f"expected file:///PATH, found {settings.objects!r}", "objects"))
    if settings.bus != "local":
        problems.append(Problem(f"expected 'local', found {settings.bus!r}", "bus"))
    for left, right in settings.aliases.items():
        mistake = mistake_in(left, right)
        if mistake is not None:
            problems.append(Problem(mistake, "aliases"))
    if settings.host not in ("127.0.0.1", "::1", "localhost"):
        detail = "this release serves without keys and so on loopback only: use 127.0.0.1 and a proxy that authorises"
        problems.append(Problem(f"{detail}; found {settings.host!r}", "host"))
    return problems
