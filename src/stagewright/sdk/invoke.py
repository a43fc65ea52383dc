"""Calls a handler, however it was written: async ones on the loop, others in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from stagewright.sdk.context import Context
from stagewright.sdk.typed import is_typed, typed_inputs
from stagewright.sdk.worker import Action


async def call_handler(action: Action, inputs: Any, ctx: Context, executor: Executor | None) -> Any:
    """Return what the handler returned; raises what it raised, SystemExit and the like included.

    `inputs` is a JSON value. A handler that is not async runs in `executor`, None for the loop's own.
    """
    wanted = inputs
    if is_typed(action.handler):
        wanted = await asyncio.to_thread(typed_inputs, action.handler, inputs)
    if action.is_async:
        return await action.handler(wanted, ctx)
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    called = loop.run_in_executor(executor, context.run, _call, action.handler, wanted, ctx)
    value, error = await _until_done(called)
    if error is not None:
        raise error
    return await value if inspect.isawaitable(value) else value


async def _until_done(called: asyncio.Future[tuple[Any, BaseException | None]]) -> tuple[Any, BaseException | None]:
    """Wait for a thread even when cancelled: it goes on all the same, and who says that it ended would be wrong."""
    cancelled: asyncio.CancelledError | None = None
    while not called.done():
        try:
            await asyncio.wait((called,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return called.result()


def _call(handler: Callable[..., Any], inputs: Any, ctx: Context) -> tuple[Any, BaseException | None]:
    """Carry errors as values: a future cannot hold a StopIteration, and its waiter would wait for ever."""
    try:
        return handler(inputs, ctx), None
    except StopIteration as error:
        wrapped = RuntimeError(f"the handler raised StopIteration: {error.value!r}")
        wrapped.__cause__ = error
        return None, wrapped
    except BaseException as error:
        return None, error
