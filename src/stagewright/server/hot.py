"""The three routes that carry the load: submit, submit many, read one. Plain ASGI with nothing in between.

They share with all other routes the models of their bodies and the one way in which an error is told.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError

from stagewright.engine.service import Service
from stagewright.engine.submit import Submitted
from stagewright.model.errors import Invalid, KeyReused, NotFound, Refusal
from stagewright.ports.clock import Chance
from stagewright.protocol.bodies import BatchBody, ExecuteBody
from stagewright.server.body import (
    Receive,
    Scope,
    Send,
    is_suspicious,
    key_of,
    parse_body,
    read_body,
    refuse_unstorable,
)
from stagewright.server.problem import Header, log_unexpected, problem_of, refusal_of, trace_id_of
from stagewright.server.replies import Replies

_JSON: Header = (b"content-type", b"application/json")
_REPLAYED: Header = (b"idempotent-replayed", b"true")


class HotRoutes:
    """Handlers of `POST /execute`, `POST /execute/batch` and `GET /api/executions/{id}`."""

    def __init__(self, service: Service, replies: Replies, chance: Chance) -> None:
        self._service, self._replies, self._chance = service, replies, chance

    async def execute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 202 once the execution is durable; 200 with the first one if its key was there before."""
        body = parse_body(ExecuteBody, await read_body(scope, receive))
        submitted = await self._service.execute(body, idempotency_key=key_of(scope))
        answer = await self._answer(submitted)
        if submitted.is_new:
            await send_json(send, 202, orjson.dumps(answer))
        else:
            await send_json(send, 200, orjson.dumps(answer), _REPLAYED)

    async def execute_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 202 with an execution or a problem for each body, in their order."""
        raw = await read_body(scope, receive)
        batch = parse_body(BatchBody, raw, is_text_checked=True)
        key = key_of(scope)
        if key is not None:
            await self._replies.claim(f"batch/{key}", raw)
        suspicious = is_suspicious(raw)
        bodies = [_body_of(item, suspicious) for item in batch.executions]
        outcomes = await self._service.execute_all(bodies, idempotency_key=key)
        is_replay = key is not None and all(isinstance(one, Submitted) and not one.is_new for one in outcomes)
        trace_id = trace_id_of(scope, self._chance)
        items = [await self._item(outcome, trace_id) for outcome in outcomes]
        content = orjson.dumps({"items": items})
        if is_replay:
            await send_json(send, 200, content, _REPLAYED)
        else:
            await send_json(send, 202, content)

    async def execution(self, execution_id: str, send: Send) -> None:
        """Answer with one execution."""
        await send_json(send, 200, orjson.dumps(await self._service.views.execution(execution_id)))

    async def _item(self, outcome: Submitted | BaseException, trace_id: str) -> dict[str, Any]:
        if isinstance(outcome, Submitted):
            return await self._answer(outcome)
        if not isinstance(outcome, Exception):
            raise outcome  # a cancelled request, not an answer
        log_unexpected(outcome, trace_id, "/execute/batch")
        return {"problem": problem_of(outcome, trace_id)}

    async def _answer(self, submitted: Submitted) -> dict[str, Any]:
        execution_id, status = submitted.execution_id, "running"
        if not submitted.is_new:
            status = await self._status(execution_id)
        return accepted(execution_id, status)

    async def _status(self, execution_id: str) -> str:
        try:
            return (await self._service.views.status(execution_id))[0]
        except NotFound as error:
            raise KeyReused(f"The key belongs to execution {execution_id}, which is not kept any more") from error


def accepted(execution_id: str, status: str) -> dict[str, Any]:
    """Shape the answer to a submission; figures that are not known are null."""
    return {
        "execution_id": execution_id,
        "status": status,
        "estimated_completion": None,
        "estimated_cost_usd": None,
        "estimated_time_ms": None,
        "progress_url": f"/progress/{execution_id}",
    }


async def send_json(send: Send, status: int, content: bytes, *headers: Header) -> None:
    """Send a whole JSON answer."""
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": content})


def _body_of(item: dict[str, Any], suspicious: bool) -> ExecuteBody | Refusal:
    try:
        if suspicious:
            refuse_unstorable(item)
        return ExecuteBody.model_validate(item)
    except ValidationError as error:
        return refusal_of(error)
    except Invalid as error:
        return error
