"""The composition root of an evaluator: `python -m stagewright.app.evaluator N`; `ProcessEvaluator` starts it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from stagewright.app.child import die_with
from stagewright.channels.child import Line
from stagewright.definitions.evaluate import Unresolved, compute, context_of, program
from stagewright.definitions.references import find_references

COMMAND = (sys.executable, "-u", "-P", "-m", "stagewright.app.evaluator")
"""How to start it; the descriptor of its socket comes last."""


def main(descriptor: int) -> None:
    """Answer questions on the socket that the parent left open, until it closes."""
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Line(socket.socket(fileno=descriptor))
    hello = line.receive()
    if hello is None:
        return
    head, _ = hello
    die_with(head["pid"])
    sys.path[:] = head["path"]
    program("1")  # imports the library now, which is no part of anybody's time
    _bound(resource.RLIMIT_AS, head["memory_bytes_max"])
    _bound(resource.RLIMIT_CORE, 0)
    line.send({"t": "ready"})
    while (message := line.receive()) is not None and message[0]["t"] == "evaluate":
        _bound_time(head["timeout_s"])
        _answer(line, *message, bytes_max=head["result_bytes_max"])
        line.send({"t": "done"})


def _bound(kind: int, most: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))


def _bound_time(timeout_s: float) -> None:
    """Let the kernel end what nobody ends: the parent's deadline comes first, unless the parent is gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + timeout_s) + 2, hard))


def _answer(line: Line, head: Mapping[str, Any], raws: Sequence[bytes], *, bytes_max: int) -> None:
    context = _context(head["paths"], raws)
    left = bytes_max
    for number, source in enumerate(head["sources"]):
        try:
            raw = orjson.dumps(compute(source, context_of(find_references(source).references, context)))
            left -= len(raw)
            if left < 0:
                raise Unresolved(f"The results have more than {bytes_max} bytes in all; hand large values on whole.")
            line.send({"t": "value", "n": number}, (raw,))
        except Unresolved as unresolved:
            refusal = {"t": "refused", "n": number, "reason": str(unresolved), "is_vague": unresolved.is_vague}
            line.send(refusal)


def _context(paths: Sequence[Sequence[str]], raws: Sequence[bytes]) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for path, raw in zip(paths, raws, strict=True):
        target = context
        for key in path[:-1]:
            target = target.setdefault(key, {})
        target[path[-1]] = orjson.loads(raw)
    return context


if __name__ == "__main__":
    main(int(sys.argv[1]))
