"""A worker of two actions, to begin from."""

from __future__ import annotations

from typing import Any

from stagewright.sdk import Context, Result, Retry, Terminal, Worker

greeter = Worker("greeter", version="1", description="Greets people")


@greeter.action
def greet(inputs: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Greet one person. The first action is the one that runs when a stage names none."""
    name = inputs.get("name")
    if not isinstance(name, str) or not name:
        raise Terminal("name: expected a text; give it among the stage's inputs", code="bad_input")
    return {"text": f"Hello {name}"}


@greeter.action
async def greet_all(inputs: dict[str, Any], ctx: Context) -> Result:
    """Greet many people and write a file of it."""
    names = inputs["names"]
    if not names:
        raise Retry("nobody is there yet", after_s=1)
    lines = []
    for place, name in enumerate(names):
        if ctx.cancelled:
            break
        lines.append(f"Hello {name}")
        ctx.progress((place + 1) / len(names), f"greeted {name}")
    file = await ctx.artifact("greetings.txt", "\n".join(lines) + "\n", media_type="text/plain")
    return Result({"greeted": len(lines), "file": file}, summary={"items_processed": len(lines)})


def workers() -> list[Worker]:
    """Return the workers of this module; the server asks for them."""
    return [greeter]
