"""Stored bytes: artifacts and values by key, streamed, in parts where asked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from stagewright.engine.service import Service
from stagewright.engine.views import Views
from stagewright.model.data import DataRef
from stagewright.server.problem import BadRange

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PLAIN_NAME = re.compile(r"[^\x20-\x7e]|[\"\\]")

_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part that `Range` asked for"},
    304: {"description": "`If-None-Match` names this content"},
}

# What a worker produced is shown, but as a page from nowhere: it can neither run scripts nor call this API.
_SAFE = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:",
    "x-content-type-options": "nosniff",
}


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["artifacts"])
    views = service.views

    @routes.get("/api/artifacts/{artifact_id}", response_class=Response, responses=_BYTES)
    async def get_artifact(
        request: Request,
        artifact_id: str,
        download: Annotated[bool, Query(description="Ask browsers to save it instead of showing it")] = False,
    ) -> Response:
        """Stream an artifact, or the part of it that `Range` names."""
        item, ref = await views.artifact(artifact_id)
        place = "attachment" if download else "inline"
        return await _stream(views, request, ref, item["media_type"], _disposition(place, item["name"]))

    @routes.get("/api/objects/{key}", response_class=Response, responses=_BYTES)
    async def get_object(
        request: Request, key: Annotated[str, Path(max_length=100, examples=["sha256:0f3a…"])]
    ) -> Response:
        """Stream the stored value that a data reference names."""
        ref = await views.blob(key)
        media_type = "application/json" if ref.storage_type == "kv" else "application/octet-stream"
        return await _stream(views, request, ref, media_type, "inline")

    return routes


async def _stream(views: Views, request: Request, ref: DataRef, media_type: str, disposition: str) -> Response:
    etag = f'"{ref.checksum}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",
        "content-disposition": disposition,
        **_SAFE,
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    part = _part(request, ref, etag)
    start, end = part or (0, ref.size_bytes)
    headers["content-length"] = str(end - start)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{ref.size_bytes}"
    chunks = await _begun(views.stream(ref, start, end))
    return StreamingResponse(chunks, 206 if part else 200, headers, media_type)


def _part(request: Request, ref: DataRef, etag: str) -> tuple[int, int] | None:
    """Return what `Range` asks for (RFC 9110, section 14), None for the whole; several ranges give the whole."""
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or match[0] == "bytes=-" or request.headers.get("if-range", etag) != etag:
        return None
    first, last, size = match[1], match[2], ref.size_bytes
    start = max(0, size - int(last)) if not first else int(first)
    end = size if not first or not last else min(size, int(last) + 1)
    if first and last and int(last) < int(first):
        return None  # not a range at all, says the standard
    if start >= end:
        raise BadRange(f"The content has {size} bytes, there is no part {match[0]}", size)
    return start, end


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Fetch the first chunk before anything is answered, so that missing bytes are a clear error."""
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_chunks()


def _disposition(place: str, name: str) -> str:
    plain = _PLAIN_NAME.sub("_", name)
    return f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
