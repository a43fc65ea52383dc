"""Errors as problem documents (RFC 9457): the one place where an exception becomes a response."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from stagewright.definitions.words import did_you_mean, listed, pointer, printable, shown
from stagewright.model.errors import Invalid, Malformed, Problem, Refusal, StagewrightError
from stagewright.ports.clock import Chance

MEDIA_TYPE = "application/problem+json"
PROBLEMS_MAX = 200
INTERNAL_CODE, INTERNAL_TITLE = "internal_error", "The server failed"
RETRY_AFTER_S = 1.0

Header = tuple[bytes, bytes]

KNOWN_FIELDS: dict[str, list[str]] = {}
"""Fields of each body model by its name, for messages on fields that are not there."""

_logger = logging.getLogger("stagewright.server")
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.DOTALL
)


class UnknownPath(Refusal):
    """No route has this path."""

    code, status, title = "unknown_path", 404, "There is no such path"


class WrongMethod(Refusal):
    """The path is there, but not for this method."""

    code, status, title = "wrong_method", 405, "The path does not take this method"

    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed


class SlowBody(Refusal):
    """The body did not arrive in time."""

    code, status, title = "slow_body", 408, "The request did not arrive in time"


class KeyInUse(Refusal):
    """The first request with this idempotency key is not answered yet."""

    code, status, title = "idempotency_key_in_use", 409, "The idempotency key is in use"


class BadRange(Refusal):
    """The asked part lies outside of the content."""

    code, status, title = "range_not_satisfiable", 416, "There is no such part"

    def __init__(self, detail: str, size_bytes: int) -> None:
        super().__init__(detail)
        self.size_bytes = size_bytes


def problem_of(error: BaseException, trace_id: str, instance: str | None = None) -> dict[str, Any]:
    """Shape any exception as a problem document; what is no refusal of ours says nothing of its inside."""
    if not isinstance(error, StagewrightError):
        return _unexpected(trace_id, instance)
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": printable(error.detail) or error.title,
        "instance": instance,
        "code": error.code,
        "errors": [problem.as_json() for problem in error.problems[:PROBLEMS_MAX]],
        "trace_id": trace_id,
    }


def problem_response(error: BaseException, scope: Mapping[str, Any], chance: Chance) -> tuple[int, list[Header], bytes]:
    """Return status, headers and body that tell an exception; one that nobody expected is logged with its trace."""
    error = as_refusal(error, scope)
    trace_id = trace_id_of(scope, chance)
    log_unexpected(error, trace_id, f"{scope.get('method', 'GET')} {scope.get('path')}")
    body = problem_of(error, trace_id, printable(str(scope.get("path", "")))[:500])
    status = int(body["status"])
    headers: list[Header] = [(b"content-type", MEDIA_TYPE.encode())]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        wait_s = getattr(error, "retry_after_s", None) or RETRY_AFTER_S
        body["retry_after"] = math.ceil(wait_s)
        headers.append((b"retry-after", str(math.ceil(wait_s)).encode()))
    if isinstance(error, WrongMethod):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, BadRange):
        headers.append((b"content-range", f"bytes */{error.size_bytes}".encode()))
    if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT):
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    content = orjson.dumps(body)
    headers.append((b"content-length", str(len(content)).encode()))
    return status, headers, content


def log_unexpected(error: BaseException, trace_id: str, request: str) -> None:
    """Log what nobody expected, with its trace; a refusal is the caller's business and is not logged."""
    if not isinstance(error, StagewrightError):
        _logger.error("request.failed", exc_info=error, extra={"fields": {"trace_id": trace_id, "request": request}})


def as_refusal(error: BaseException, scope: Mapping[str, Any]) -> BaseException:
    """Translate what the routing library raises into refusals of ours."""
    if isinstance(error, RequestValidationError):
        return _refused_parts(error.errors())
    if not isinstance(error, HTTPException):
        return error
    method, path = scope.get("method"), printable(str(scope.get("path")))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow") or "GET"
        return WrongMethod(f"{path} does not take {method}. It takes: {allowed}", allowed)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return UnknownPath(f"There is no path {path}: GET /openapi.json lists all")
    return Malformed(f"The request cannot be read: {error.detail}")


def _refused_parts(items: Sequence[Any]) -> Refusal:
    """Tell which parameters of the path or the query cannot be read; bodies are checked elsewhere."""
    problems = [_problem_of(item, []) for item in items[:PROBLEMS_MAX]]
    where, name = items[0]["loc"][:2]
    return Malformed(f"The {where} parameter '{name}' cannot be read: {problems[0].detail}", problems)


def trace_id_of(scope: Mapping[str, Any], chance: Chance) -> str:
    """Return the trace id of the caller's `traceparent` (W3C Trace Context), else a new one."""
    for name, value in scope.get("headers", ()):
        if name == b"traceparent":
            match = _TRACEPARENT.fullmatch(value)
            if match:
                return str(match[1].decode())
    return f"{chance.bits(128) or 1:032x}"


def refusal_of(error: ValidationError) -> Refusal:
    """Tell what a body model refused: `Malformed` if it is no JSON at all, else `Invalid` with every problem."""
    items = error.errors(include_url=False)
    for item in items:
        if item["type"] == "json_invalid":
            reason = item.get("ctx", {}).get("error", "it cannot be read")
            return Malformed(f"The body is no JSON: {reason}. Send a JSON object", (Problem(str(reason), "#"),))
    problems = [_problem_of(item, KNOWN_FIELDS.get(error.title, [])) for item in items[:PROBLEMS_MAX]]
    return invalid(problems)


def invalid(problems: Iterable[Problem]) -> Invalid:
    """Wrap problems of a body; the first is the headline."""
    found = list(problems)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Invalid(f"{found[0].pointer}: {found[0].detail}{more}", found)


def _problem_of(item: Any, known: list[str]) -> Problem:
    where = pointer("#", *item["loc"])
    kind, found = item["type"], item.get("input")
    if kind == "extra_forbidden":
        name = str(item["loc"][-1])
        return Problem(f"There is no field '{name}'{did_you_mean(name, known)}. There are: {listed(known, 20)}", where)
    if kind == "missing":
        return Problem("The field is required: add it", where)
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "It should")
    shows_it = not isinstance(found, dict | list) or kind.endswith("_type")
    return Problem(printable(f"{message}, found: {shown(found)}" if shows_it else message), where)


def _unexpected(trace_id: str, instance: str | None) -> dict[str, Any]:
    return {
        "type": f"/problems/{INTERNAL_CODE}",
        "title": INTERNAL_TITLE,
        "status": 500,
        "detail": f"Something unexpected happened. The server's log says what, under trace id {trace_id}",
        "instance": instance,
        "code": INTERNAL_CODE,
        "errors": [],
        "trace_id": trace_id,
    }
