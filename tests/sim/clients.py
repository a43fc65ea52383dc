"""The clients of a run. What they have heard outlives the process; what they wait for they ask for again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from stagewright.engine.submit import Submission
from stagewright.model.errors import (
    KeyReused,
    NotFound,
    Refusal,
    RequestConflict,
    StagewrightError,
    Stalled,
    StoreTrouble,
)
from stagewright.model.message import Cancel
from tests.sim.history import Ack, History
from tests.sim.store import SimDisk
from tests.sim.workload import Intervention, Order, Workload

if TYPE_CHECKING:
    from tests.sim.world import Node

AGAIN_S = 0.5
LOOK_S = 0.4
FINAL = ("completed", "failed", "cancelled")


class Clients:
    """All clients of one incarnation; `work` ends when all have what they wanted and nothing is active."""

    def __init__(self, node: Node, workload: Workload, history: History, disk: SimDisk) -> None:
        self._node, self._workload, self._history, self._disk = node, workload, history, disk
        self._began_at = node.loop.time()

    async def work(self, most_s: float) -> None:
        """Do all that is not done yet, and wait until the engine is at rest; a hang becomes a violation."""
        tasks = [asyncio.create_task(self._submit(order), name=f"order-{order.number}")
                 for order in self._workload.orders if not order.is_done]  # fmt: skip
        for number, wish in enumerate(self._workload.interventions):
            if not wish.is_done:
                tasks.append(asyncio.create_task(self._intervene(wish), name=f"{wish.kind}-{number}-{wish.order}"))
        until = self._began_at + most_s
        while any(not task.done() for task in tasks) or self._node.engine.actors:
            if self._node.loop.time() > until:
                self._history.violation(f"hangs: {self._what_hangs(tasks)}\n{self._node.loop.dump()}")
                break
            await asyncio.sleep(LOOK_S)
        for task in tasks:
            if task.done():
                task.result()
            else:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _what_hangs(self, tasks: list[asyncio.Task[None]]) -> str:
        open_rows = self._disk.sql(
            "SELECT e.execution_id, e.pipeline, e.status, s.step, s.status, s.attempt, s.waiting FROM executions e "
            "LEFT JOIN steps s ON s.execution_id = e.execution_id AND s.status IN ('ready', 'waiting', 'running') "
            "WHERE e.status IN ('pending', 'running')"
        )
        waiting = [task.get_name() for task in tasks if not task.done()]
        return f"clients {waiting}, actors {list(self._node.engine.actors)}, open in the database {open_rows}"

    def _say(self, text: str) -> None:
        self._history.say(f"{self._node.loop.now_us} {text}")

    # --- submissions ----------------------------------------------------------------------------------------

    async def _submit(self, order: Order) -> None:
        await asyncio.sleep(order.at_s)
        while True:
            final: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                answer = await self._node.submitter.submit(self._submission(order), final)
            except (RequestConflict, KeyReused) as error:
                self._say(f"order {order.number} conflicts: {error.detail}")
                order.is_done = True
                return
            except (Stalled, StoreTrouble) as error:
                self._say(f"order {order.number} is sent again: {error.detail}")
                await asyncio.sleep(AGAIN_S)
                continue
            break
        order.execution_id = answer.execution_id
        self._history.acks.append(Ack(order.number, answer.execution_id, answer.is_new))
        self._say(f"order {order.number} is {answer.execution_id} new={answer.is_new}")
        order.is_done = True
        if not answer.is_new:
            return
        status = await final
        self._history.finals.setdefault(answer.execution_id, []).append(status)
        self._say(f"order {order.number} was told {status}")

    def _submission(self, order: Order) -> Submission:
        bound = self._node.binder.bind(self._node.pipelines[order.pipeline])
        return Submission(
            bound, orjson.dumps(order.parameters), version=1, client="client", request_id=order.request_id,
            priority=order.priority, idempotency_key=order.idempotency_key, fingerprint=order.fingerprint,
        )  # fmt: skip

    # --- what is done to executions -------------------------------------------------------------------------

    async def _intervene(self, wish: Intervention) -> None:
        order = self._workload.orders[wish.order]
        while order.execution_id is None:
            if order.is_done:
                wish.is_done = True
                return
            await asyncio.sleep(LOOK_S)
        await getattr(self, f"_{wish.kind}")(wish, order.execution_id)
        wish.is_done = True

    async def _cancel(self, wish: Intervention, execution_id: str) -> None:
        await asyncio.sleep(max(0.0, wish.at_s - (self._node.loop.time() - self._began_at)))
        try:
            changed = await self._node.recovery.ask(execution_id, Cancel("a simulated client"))
        except NotFound:
            changed = False
        except StoreTrouble as error:
            self._say(f"cancel of {execution_id} was refused: {error.detail}")
            return
        self._say(f"cancel of {execution_id}: {changed}")
        if changed:
            (round_,) = self._disk.sql("SELECT round FROM executions WHERE execution_id = ?", execution_id)[0]
            self._history.cancels[execution_id] = round_

    async def _retry(self, wish: Intervention, execution_id: str) -> None:
        status, round_, pipeline = await self._ended(execution_id)
        if status == "completed" and not wish.from_first:
            return
        first = self._workload.documents[pipeline]["stages"][0]["id"] if wish.from_first else None
        try:
            changed = await self._node.recovery.retry(execution_id, first)
        except (Stalled, StoreTrouble, Refusal) as error:
            self._say(f"retry of {execution_id} was refused: {error.detail}")
            return
        self._say(f"retry of {execution_id} from {first}: {changed}")
        if changed:
            self._history.retries[execution_id] = max(round_ + 1, self._history.retries.get(execution_id, 0))
            await self._ended(execution_id)

    async def _ended(self, execution_id: str) -> tuple[str, int, str]:
        while True:
            rows = self._disk.sql("SELECT status, round, pipeline FROM executions WHERE execution_id = ?", execution_id)
            assert rows, f"{execution_id} was acknowledged and is not in the database"
            if rows[0][0] in (*FINAL, "paused") and execution_id not in self._node.engine.actors:
                return rows[0]  # type: ignore[return-value]
            await asyncio.sleep(LOOK_S)

    async def _watch(self, wish: Intervention, execution_id: str) -> None:
        """Follow the events to the end, from the last one seen; some by the product's own streams."""
        await asyncio.sleep(max(0.0, wish.at_s - (self._node.loop.time() - self._began_at)))
        follow = self._follow_stream if wish.order % 2 else self._follow_feed
        while True:
            await follow(wish, execution_id)
            last = self._disk.sql("SELECT max(last_seq) FROM event_pages WHERE execution_id = ?", execution_id)[0][0]
            if not await self._is_over(execution_id):
                continue  # somebody has opened a new round meanwhile
            if wish.resume_after != last:
                self._history.violation(f"a watcher of {execution_id} saw {wish.resume_after} events of {last}")
            return

    async def _follow_stream(self, wish: Intervention, execution_id: str) -> None:
        """Watch as the server does, and resume by number whenever the connection is cut, which is often."""
        while True:
            stream = self._node.service.watch(execution_id, wish.resume_after)
            was_over = await self._is_over(execution_id)
            try:
                async with asyncio.timeout(2 * LOOK_S):
                    async for events in stream:
                        self._see_numbers(wish, execution_id, [event["seq"] for event in events])
                return
            except TimeoutError:
                if was_over:
                    return  # paused: its stream stays open

    async def _follow_feed(self, wish: Intervention, execution_id: str) -> None:
        """Subscribe first, then read what is there, then go on live."""
        live: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
        stop = self._node.engine.feed.watch(execution_id, lambda _, events: live.put_nowait(events))
        try:
            while rows := await self._node.engine.store.read("events_after", execution_id, wish.resume_after, 2):
                for _, _, events in rows:
                    self._see(wish, execution_id, orjson.loads(events))
            while not await self._is_over(execution_id):
                try:
                    async with asyncio.timeout(2 * LOOK_S):
                        self._see(wish, execution_id, await live.get())
                except TimeoutError:
                    continue
            while not live.empty():
                self._see(wish, execution_id, live.get_nowait())
        finally:
            stop()

    async def _is_over(self, execution_id: str) -> bool:
        status = self._disk.sql("SELECT status FROM executions WHERE execution_id = ?", execution_id)[0][0]
        return status in (*FINAL, "paused") and execution_id not in self._node.engine.actors

    def _see(self, wish: Intervention, execution_id: str, events: list[dict[str, Any]]) -> None:
        fresh = [event for event in events if event["seq"] > wish.resume_after]
        self._see_numbers(wish, execution_id, [event["seq"] for event in fresh])
        self._history.tell(execution_id, orjson.loads(orjson.dumps(fresh)))

    def _see_numbers(self, wish: Intervention, execution_id: str, numbers: list[int]) -> None:
        for number in numbers:
            if number != wish.resume_after + 1:
                self._history.violation(f"a watcher of {execution_id} got event {number} after {wish.resume_after}")
            wish.resume_after = number


__all__ = ["Clients", "StagewrightError"]
