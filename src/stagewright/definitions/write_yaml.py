"""Documents as YAML for people: read again, they are the same documents."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

WIDTH = 110


def yaml_text(document: Any) -> str:
    """Return a plain JSON value as YAML in the block style, names in their order."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    writer.width, writer.allow_unicode = WIDTH, True
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()
