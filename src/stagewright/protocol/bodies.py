"""Bodies of HTTP calls, as models: they check what comes in and describe it in OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Priority = Literal["low", "normal", "high", "critical"]
Name = Annotated[str, Field(min_length=1, max_length=200)]

TAGS_MAX = 20
BATCH_MAX = 1_000


class Body(BaseModel):
    """A JSON object that has the fields it says and no others."""

    model_config = ConfigDict(extra="forbid")


class ExecuteBody(Body):
    """What is to be executed: a registered pipeline by name, or a document inline."""

    template_name: Annotated[str, Field(min_length=1, max_length=250)] | None = Field(
        None, description="Name of a registered pipeline, `name` or `name@version`", examples=["market_research"]
    )
    pipeline: dict[str, Any] | None = Field(None, description="A pipeline document in place of `template_name`")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Checked against the pipeline's schema")
    client_id: Name | None = None
    project_id: Name | None = None
    request_id: Name | None = Field(None, description="The same id of the same client answers with the first execution")
    priority: Priority = "normal"
    quote_id: Name | None = None
    budget_usd: Annotated[float, Field(ge=0, le=1e9)] | None = Field(None, description="Hard cap of the cost")
    max_wait_s: Annotated[float, Field(ge=0, le=31_536_000)] | None = None
    deadline: datetime | None = Field(None, description="RFC 3339; the execution fails if it is not done by then")
    tags: Annotated[list[Name], Field(max_length=TAGS_MAX)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_one_pipeline(self) -> ExecuteBody:
        if (self.template_name is None) == (self.pipeline is None):
            raise ValueError("give either `template_name` or `pipeline`")
        return self


class BatchBody(Body):
    """Many executions in one call; each is accepted or refused by itself."""

    executions: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=BATCH_MAX)]


class RetryBody(Body):
    """Where a new round begins."""

    from_stage: Name | None = Field(None, description="Run this stage and all behind it again")


class CancelBody(Body):
    """Why it is cancelled."""

    reason: Annotated[str, Field(max_length=1_000)] | None = None


class ExecuteAnswer(BaseModel):
    """The accepted execution; figures that are not known are null."""

    execution_id: str
    status: str
    estimated_completion: str | None
    estimated_cost_usd: float | None
    estimated_time_ms: float | None
    progress_url: str
