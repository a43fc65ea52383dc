"""Which dialect a document is of, by the field that only that dialect has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from stagewright.definitions.dialects.master_template import translate_master_template
from stagewright.definitions.dialects.plan import translate_plan
from stagewright.definitions.dialects.translation import Translation
from stagewright.definitions.dialects.workflow import translate_workflow
from stagewright.model.errors import Problem

Dialect = Literal["canonical", "master_template", "plan", "workflow"]

_MARKS: tuple[tuple[str, Dialect], ...] = (
    ("stages", "canonical"),
    ("pipeline_stages", "master_template"),
    ("nodes", "workflow"),
    ("steps", "plan"),
    ("template_name", "master_template"),
    ("goal", "plan"),
)
_TRANSLATE: dict[Dialect, Callable[[Mapping[str, Any]], Translation]] = {
    "master_template": translate_master_template,
    "plan": translate_plan,
    "workflow": translate_workflow,
}


def dialect_of(document: Mapping[str, Any]) -> Dialect:
    """Return the dialect of a document; what has no mark of any is judged as a canonical one."""
    return next((dialect for mark, dialect in _MARKS if mark in document), "canonical")


def translate(document: Mapping[str, Any]) -> Translation | None:
    """Return the canonical document of one in another dialect, or None where it is canonical."""
    make = _TRANSLATE.get(dialect_of(document))
    return None if make is None else make(document)


def place_in(document: Mapping[str, Any], canonical: str) -> str:
    """Return where something of the canonical form stands in the document as it was written."""
    translation = translate(document)
    if translation is None:
        return canonical
    return translation.told(Problem("", translation.place(canonical))).pointer
