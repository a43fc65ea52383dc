"""How this program is called here, for commands that a message tells to call next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "stagewright"


def program() -> str:
    """Return the name if a shell finds this program by it, else the path by which it was called."""
    called = Path(sys.argv[0])
    if called.name != NAME:  # called as a module
        called = Path(sys.executable).parent / NAME
    found = shutil.which(NAME)
    if not called.exists() or (found is not None and Path(found).samefile(called)):
        return NAME
    absolute = os.path.abspath(called)  # noqa: PTH100 (a link is told as it was called)
    return shlex.quote(min(os.path.relpath(absolute), absolute, key=len))
