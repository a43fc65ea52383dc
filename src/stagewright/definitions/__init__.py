"""Pipeline documents: loading and checking, expressions, parameters, graphs. Imports only `model`."""

from stagewright.definitions.dialects import dialect_of
from stagewright.definitions.draw_mermaid import mermaid
from stagewright.definitions.draw_svg import svg
from stagewright.definitions.expressions import ExpressionError, NeedsData, Reference, Template
from stagewright.definitions.graph import find_cycle, topological_order
from stagewright.definitions.load import load_text, load_value
from stagewright.definitions.parameters import check_parameters
from stagewright.definitions.schema import pipeline_schema

__all__ = [
    "ExpressionError",
    "NeedsData",
    "Reference",
    "Template",
    "check_parameters",
    "dialect_of",
    "find_cycle",
    "load_text",
    "load_value",
    "mermaid",
    "pipeline_schema",
    "svg",
    "topological_order",
]
