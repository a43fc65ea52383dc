"""One run: a disk and clients that outlive the process, and one incarnation of the product after another."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from stagewright.channels.probe import ProbeChannel
from stagewright.definitions import load_value
from stagewright.definitions.registry import Registry
from stagewright.engine.bind import Binder
from stagewright.engine.core import Engine
from stagewright.engine.dispatch import Dispatcher
from stagewright.engine.recover import Recovery
from stagewright.engine.resolve import load_bytes
from stagewright.engine.service import Service
from stagewright.engine.settings import EngineSettings
from stagewright.engine.submit import Submitter
from stagewright.engine.views import Views
from stagewright.model.data import DataRef
from stagewright.model.errors import StagewrightError
from stagewright.model.ids import IdSource
from stagewright.model.limits import Limits
from stagewright.model.pipeline import Pipeline
from stagewright.ports.store import NodeIdentity
from tests.sim.checkers import check_by_auditor
from tests.sim.clients import Clients
from tests.sim.clock import SimChance, SimClock
from tests.sim.faults import FaultPlan
from tests.sim.history import History
from tests.sim.loop import Crashed, Deadlock, SimLoop
from tests.sim.objects import SimObjects
from tests.sim.store import SimDisk, SimStore, dump
from tests.sim.workers import SimWorkers
from tests.sim.workload import Workload

START_US = 1_700_000_000_000_000
RUN_S_MAX = 3_600.0
"""Virtual seconds of one incarnation; whoever still waits then hangs."""
INCARNATIONS_MAX = 12
DOWN_US = 1_500_000


class Fatal(Exception):
    """The product ended its own process."""


@dataclass(slots=True)
class Node:
    """What one incarnation of the process is made of."""

    loop: SimLoop
    engine: Engine
    recovery: Recovery
    submitter: Submitter
    service: Service
    dispatcher: Dispatcher
    workers: SimWorkers
    pipelines: dict[str, Pipeline]
    binder: Binder


@dataclass(slots=True)
class World:
    """Runs a workload under a fault plan to its end; `history` and `disk` tell what came of it."""

    seed: str
    workload: Workload
    plan: FaultPlan
    history: History = field(default_factory=History)
    engine_class: type[Engine] = Engine
    disk: SimDisk = field(init=False)
    objects: SimObjects = field(init=False)
    incarnations: int = 0
    now_us: int = START_US
    callbacks: int = 0
    is_registered: bool = False

    def __post_init__(self) -> None:
        self.disk = SimDisk(self.seed, self.plan, START_US)
        self.objects = SimObjects(self.seed)

    def run(self) -> None:
        """Live one incarnation after another until one of them gets to the end."""
        while True:
            self.incarnations += 1
            assert self.incarnations <= INCARNATIONS_MAX, "the process ends itself over and over again"
            loop = SimLoop(f"{self.seed}/{self.incarnations}", self.now_us)
            try:
                loop.run_until_complete(self._live(loop))
                self._note_errors(loop)
                return
            except (Crashed, Fatal) as error:
                self.history.say(f"{loop.now_us} the process ends: {error!r}")
                check_by_auditor(self)
                self._note_errors(loop)
            except Deadlock as error:
                self.history.violation(f"deadlock: {error}")
                return
            finally:
                loop.crash()
                self.callbacks += loop.callbacks
                self.now_us = loop.now_us + DOWN_US

    def digest(self) -> str:
        """Return a hash of all that happened and of all that the database holds."""
        return sha256("\n".join([*self.history.lines, *dump(self.disk)]).encode()).hexdigest()

    def _note_errors(self, loop: SimLoop) -> None:
        for error in loop.errors:
            self.history.violation(f"nobody caught: {error}")

    async def _live(self, loop: SimLoop) -> None:
        node, died = await self._start(loop), loop.create_future()
        node.engine._on_fatal = node.engine.journal._on_fatal = lambda error: _die(died, error)  # type: ignore[method-assign]
        identity = NodeIdentity("sim", f"incarnation-{self.incarnations}")
        await node.engine.store.start(identity, loop.now_us)
        await node.dispatcher.start(node.engine)
        if not self.is_registered:
            await self._register(node)
        recovered = await node.recovery.start(identity)
        self.history.say(f"{loop.now_us} incarnation {self.incarnations} has loaded {recovered}")
        clients = Clients(node, self.workload, self.history, self.disk)
        work = loop.create_task(clients.work(RUN_S_MAX), name="clients")
        await asyncio.wait([work, died], return_when=asyncio.FIRST_COMPLETED)
        if died.done():
            raise died.exception() or Fatal
        work.result()
        self._check_rest(node)
        await node.engine.close(5)
        await node.recovery.stop()
        await node.dispatcher.stop()
        await node.engine.store.stop()

    async def _start(self, loop: SimLoop) -> Node:
        clock = SimClock(loop)
        chance = SimChance(f"{self.seed}/{self.incarnations}")
        store = SimStore(self.disk, loop)

        async def load(ref: DataRef) -> bytes:
            return await load_bytes(store, self.objects, ref, bytes_max=1 << 26)

        workers = SimWorkers(
            seed=self.seed, loop=loop, disk=self.disk, objects=self.objects, load=load, history=self.history
        )
        dispatcher = Dispatcher([ProbeChannel(self.objects, load), workers])
        dispatcher.look()
        binder = Binder(dispatcher.facts, dispatcher.names)
        work = self.workload
        settings = EngineSettings(
            limits=Limits(turn_changes_max=work.turn_changes_max, map_window=work.map_window),
            flush_rows_early=work.flush_rows_early, flush_rows_max=work.flush_rows_max, slice_us=work.slice_us,
            slice_turns=work.slice_turns, load_page=3,
        )  # fmt: skip
        engine = self.engine_class(
            store=store, objects=self.objects, clock=clock, ids=IdSource(clock.now_us, chance.bits), binder=binder,
            dispatcher=dispatcher, settings=settings, on_fatal=print,
        )  # fmt: skip
        pipelines = {name: _loaded(document) for name, document in work.documents.items()}
        recovery, registry = Recovery(engine), Registry(store, clock)
        service = Service(engine, registry, recovery, Views(store, self.objects, binder))
        return Node(loop, engine, recovery, Submitter(engine), service, dispatcher, workers, pipelines, binder)

    async def _register(self, node: Node) -> None:
        now, statements = node.loop.now_us, []
        for name, pipeline in node.pipelines.items():
            document = orjson.dumps(pipeline.document).decode()
            statements.append(("add_definition", (pipeline.digest, document, now)))
            statements.append(("add_pipeline", ("default", name, pipeline.digest, "", now)))
        await node.engine.store.write(statements)
        self.is_registered = True

    def _check_rest(self, node: Node) -> None:
        """At rest nothing is left in memory."""
        engine, slots = node.engine, node.dispatcher.slots
        left: dict[str, Any] = {
            "actors": list(engine.actors), "timers": len(engine.timers), "places": slots._where,
            "slots": {name: held for name, held in slots._held.items() if held}, "attempts": node.workers.running,
            "waiters": engine._final, "gathering": engine._gatherer._tasks,
            "rows": engine.journal.pending_rows, "unsaved": engine.journal._waiting,
            "loads": engine._preparer._loading, "watchers": engine.feed._of_one,
        }  # fmt: skip
        for name, what in left.items():
            if what:
                self.history.violation(f"left in memory at rest: {name}: {what}")


_LOADED: dict[str, Pipeline] = {}


def _loaded(document: dict[str, Any]) -> Pipeline:
    """Load a document once for all runs: crash runs repeat the same workload hundreds of times."""
    key = orjson.dumps(document).decode()
    if key not in _LOADED:
        if len(_LOADED) > 64:
            _LOADED.clear()
        _LOADED[key] = load_value(document)
    return _LOADED[key]


def _die(died: asyncio.Future[None], error: BaseException) -> None:
    if died.done():
        return
    if isinstance(error, StagewrightError):
        died.set_exception(Fatal(repr(error)))
        return
    text = "".join(traceback.format_exception(error))
    died.set_exception(AssertionError(f"the engine ended its process for a bug: {text}"))


__all__ = ["Callable", "Node", "World"]
