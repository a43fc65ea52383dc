"""Bodies of the calls of other systems: key accounts, plans, workflows and agents, as their clients write them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stagewright.protocol.bodies import TAGS_MAX, Body, Name, Priority

RequestId = Annotated[str, Field(min_length=1, max_length=180)]


class OpenBody(BaseModel):
    """A JSON object that may have fields of its own besides those that mean something here."""

    model_config = ConfigDict(extra="allow")


class ClientBody(OpenBody):
    """A client; fields of its own are kept and shown."""

    client_id: Name | None = Field(None, description="A new one is made if none is given")
    name: Name | None = None


class ProjectBody(OpenBody):
    """A project; fields of its own are kept and shown."""

    project_id: Name | None = Field(None, description="A new one is made if none is given")
    name: Name | None = None


class RequestBody(Body):
    """What a client orders: a registered pipeline by name, a document, or the stages of a master template."""

    request_id: RequestId | None = Field(None, description="A new one is made if none is given")
    client_id: Name | None = None
    project_id: Name | None = None
    template_name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    pipeline: dict[str, Any] | None = Field(None, description="A document of any dialect")
    pipeline_stages: list[Any] | str | None = Field(None, description="Stages of a master template, or their JSON")
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = "normal"
    budget_usd: Annotated[float, Field(ge=0, le=1e9)] | None = None
    tags: Annotated[list[Name], Field(max_length=TAGS_MAX)] = Field(default_factory=list)
    title: Annotated[str, Field(max_length=1_000)] | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _has_one_pipeline(self) -> RequestBody:
        if self.pipeline is not None and (self.template_name is not None or self.pipeline_stages is not None):
            raise ValueError("give `pipeline` alone, or `template_name`, or `pipeline_stages`")
        if self.pipeline is None and self.template_name is None and self.pipeline_stages is None:
            raise ValueError("give one of `template_name`, `pipeline` and `pipeline_stages`")
        return self


class RequestExecuteBody(Body):
    """What is laid over the stored parameters of a request for one execution."""

    parameters: dict[str, Any] = Field(default_factory=dict)


class MasterTemplateBody(OpenBody):
    """A master template; fields of its own are kept and shown."""

    template_id: str | int | None = None
    template_name: str | None = Field(None, description="As in the path, if it is given")
    pipeline_stages: list[Any] | str = Field(description="The stages, or a text that holds them as JSON")


class PlanBody(Body):
    """A plan to be executed."""

    plan: dict[str, Any] = Field(description="`{goal, steps: [{name, tool, inputs, needs?}]}`")
    project_id: Name | None = None


class TriggerBody(Body):
    """What a workflow is triggered with; its nodes refer to it as `{{inputs.NAME}}`."""

    inputs: dict[str, Any] = Field(default_factory=dict)


class AgentBody(OpenBody):
    """An agent: a name for a worker; fields of its own are kept and shown."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=128)]
    worker: Name | None = Field(None, description="The worker that is the agent; without it, the one of the same name")
    description: Annotated[str, Field(max_length=10_000)] | None = None


DOOR_BODIES: tuple[type[BaseModel], ...] = (
    ClientBody, ProjectBody, RequestBody, RequestExecuteBody, MasterTemplateBody, PlanBody, TriggerBody, AgentBody,
)  # fmt: skip
