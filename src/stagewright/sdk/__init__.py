"""For people who write workers: `Worker`, `Context`, `Result`, `Retry`, `Terminal`."""

from stagewright.sdk.context import ArtifactRef, Context
from stagewright.sdk.outcome import Result, Retry, Terminal
from stagewright.sdk.worker import Action, Worker

__all__ = ["Action", "ArtifactRef", "Context", "Result", "Retry", "Terminal", "Worker"]
