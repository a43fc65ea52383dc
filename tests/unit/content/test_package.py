"""What the package offers: its workers, its pipeline, its demo, and that looking at it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from stagewright.definitions.load import load_text
from stagewright.definitions.parameters import check_parameters
from stagewright.sdk import Result
from stagewright.workers import content
from tests.unit.content.support import FolderContext


def test_looking_at_the_package_loads_none_of_its_libraries() -> None:
    code = (
        "import sys, stagewright.workers.content as content; content.names(); content.pipelines();"
        "content.demo_sources();"
        "print([name for name in ('feedparser', 'selectolax', 'httpx2', 'jinja2', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_names_and_workers_agree() -> None:
    workers = content.workers()
    assert [worker.name for worker in workers] == content.names()
    assert [list(worker.actions) for worker in workers] == [["find"], ["fetch"], ["classify"], ["build"]]
    assert all(worker.description for worker in workers)


def test_the_pipeline_names_workers_and_actions_that_exist() -> None:
    (path,) = content.pipelines()
    pipeline = load_text(path.read_text(encoding="utf-8"))
    workers = {worker.name: worker for worker in content.workers()}
    assert pipeline.name == "market_research"
    assert [stage.id for stage in pipeline.stages] == ["sources", "fetch", "classify", "report"]
    assert [stage.deliverable for stage in pipeline.stages] == [False, False, False, True]
    assert all(workers[stage.worker or ""].find(stage.action) for stage in pipeline.stages)


async def test_the_stages_fit_together_from_the_demo_sources_to_the_report(ctx: FolderContext) -> None:
    # given the pipeline and parameters as a user gives them
    pipeline = load_text(content.pipelines()[0].read_text(encoding="utf-8"))
    parameters = check_parameters(pipeline, {"topic": "grid battery storage", "sources": str(content.demo_sources())})
    workers = {worker.name: worker for worker in content.workers()}
    outputs: dict[str, Any] = {}
    # when each stage gets what its references name
    for stage in pipeline.stages:
        scope = {"parameters": parameters, "stages": outputs}
        inputs = {name: resolved(text, scope) for name, text in stage.inputs.items()}
        action = workers[stage.worker or ""].find(stage.action)
        assert action is not None
        result = action.handler(inputs, ctx)
        result = await result if action.is_async else result
        assert isinstance(result, Result)
        outputs[stage.id] = {"output": result.output}
    # then the deliverable is a report about the topic
    output = outputs["report"]["output"]
    assert output["articles"] == 27
    assert len(output["highlights"]) == 5
    assert (ctx.folder / "report.html").stat().st_size == output["artifacts"][0]["size_bytes"]
    assert "Brackwater" in (ctx.folder / "report.md").read_text()


def resolved(text: str, scope: dict[str, Any]) -> Any:
    """Follow a reference of plain names; the expressions themselves have tests of their own."""
    value: Any = scope
    for name in text.removeprefix("${{ ").removesuffix(" }}").split("."):
        value = value[name]
    return value


def test_what_the_finder_skipped_reaches_the_report() -> None:
    pipeline = load_text(content.pipelines()[0].read_text(encoding="utf-8"))
    inputs = pipeline.stages[-1].inputs
    assert inputs["skipped"] == "${{ stages.sources.output.skipped }}"
    assert inputs["skipped_total"] == "${{ stages.sources.output.skipped_total }}"
