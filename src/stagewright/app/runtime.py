"""A running node without its front door: store, objects, channels, engine, recovery; started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Collection

from stagewright.accounts.directory import Directory
from stagewright.app.child import COMMAND
from stagewright.app.clock import SystemChance, SystemClock
from stagewright.app.installed import DESCRIBE_TIMEOUT_S, shipped_pipelines, worker_sources
from stagewright.app.lock import FolderLock
from stagewright.app.memory import Collector
from stagewright.app.settings import Settings
from stagewright.channels.probe import ProbeChannel
from stagewright.channels.process import ProcessChannel
from stagewright.definitions.aliases import Aliases
from stagewright.definitions.registry import Registry
from stagewright.engine.bind import Binder
from stagewright.engine.core import Engine
from stagewright.engine.dispatch import Dispatcher
from stagewright.engine.recover import Recovery
from stagewright.engine.resolve import load_bytes
from stagewright.engine.retain import Retention
from stagewright.engine.service import Service
from stagewright.engine.views import Views
from stagewright.model.data import DataRef
from stagewright.model.errors import Misconfigured, StoreTrouble
from stagewright.model.ids import IdSource
from stagewright.objects.files import FileObjects
from stagewright.ports.channel import Channel
from stagewright.ports.store import NodeIdentity
from stagewright.store.sqlite import SqliteStore

SWITCH_INTERVAL_S = 0.0001
"""How long a thread may keep the interpreter lock; the default of 5 ms would make each flush wait for a busy loop."""

CLOSE_TIMEOUT_S = 2.0
STAGING_AGE_S = 24 * 3600.0
"""What a writer left aside is waste after a day; no write takes so long."""

NODE = "local"


class Runtime:
    """One node on an embedded database. `on_fatal` is told what makes it impossible to go on."""

    def __init__(self, settings: Settings, on_fatal: Callable[[BaseException], None]) -> None:
        self.settings = settings
        self.clock, self.chance = SystemClock(), SystemChance()
        self.ids = IdSource(self.clock.now_us, self.chance.bits)
        self.lock = FolderLock(settings.data, settings.database_path)
        self.store = SqliteStore(settings.database_path, self.clock)
        self.objects = FileObjects(settings.objects_path)
        self.aliases = Aliases(settings.aliases)
        self.dispatcher = Dispatcher(self._channels(), self.aliases)
        binder = Binder(self.dispatcher.facts, self.dispatcher.names)
        self.engine = Engine(
            store=self.store, objects=self.objects, clock=self.clock, ids=self.ids, binder=binder,
            dispatcher=self.dispatcher, settings=settings.engine, on_fatal=on_fatal,
        )  # fmt: skip
        self.recovery = Recovery(self.engine)
        self.registry = Registry(self.store, self.clock, self.aliases)
        self.retention = Retention(self.store, self.objects, self.clock, settings.engine)
        self.service = Service(self.engine, self.registry, self.recovery, Views(self.store, self.objects, binder))
        self.collector = Collector(lambda: self.engine.decisions)
        self._identity: NodeIdentity | None = None
        self.recovered = 0

    async def start(self, url: str | None = None, *, only: Collection[str] | None = None) -> None:
        """Take the folder, open, recover all open executions, or `only` those. `FolderInUse` if it is served."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.lock.acquire(url)
        try:
            identity = NodeIdentity(NODE, self.ids.new("inc"))
            await self.store.start(identity, self.clock.now_us())
            self._identity = identity
            await self.dispatcher.start(self.engine)
            if not await self.processes.wait_described(DESCRIBE_TIMEOUT_S) or self.processes.problems:
                raise Misconfigured(
                    "Some workers cannot be loaded: " + "; ".join(self.processes.problems or ("too slow",))
                )
            self.aliases.agents |= await Directory("agent", self.store, self.clock, self.ids).workers()
            self.dispatcher.look()
            for pipeline in await asyncio.to_thread(shipped_pipelines):
                await self.registry.register(pipeline)
            self.recovered = await self.recovery.start(identity, only)
            await asyncio.to_thread(self.objects.sweep_staging_now, STAGING_AGE_S, self.clock.now_us() / 1e6)
            self.retention.start()
            self.collector.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop in reverse order within seconds; what is open goes on at the next start. Idempotent."""
        await self.collector.stop()
        await self.retention.stop()
        await self.dispatcher.stop()
        await self.recovery.stop()
        if await self.engine.close(CLOSE_TIMEOUT_S) and self._identity is not None:
            await self._sign_off(self._identity)
        await self.store.stop()
        self.lock.release()

    async def _sign_off(self, identity: NodeIdentity) -> None:
        """Write that this node gave up its attempts in good order, so that they do not count as lost."""
        self._identity = None
        with contextlib.suppress(StoreTrouble, TimeoutError):
            statement = ("node_stop", (identity.node, identity.incarnation))
            await asyncio.wait_for(self.store.write([statement]), CLOSE_TIMEOUT_S)

    def _channels(self) -> list[Channel]:
        settings = self.settings
        self.processes = ProcessChannel(
            worker_sources(settings), self._load, command=COMMAND,
            objects=settings.objects_path, cache=settings.data / "cache", settings=settings.workers.local,
            on_change=self._look,
        )  # fmt: skip
        return [ProbeChannel(self.objects, self._load), self.processes]

    def _look(self) -> None:
        self.dispatcher.look()

    async def _load(self, ref: DataRef) -> bytes:
        return await load_bytes(self.store, self.objects, ref, bytes_max=self.settings.engine.load_bytes_max)
