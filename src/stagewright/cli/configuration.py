"""`stagewright config …`: the settings as they hold here, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stagewright.cli.options import Data, settings_of
from stagewright.cli.screen import Screen


def show(screen: Screen, data: Data = None) -> None:
    """Show all settings: name, value and origin (command line, environment, file or default)."""
    settings = settings_of(data)
    named = {"data": data} if data is not None else {}
    origins = _origins(named)
    items = [
        {"name": ".".join(path), "value": value, "origin": origins.get(".".join(path), "default")}
        for path, value in _leaves(settings.model_dump(mode="json"))
    ]
    if screen.as_json:
        screen.json({item["name"]: {"value": item["value"], "origin": item["origin"]} for item in items})
        return
    screen.table(items, ("name", "value", "origin"))


def _origins(named: dict[str, Any]) -> dict[str, str]:
    """Return where the settings that are no defaults come from, the strongest last."""
    from stagewright.app.settings import FILE, KNOWN_TO_COMMANDS, PREFIX

    file = Path(os.environ.get(PREFIX + "CONFIG") or FILE)
    found: dict[str, str] = {}
    if file.is_file():
        import tomllib

        found |= {".".join(path): str(file) for path, _ in _leaves(tomllib.loads(file.read_text(encoding="utf-8")))}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in KNOWN_TO_COMMANDS:
            found[name.removeprefix(PREFIX).lower().replace("__", ".")] = name
    return found | dict.fromkeys(named, "command line")


def _leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


COMMANDS = {"show": show}
