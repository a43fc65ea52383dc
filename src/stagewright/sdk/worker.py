"""A worker: a name and its actions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Handler = Callable[..., Any]  # (inputs: dict, ctx: Context) -> JSON value | Result, or an awaitable of it
F = TypeVar("F", bound=Handler)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a worker can do."""

    name: str
    handler: Handler
    is_async: bool
    nonblocking: bool  # may run on the engine's loop: no I/O, no computation over 1 ms


@dataclass(slots=True)
class Worker:
    """Performs steps. The first action that is added is the one that runs when a stage names none.

    >>> greeter = Worker("greeter", version="1")
    >>> @greeter.action
    ... def greet(inputs, ctx):
    ...     return {"text": f"Hello {inputs['name']}"}
    >>> greeter.find(None).name
    'greet'
    """

    name: str
    version: str = "1"
    description: str = ""
    actions: dict[str, Action] = field(default_factory=dict)

    def action(self, handler: F | None = None, *, name: str | None = None, nonblocking: bool = False) -> Any:
        """Add a handler, named after the function unless `name` says otherwise; use it as a decorator."""

        def add(function: F) -> F:
            action_name = name or function.__name__
            assert action_name not in self.actions, f"{self.name} has two actions named {action_name}"
            is_async = inspect.iscoroutinefunction(function)
            self.actions[action_name] = Action(action_name, function, is_async, nonblocking)
            return function

        return add if handler is None else add(handler)

    def find(self, action: str | None) -> Action | None:
        """Return the named action, the default one for None, or None if there is none of that name."""
        if action is None:
            return next(iter(self.actions.values()), None)
        return self.actions.get(action)
