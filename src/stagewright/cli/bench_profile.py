"""Where the time goes: a thread of our own looks at the stacks of the others, hundreds of times a second.

Its samples are by the clock, not by the processor, so that waiting shows as well; how much of a core each thread had
is told beside them. A sample counts for the innermost frame of the product, its line for the innermost frame at all.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

INTERVAL_S = 0.002
LINES_TOLD = 15
COUNTS_TOLD = 100
PACKAGE = str(Path(__file__).resolve().parents[1])

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("decide", ("model/decide.py", "model/plan.py", "model/transitions.py", "model/message.py")),
    ("apply", ("model/decision.py", "model/execution.py")),
    ("journal rows", ("engine/journal.py", "engine/rows.py", "engine/actor.py")),
    ("encode", ("store/database.py:_encoded", "channels/outputs.py", "sdk/encode.py")),
    ("SQLite", ("store/",)),
    ("dispatch", ("engine/dispatch.py", "engine/prepare.py", "engine/slots.py", "engine/resolve.py", "channels/")),
    (
        "submit",
        (
            "engine/submit.py",
            "engine/service.py",
            "engine/bind.py",
            "protocol/",
            "definitions/",
            "model/ids.py",
            "server/",
        ),
    ),
    ("engine loop", ("engine/core.py", "engine/timers.py", "engine/feed.py", "app/clock.py")),
    ("bench", ("cli/",)),
)
"""Groups by file or `file:function`, the first that fits; what is in no frame of the product is the loop or waits."""

WAITING = "loop and waiting"


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples by thread: groups, functions and lines with their counts; `cores` is the share of a core it had."""

    seconds: float
    threads: dict[str, ThreadProfile]

    def as_json(self) -> dict[str, Any]:
        """Shape it for machines; counts, the largest first."""
        return {"seconds": self.seconds, "threads": {name: one.as_json() for name, one in self.threads.items()}}


@dataclass(frozen=True, slots=True)
class ThreadProfile:
    """What one thread did."""

    samples: int
    cores: float | None
    groups: Counter[str]
    functions: Counter[str]  # `engine/core.py:_turn`
    lines: Counter[str]  # `engine/core.py:181`, of the product's innermost frame

    def as_json(self) -> dict[str, Any]:
        """Shape it for machines."""
        counts = {"groups": self.groups, "functions": self.functions, "lines": self.lines}
        told = {name: dict(counter.most_common(COUNTS_TOLD)) for name, counter in counts.items()}
        return {"samples": self.samples, "cores": self.cores, **told}


class Sampler:
    """Samples all threads of the process but its own, between `with` and its end."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="bench-sampler", daemon=True)
        self._counts: dict[int, tuple[Counter[str], Counter[str], Counter[str]]] = {}
        self._cpu: dict[int, tuple[float, float]] = {}  # at the begin and last
        self._begin = self._end = 0.0
        self._samples = 0

    def __enter__(self) -> Sampler:
        self._note_cpu()
        self._begin = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._note_cpu()
        self._end = time.perf_counter()

    @property
    def samples(self) -> int:
        """How often it has looked so far."""
        return self._samples

    def profile(self) -> Profile:
        """Return what was seen."""
        seconds = self._end - self._begin
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        threads = {}
        for ident, (groups, functions, lines) in self._counts.items():
            cpu = self._cpu.get(ident)
            cores = None if cpu is None else (cpu[1] - cpu[0]) / seconds
            threads[names.get(ident, str(ident))] = ThreadProfile(groups.total(), cores, groups, functions, lines)
        return Profile(seconds, threads)

    def _sample(self) -> None:
        own = threading.get_ident()
        while not self._stopped.wait(INTERVAL_S):
            self._samples += 1
            for ident, frame in sys._current_frames().items():
                if ident != own:
                    self._note(ident, frame)

    def _note(self, ident: int, innermost: FrameType) -> None:
        counts = self._counts.get(ident)
        if counts is None:
            counts = self._counts[ident] = (Counter(), Counter(), Counter())
        frame: FrameType | None = innermost
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        if frame is None or _is_waiting(frame, innermost):
            counts[0][WAITING] += 1
            return
        file = frame.f_code.co_filename[len(PACKAGE) + 1 :]
        function = f"{file}:{frame.f_code.co_name}"
        counts[0][group_of(function)] += 1
        counts[1][function] += 1
        counts[2][f"{file}:{frame.f_lineno or frame.f_code.co_firstlineno}"] += 1

    def _note_cpu(self) -> None:
        if not hasattr(time, "pthread_getcpuclockid"):
            return
        for thread in threading.enumerate():
            if thread.ident is not None:
                now = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
                begin = self._cpu[thread.ident][0] if thread.ident in self._cpu else now
                self._cpu[thread.ident] = (begin, now)


def group_of(function: str) -> str:
    """Return the group of `file:function`, the file relative to the package."""
    for group, prefixes in GROUPS:
        if any(function.startswith(prefix) for prefix in prefixes):
            return group
    return "other"


def _is_waiting(frame: FrameType, innermost: FrameType) -> bool:
    """Say whether a thread of the store waits for its next call, or the loop of the bench for anything at all."""
    name, file = frame.f_code.co_name, frame.f_code.co_filename
    if name == "measure":
        return file.endswith("cli/bench_inside.py")
    return name == "_run" and frame is innermost and file.endswith("store/sqlite.py")


def shape_profile(workload: str, profile: Profile) -> str:
    """Write a profile as text: for each thread that did anything its groups, functions and lines."""
    parts = [f"Profile of {workload}, {profile.seconds:.2f} s sampled"]
    for name, thread in sorted(profile.threads.items(), key=lambda item: -(item[1].cores or 0)):
        if thread.samples == thread.groups[WAITING]:
            continue
        cores = "" if thread.cores is None else f", {thread.cores:.2f} of a core"
        parts.append(f"\nThread {name}{cores}")
        for title, counts, most in (
            ("groups", thread.groups, None), ("functions", thread.functions, LINES_TOLD),
            ("lines", thread.lines, LINES_TOLD),
        ):  # fmt: skip
            parts.append(f"  {title}")
            parts += [f"    {number / thread.samples:6.1%}  {what}" for what, number in counts.most_common(most)]
    return "\n".join(parts)
