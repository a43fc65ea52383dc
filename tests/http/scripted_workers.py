"""Workers that do what the documents of other systems expect, by a script; loaded by a real child process."""

from __future__ import annotations

from typing import Any

from stagewright.sdk import Context, Worker

granulator = Worker("content-granulator", description="Cuts a topic into lessons")
codegen = Worker("codegen", description="Writes files")
scan = Worker("scan-agent", description="Finds things")
notify = Worker("notify_agent", description="Tells people")


@granulator.action
async def granulate(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    topic, audience = inputs["topic"], inputs["targetAudience"]
    return {"lessons": [f"{topic} for {audience}, part {number}" for number in (1, 2)], "before": inputs["previous"]}


@codegen.action
async def generate(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    text = f"# {inputs['topic']}\n"
    await ctx.artifact("README.md", text, media_type="text/markdown")
    return {"files": ["README.md"], "prompt": inputs["prompt"]}


@scan.action(name="scan")
async def look(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    return {"found": [inputs["target"], ctx.step]}


@notify.action
async def send(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    return {"sent": inputs["text"]}


def workers() -> list[Worker]:
    """Return the workers of this module."""
    return [granulator, codegen, scan, notify]
