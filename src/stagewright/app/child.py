"""The composition root of a child process: `python -m stagewright.app.child DESCRIPTOR`; `ProcessChannel` starts it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

from stagewright.channels.child import Child, Line, end_group
from stagewright.objects.files import FileObjects

COMMAND = (sys.executable, "-u", "-P", "-m", "stagewright.app.child")
"""How to start it; the descriptor of its socket comes last. `-P`: the parent's module path is taken over instead."""

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = "500"  # proc(5): where memory ends, a child goes before the server does


def main(descriptor: int) -> None:
    """Listen on the socket that the parent left open, until it closes."""
    os.set_inheritable(descriptor, False)  # what handlers start must not hold the line open
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Line(socket.socket(fileno=descriptor))
    hello = line.receive()
    if hello is None:
        return
    head, _ = hello
    die_with(head["pid"])
    sys.path[:] = head["path"]
    Child(line, head, FileObjects(Path(head["objects"]))).live()


def die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent, and check that it has not gone already."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    if os.getppid() != parent:
        end_group()


if __name__ == "__main__":
    main(int(sys.argv[1]))
