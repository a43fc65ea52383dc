"""The product's database code on memory, behind the Store port, with latency and a plan of faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from stagewright.model.errors import BadRows, Fenced, StoreTrouble
from stagewright.ports.store import Batch, NodeIdentity, Params, Row, Winner
from stagewright.store.database import SqliteDatabase
from tests.sim.faults import FaultPlan, Trouble
from tests.sim.loop import SimLoop

T = TypeVar("T")

LATENCY_US = (80, 3_000)
SLOW_US = (500_000, 4_000_000)
ALL_STEPS = (
    "SELECT execution_id, step, status, attempt, waiting, output, output_ref, round FROM steps UNION ALL "
    "SELECT i.execution_id, i.stage || '[' || i.item || ']', i.status, i.attempt, i.waiting, i.output, i.output_ref, "
    "i.round "
    "FROM item_steps i JOIN steps s ON s.execution_id = i.execution_id AND s.step = i.stage "
    "WHERE i.round >= s.summary ->> 'since'"
)
"""Steps of stages and of items that count, alike."""

POISON = "<poison>"
"""An output that holds this is refused by the simulated database as a real one refuses bytes that it cannot hold."""

_REFUSE_POISON = f"""
CREATE TEMP TRIGGER refuse_poison BEFORE INSERT ON main.steps WHEN instr(NEW.output, '{POISON}')
BEGIN SELECT RAISE(ABORT, 'simulated: this cannot be stored'); END
"""


class SimDisk:
    """What outlives a crash: the database, the count of writes, and a write that was on its way."""

    def __init__(self, seed: str, plan: FaultPlan, start_us: int) -> None:
        self.database = SqliteDatabase(":memory:")
        self.database.migrate()
        if plan.poison:
            self.sql(_REFUSE_POISON)
        self.plan = plan
        self.chance = random.Random(f"store/{seed}")
        self.heals_at_us = start_us + plan.heals_after_us
        self.outage = range(start_us + plan.outage_us[0], start_us + plan.outage_us[1])
        self.writes = 0
        self.troubles = 0
        self.zombie: Callable[[], object] | None = None
        self.zombie_due = 0

    def sql(self, text: str, *params: Any) -> list[Row]:
        """Query the database directly, for checkers."""
        return self.database._connection.execute(text, params).fetchall()

    def free_zombie(self) -> None:
        """Let the write of a process that was taken for dead reach the database at last."""
        if self.zombie is None or self.writes < self.zombie_due:
            return
        late, self.zombie = self.zombie, None
        try:
            late()
        except (Fenced, BadRows):
            return  # refused, as it must be


class SimStore:
    """`ports.store.Store` for one incarnation. Writes reach the disk one after another, reads at any time."""

    def __init__(self, disk: SimDisk, loop: SimLoop) -> None:
        self.disk = disk
        self._loop = loop
        self._identity = NodeIdentity("", "")
        self._writer_free_at = 0

    async def start(self, identity: NodeIdentity, now_us: int) -> None:
        """See the port."""
        self._identity = identity
        await self.write([("node_start", (identity.node, identity.incarnation, now_us))])

    async def stop(self) -> None:
        """See the port; the disk stays."""

    async def flush(self, batch: Batch) -> dict[str, Winner]:
        """See the port."""
        identity, database, now_us = self._identity, self.disk.database, self._loop.now_us
        trouble = self._draw()
        await self._turn_of_writer(SLOW_US if trouble == "slow" else LATENCY_US)
        if trouble == "not_committed" or self._loop.now_us in self.disk.outage:
            raise StoreTrouble("simulated: the database did not answer")
        answer = self._commit(lambda: database.flush(identity, batch, now_us))
        if self._loop.crashed:
            await self._loop.create_future()
        if trouble == "committed":
            raise StoreTrouble("simulated: the answer was lost")
        return answer

    async def flushed(self) -> int:
        """See the port."""
        await self._turn_of_writer(LATENCY_US)
        deaf = self._is_ill() and self.disk.chance.random() < self.disk.plan.deaf_rate
        if deaf or self._loop.now_us in self.disk.outage:
            raise StoreTrouble("simulated: the database did not answer the question either")
        rows = self.disk.database.run("node_flushed", (self._identity.node, self._identity.incarnation))
        return int(rows[0][0]) if rows else 0

    async def read(self, query: str, *params: Any) -> list[Row]:
        """See the port."""
        await asyncio.sleep(self.disk.chance.randint(*LATENCY_US) / 1e6)
        return self.disk.database.run(query, params)

    async def write(self, statements: Any) -> list[list[Row]]:
        """See the port."""
        await self._turn_of_writer(LATENCY_US)
        answer = self._commit(lambda: self.disk.database.write(statements))
        if self._loop.crashed:
            await self._loop.create_future()
        return answer

    async def _turn_of_writer(self, latency_us: tuple[int, int]) -> None:
        now = self._loop.now_us
        self._writer_free_at = max(now, self._writer_free_at) + self.disk.chance.randint(*latency_us)
        await asyncio.sleep((self._writer_free_at - now) / 1e6)

    def _commit(self, write: Callable[[], T]) -> T:
        disk = self.disk
        disk.writes += 1
        disk.free_zombie()
        crash = disk.plan.crashes.get(disk.writes)
        if crash == "zombie":
            disk.zombie, disk.zombie_due = write, disk.writes + disk.chance.randint(4, 9)
        answer = write() if crash is None or crash == "after" else None
        if crash is not None:
            self._loop.crash()
        return answer  # type: ignore[return-value]

    def _is_ill(self) -> bool:
        return self._loop.now_us < self.disk.heals_at_us

    def _draw(self) -> Trouble:
        plan, chance = self.disk.plan, self.disk.chance
        drawn, kind = chance.random(), chance.random()
        if not self._is_ill():
            return "none"
        if drawn < plan.trouble_rate:
            self.disk.troubles += 1
            return "committed" if kind < 0.5 else "not_committed"
        return "slow" if drawn < plan.trouble_rate + plan.slow_rate else "none"


def dump(disk: SimDisk) -> list[str]:
    """Return everything that the database holds, in order."""
    lines = []
    connection: apsw.Connection = disk.database._connection
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        lines += sorted(f"{table} {row!r}" for row in rows)
    return lines


__all__ = ["LATENCY_US", "POISON", "Params", "SimDisk", "SimStore", "dump"]
