"""Answers of the API as models: they describe it in OpenAPI, and tests hold real answers against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2026-11-21T09:30:00.000000Z"])]
ExecutionStatus = Literal["pending", "running", "paused", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "waiting", "ready", "running", "completed", "failed", "skipped", "cancelled"]


class Answer(BaseModel):
    """An object that has the fields it says and no others."""

    model_config = ConfigDict(extra="forbid")


class ProblemItem(Answer):
    """One thing that is wrong."""

    detail: str
    pointer: str = Field(description="JSON pointer as a URI fragment, `#/stages/0/worker`")
    line: int | None = Field(None, description="Line of a document that has lines, from 1")


class ProblemDocument(Answer):
    """An error, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None
    code: str = Field(description="Stable word for programs")
    errors: list[ProblemItem]
    trace_id: str
    retry_after: int | None = Field(None, description="Seconds after which to try again")


class BatchProblem(Answer):
    """Why one body of a batch was refused."""

    problem: ProblemDocument


class Accepted(Answer):
    """The accepted execution; figures that are not known are null."""

    execution_id: str
    status: ExecutionStatus
    estimated_completion: Time | None
    estimated_cost_usd: float | None
    estimated_time_ms: float | None
    progress_url: str


class BatchAnswer(Answer):
    """An execution or a problem for each body, in their order."""

    items: list[Accepted | BatchProblem]


class ErrorShown(Answer):
    """Why an execution or a step failed."""

    code: str
    message: str
    stage_id: str | None
    type: str | None
    retryable: bool | None


class DataRefShown(Answer):
    """Where a value lies that is too large to stand inline."""

    storage_type: Literal["inline", "kv", "object"]
    storage_key: str
    size_bytes: int
    checksum: str
    expires_at: Time | None
    url: str


class StepCounts(Answer):
    """How many steps a stage has, and how they ended."""

    total: int
    completed: int
    failed: int


class StageShown(Answer):
    """A stage of an execution."""

    stage_id: str
    worker: str | None
    action: str | None
    status: StepStatus
    needs: list[str]
    attempt: int
    steps: StepCounts
    waiting: str | None
    output: Any
    data_ref: DataRefShown | None
    summary: dict[str, Any] | None
    error: ErrorShown | None
    cost_usd: float | None
    started_at: Time | None
    completed_at: Time | None


class StepShown(Answer):
    """A step that has begun."""

    step: str
    stage_id: str
    status: StepStatus
    attempt: int
    round: int
    failures: int
    lost: int
    worker_id: str | None
    waiting: str | None
    ready_at: Time | None
    started_at: Time | None
    completed_at: Time | None
    next_attempt_at: Time | None
    output: Any
    data_ref: DataRefShown | None
    summary: dict[str, Any] | None
    error: ErrorShown | None
    cost_usd: float | None


class Waiting(Answer):
    """Why an open execution does nothing now."""

    reason: str
    stage_id: str | None = None
    pool: str | None = None
    position: int | None = None
    eta: Time | None = None


class DeliverableShown(Answer):
    """An artifact that answers the request."""

    artifact_id: str
    stage_id: str
    name: str
    media_type: str
    size_bytes: int
    url: str


class ExecutionShown(Answer):
    """One execution with its stages."""

    execution_id: str
    pipeline: str
    version: int
    status: ExecutionStatus
    priority: str
    client_id: str | None
    project_id: str
    request_id: str | None
    tags: list[str]
    parameters: dict[str, Any]
    output: Any
    error: ErrorShown | None
    budget_usd: float | None
    cost_usd: float | None
    progress: float = Field(ge=0, le=100)
    estimate: dict[str, Any] | None
    round: int
    created_at: Time
    deadline_at: Time | None
    started_at: Time | None
    completed_at: Time | None
    waiting: Waiting | None
    stages: list[StageShown]
    deliverables: list[DeliverableShown]


class ExecutionItem(Answer):
    """An execution in a list."""

    execution_id: str
    project_id: str
    client_id: str | None
    request_id: str | None
    pipeline: str
    version: int
    status: ExecutionStatus
    priority: str
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    cost_usd: float | None
    error: ErrorShown | None
    tags: list[str]


class Listed(Answer):
    """A page; `next_cursor` is null on the last one."""

    next_cursor: str | None


class ExecutionList(Listed):
    """Executions, the newest first."""

    items: list[ExecutionItem]


class StepList(Listed):
    """The steps of an execution that have begun."""

    items: list[StepShown]


class EventShown(Answer):
    """A fact, numbered per execution from 1 without gaps."""

    seq: int
    type: str
    at: Time
    execution_id: str
    stage_id: str | None = None
    step: str | None = None
    attempt: int | None = None
    data: dict[str, Any]


class EventFrame(EventShown):
    """An event in a stream, with what it makes of the execution."""

    status: ExecutionStatus
    stage: str | None
    progress: float = Field(ge=0, le=100)
    message: str
    estimated_remaining_ms: float | None


class EventList(Listed):
    """Events in their order."""

    items: list[EventShown]


class ArtifactShown(Answer):
    """A stored object that a step produced."""

    artifact_id: str
    execution_id: str
    stage_id: str
    step: str
    name: str
    media_type: str
    size_bytes: int
    checksum: str
    deliverable: bool
    created_at: Time
    expires_at: Time | None
    url: str


class ArtifactList(Listed):
    """What an execution produced."""

    items: list[ArtifactShown]


class DeliverableList(Listed):
    """What answers the request."""

    items: list[DeliverableShown]


class ProgressStage(Answer):
    """A stage in a snapshot of the progress."""

    stage_id: str
    status: StepStatus
    attempt: int
    waiting: str | None
    started_at: Time | None
    completed_at: Time | None


class ProgressShown(Answer):
    """How far an execution is."""

    execution_id: str
    status: ExecutionStatus
    progress: float = Field(ge=0, le=100)
    stage: str | None
    message: str
    estimated_remaining_ms: float | None
    cost_usd: float | None
    stages: list[ProgressStage]


class Changed(Answer):
    """The execution and its status after a change."""

    execution_id: str
    status: ExecutionStatus


class OpenStep(Answer):
    """A step that waits or is at work, and why."""

    step: str
    status: StepStatus
    reason: str
    worker: str | None
    position: int | None = Field(description="Place in the queue for a slot of the worker, from 1")
    slots: int | None
    slots_in_use: int | None
    since: Time | None
    next_attempt_at: Time | None
    eta: Time | None


class Explained(Answer):
    """Why an execution is where it is."""

    execution_id: str
    status: ExecutionStatus
    explanation: str
    waiting: Waiting | None
    steps: list[OpenStep]


class PipelineShown(Answer):
    """A registered pipeline."""

    name: str
    version: int
    digest: str
    description: str
    created_at: Time


class PipelineDocument(PipelineShown):
    """A registered pipeline with its document."""

    document: dict[str, Any]


class PipelineList(Listed):
    """The newest version of each pipeline, by name."""

    items: list[PipelineShown]


class Validated(Answer):
    """Whether a document could be registered, and all that speaks against it."""

    valid: bool
    name: str | None
    problems: list[ProblemItem]


class WorkerShown(Answer):
    """A worker that can be used in pipelines."""

    worker_name: str
    version: str
    description: str
    actions: list[str]
    capacity: int | None = Field(description="Attempts at once; null where there is no bound")
    in_use: int


class WorkerList(Listed):
    """All workers, by name."""

    items: list[WorkerShown]


class StuckStep(Answer):
    """A step that has been as it is for long."""

    execution_id: str
    step: str
    stage_id: str
    status: StepStatus
    attempt: int
    reason: str
    worker_id: str | None
    ready_at: Time | None
    started_at: Time | None
    wake_at: Time | None
    pipeline: str


class StuckList(Listed):
    """Steps that have been as they are for long."""

    items: list[StuckStep]


class Check(Answer):
    """What one part of the service answers when asked."""

    status: Literal["pass", "warn", "fail"]
    latency_ms: float
    detail: str


class Health(Answer):
    """Whether the service works."""

    status: Literal["pass", "warn", "fail"]
    version: str
    checks: dict[str, Check] | None = None


class ProblemType(Answer):
    """What a problem's `type` and `code` mean."""

    code: str
    status: int
    title: str
    description: str
