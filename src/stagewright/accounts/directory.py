"""Things that are known by an id and otherwise say of themselves what they want: clients, projects, agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from stagewright.model.errors import NotFound, WrongState
from stagewright.model.ids import IdSource
from stagewright.ports.clock import Clock
from stagewright.ports.store import Row, Store

PAGE = 500  # items that are read at once

Kind = Literal["client", "project", "agent"]


class Directory:
    """All clients, all projects or all agents of a database. Items have their id, their own fields and two times."""

    def __init__(self, kind: Kind, store: Store, clock: Clock, ids: IdSource) -> None:
        self.kind = kind
        self.key = "name" if kind == "agent" else f"{kind}_id"
        self._store, self._clock, self._ids = store, clock, ids

    async def add(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Add one, with a new id if it names none; `WrongState` if the id is taken."""
        own, id = self._split(fields)
        rows = await self._store.write([(f"add_{self.kind}", (id, orjson.dumps(own).decode(), self._clock.now_us()))])
        if not rows[0]:
            raise WrongState(f"The {self.kind} '{id}' is there already: change it with PUT, or use another {self.key}")
        return await self.get(id)

    async def put(self, id: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Make one what it shall be from now on; return it and whether it is new."""
        own, _ = self._split({**fields, self.key: id})
        rows = await self._store.write([(f"put_{self.kind}", (id, orjson.dumps(own).decode(), self._clock.now_us()))])
        created_at, updated_at = rows[0][0]
        return _item(self.key, (id, orjson.dumps(own), created_at, updated_at)), created_at == updated_at

    async def get(self, id: str) -> dict[str, Any]:
        """Return one; `NotFound` if there is none."""
        rows = await self._store.read(self.kind, id)
        if not rows:
            raise NotFound(f"There is no {self.kind} '{id}': list them, or add it with POST")
        return _item(self.key, rows[0])

    async def page(self, after: str, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` of them by their ids, those above `after`."""
        return [_item(self.key, row) for row in await self._store.read(f"{self.kind}s", after, limit)]

    async def workers(self) -> dict[str, str]:
        """Return the workers of agents by the names of these, where one is named."""
        found: dict[str, str] = {}
        after = ""
        while page := await self.page(after, PAGE):
            found |= {item["name"]: item["worker"] for item in page if item.get("worker")}
            after = page[-1]["name"]
        return found

    def _split(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        given = fields.get(self.key)
        id = given if isinstance(given, str) and given else self._ids.new(self.kind)
        return {name: value for name, value in fields.items() if name != self.key and value is not None}, id


def _item(key: str, row: Row) -> dict[str, Any]:
    id, document, created_at, updated_at = row
    return {**orjson.loads(document), key: id, "created_at": created_at, "updated_at": updated_at}
