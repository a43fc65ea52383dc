"""Named SQL: reads `sql/*.sql` and `sql/migrations/*.sql` of this package."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries() -> dict[str, str]:
    """Return all named queries; a name that occurs twice is a bug."""
    found: dict[str, str] = {}
    for entry in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".sql"):
            continue
        parts = _NAME.split(entry.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"two queries are named {name}"
            found[name] = text.strip()
    return found


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Return the numbered migrations in order."""
    folder = files(__package__).joinpath("sql", "migrations")
    entries = sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    return tuple((int(name.split("_")[0]), text) for name, text in entries if name.endswith(".sql"))
