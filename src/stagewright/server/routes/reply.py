"""The response that all routes give: JSON by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return orjson.dumps(content)


def listed(items: list[dict[str, Any]], next_cursor: str | None = None) -> Json:
    """Answer with a page."""
    return Json({"items": items, "next_cursor": next_cursor})


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Describe an optional JSON body that the route reads by itself; `server.openapi` adds the model."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}
