"""Requests: what a client orders, kept, and executed as often as it is asked for, but never twice at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from stagewright.model.errors import NotFound, Refusal, Stalled, WrongState
from stagewright.model.ids import IdSource
from stagewright.ports.clock import Clock
from stagewright.ports.store import Row, Store

TURNS_TRIED_MAX = 100  # times that others may begin a turn first before the caller is told to come back

Submit = Callable[[dict[str, Any]], Awaitable[tuple[str, bool]]]
"""Submits a body of `/execute`; returns the execution and whether it is new."""
IsOpen = Callable[[str], Awaitable[bool]]

_OF_EXECUTION = ("template_name", "pipeline", "client_id", "project_id", "priority", "budget_usd", "tags")


@dataclass(frozen=True, slots=True)
class _Turn:
    """Where a request is: how often it was begun, what is begun and not yet accepted, its latest execution."""

    number: int
    pending: str | None
    execution_id: str | None


class Requests:
    """All requests of a database."""

    def __init__(self, store: Store, clock: Clock, ids: IdSource) -> None:
        self._store, self._clock, self._ids = store, clock, ids

    async def add(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a request, with a new id if it names none; `WrongState` if the id is taken."""
        id = fields.get("request_id") or self._ids.new("req")
        own = {name: value for name, value in fields.items() if name != "request_id" and value is not None}
        document, now = orjson.dumps(own).decode(), self._clock.now_us()
        rows = await self._store.write([("add_request", (id, own.get("client_id"), document, now))])
        if not rows[0]:
            raise WrongState(f"The request '{id}' is there already: use another request_id")
        return await self.get(id)

    async def get(self, request_id: str) -> dict[str, Any]:
        """Return a request with its latest execution; `NotFound` if there is none."""
        return _item(await self._row(request_id))

    async def page(self, after: str, limit: int, client: str | None) -> list[dict[str, Any]]:
        """Return at most `limit` requests by their ids, those above `after`."""
        return [_item(row) for row in await self._store.read("requests", after, client, limit)]

    async def execute(
        self, request_id: str, parameters: Mapping[str, Any], submit: Submit, is_open: IsOpen
    ) -> tuple[str, bool]:
        """Return the request's open execution, else start one; `parameters` are laid over the stored ones.

        What is to be submitted is written first, under a key of its own, so that two callers at a time, or one after
        a crash, come to the same execution.
        """
        for _ in range(TURNS_TRIED_MAX):
            row = await self._row(request_id)
            turn = _Turn(row[2], row[3], row[4])
            if turn.pending is None:
                if turn.execution_id is not None and await is_open(turn.execution_id):
                    return turn.execution_id, False
                await self._begin(request_id, turn, _body(row, parameters, turn.number + 1))
                continue  # whoever has begun it: the row now says what is to be submitted
            return await self._submit(request_id, turn, orjson.loads(turn.pending), submit)
        raise Stalled(f"Others keep starting request '{request_id}': try again", retry_after_s=1)

    async def _begin(self, request_id: str, turn: _Turn, body: dict[str, Any]) -> None:
        pending = orjson.dumps(body).decode()
        await self._store.write([("begin_request", (request_id, turn.number, pending, self._clock.now_us()))])

    async def _submit(self, request_id: str, turn: _Turn, body: dict[str, Any], submit: Submit) -> tuple[str, bool]:
        try:
            execution_id, is_new = await submit(body)
        except Stalled:
            raise  # nothing was decided: the turn stays begun
        except Refusal:
            await self._settle(request_id, turn, None)
            raise
        await self._settle(request_id, turn, execution_id)
        return execution_id, is_new

    async def _settle(self, request_id: str, turn: _Turn, execution_id: str | None) -> None:
        params = (request_id, turn.number, execution_id, self._clock.now_us())
        await self._store.write([("settle_request", params)])

    async def _row(self, request_id: str) -> Row:
        rows = await self._store.read("request", request_id)
        if not rows:
            raise NotFound(f"There is no request '{request_id}': list them, or add it with POST /api/requests")
        return rows[0]


def _body(row: Row, parameters: Mapping[str, Any], turn: int) -> dict[str, Any]:
    stored = orjson.loads(row[1])
    body = {name: stored[name] for name in _OF_EXECUTION if name in stored}
    body["parameters"] = {**stored.get("parameters", {}), **parameters}
    body["request_id"] = row[0] if turn == 1 else f"{row[0]}#{turn}"
    return body


def _item(row: Row) -> dict[str, Any]:
    request_id, document, turn, _, execution_id, created_at, updated_at = row
    own = orjson.loads(document)
    times = {"created_at": created_at, "updated_at": updated_at}
    return {**own, "request_id": request_id, "turn": turn, "execution_id": execution_id, **times}
