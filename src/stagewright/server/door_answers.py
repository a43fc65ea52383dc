"""Answers to the calls of other systems, in the words of their clients."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from stagewright.server.answers import Accepted, Answer, ExecutionStatus, Listed, StepStatus, Time

RunStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
RunStepStatus = Literal["queued", "running", "succeeded", "failed", "skipped", "cancelled"]


class OpenAnswer(BaseModel):
    """An object with the fields it says, and those that its owner has given it."""

    model_config = ConfigDict(extra="allow")


class ClientShown(OpenAnswer):
    """A client."""

    client_id: str
    created_at: Time
    updated_at: Time


class ClientList(Listed):
    """Clients by their ids."""

    items: list[ClientShown]


class ProjectShown(OpenAnswer):
    """A project."""

    project_id: str
    created_at: Time
    updated_at: Time


class ProjectList(Listed):
    """Projects by their ids."""

    items: list[ProjectShown]


class RequestShown(Answer):
    """A stored request and its latest execution."""

    request_id: str
    client_id: str | None
    project_id: str | None
    template_name: str | None
    pipeline: dict[str, Any] | None
    parameters: dict[str, Any]
    priority: str
    budget_usd: float | None
    tags: list[str]
    title: str | None
    description: str | None
    execution_id: str | None
    status: ExecutionStatus | None
    created_at: Time
    updated_at: Time


class RequestList(Listed):
    """Requests by their ids."""

    items: list[RequestShown]


class RequestAccepted(Accepted):
    """The execution of a request."""

    request_id: str


class MasterTemplateShown(OpenAnswer):
    """A master template; `pipeline_stages` is JSON in a text."""

    template_id: str | int | None
    template_name: str
    pipeline_stages: str
    version: int


class MasterTemplateList(Listed):
    """Master templates by name."""

    items: list[MasterTemplateShown]


class RunStarted(Answer):
    """A run that was accepted."""

    id: str
    status: RunStatus


class RunItem(RunStarted):
    """A run in a list."""

    goal: str
    project_id: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class RunList(Listed):
    """Runs, the newest first."""

    items: list[RunItem]


class RunStep(Answer):
    """A step of a run; outputs that are large are a data reference with its URL."""

    name: str
    tool: str | None
    status: RunStepStatus
    outputs: Any
    error: dict[str, Any] | None


class RunShown(RunItem):
    """A run with its steps."""

    steps: list[RunStep]
    artifacts: list[dict[str, Any]]
    error: dict[str, Any] | None


class RunEvent(Answer):
    """Something that happened in a run; numbers rise but may leave some out."""

    seq: int
    type: Literal["run.created", "step.started", "llm.usage", "step.finished", "artifact.created", "run.finished"]
    at: Time
    run_id: str
    step: str | None
    data: dict[str, Any]


class RunEvents(Listed):
    """Events of a run in their order."""

    items: list[RunEvent]


class WorkflowShown(OpenAnswer):
    """A workflow as it was written, with its id, which names one version of it."""

    id: str
    name: str
    version: int
    projectId: str | None
    nodes: list[dict[str, Any]]
    createdAt: Time


class WorkflowList(Listed):
    """The newest version of each workflow, by name."""

    items: list[WorkflowShown]


class WorkflowStarted(Answer):
    """An execution of a workflow."""

    executionId: str
    workflowId: str
    status: ExecutionStatus


class WorkflowExecution(WorkflowStarted):
    """An execution of a workflow in a list."""

    createdAt: Time
    startedAt: Time | None
    completedAt: Time | None
    error: dict[str, Any] | None


class WorkflowExecutionList(Listed):
    """Executions of a workflow, the newest first."""

    items: list[WorkflowExecution]


class AgentShown(OpenAnswer):
    """An agent; `available` says whether its worker is there."""

    name: str
    worker: str
    available: bool
    createdAt: Time


class AgentList(Listed):
    """Agents by name."""

    items: list[AgentShown]


class AgentRun(Answer):
    """What an agent did, or does, for one node of an execution."""

    id: str
    agent: str
    executionId: str
    nodeId: str
    status: StepStatus
    attempt: int
    startedAt: Time | None
    completedAt: Time | None
    error: dict[str, Any] | None


class AgentRunList(Listed):
    """What agents did in a page of executions, the newest first."""

    items: list[AgentRun]
