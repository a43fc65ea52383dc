"""The journal: makes the decisions of many executions durable in one flush, then lets their effects happen."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stagewright.engine.actor import Actor, Unsaved
from stagewright.engine.rows import artifact_row, execution_row, item_row, page_row, step_row
from stagewright.engine.settings import EngineSettings
from stagewright.model.data import DataRef
from stagewright.model.errors import BadRows, Fenced, StoreTrouble
from stagewright.ports.clock import Clock
from stagewright.ports.store import Batch, Row, Store, Winner

RESEND_PAUSE_S = 0.05


@dataclass(slots=True)
class Saved:
    """An actor's part of a flush, and whether another submission won its key."""

    actor: Actor
    unsaved: Unsaved
    row: Row | None  # the execution's own row as it was when it was taken: decisions go on during the flush
    winner: Winner | None = None
    error: Exception | None = None


class Journal:
    """One flush in flight; what becomes unsaved meanwhile gathers for the next. Flushes are numbered from 1."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: EngineSettings,
        on_saved: Callable[[list[Saved]], None],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._on_saved = on_saved
        self._on_fatal = on_fatal
        self._waiting: deque[Actor] = deque()
        self._rows = 0  # about how many wait
        self._page = 0
        self._number = 0
        self._flushing: asyncio.Task[None] | None = None
        self._settled: list[Saved] = []  # of the flush that is being seen through
        self._failing_since: int | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.flushes = 0
        self.rows_written = 0

    @property
    def pending_rows(self) -> int:
        """About how many rows wait for a flush."""
        return self._rows

    @property
    def is_stalled(self) -> bool:
        """True while nothing can be written, or more waits than the bound."""
        return self._failing_since is not None or self._rows > self._settings.pending_rows_max

    def start(self, last_page: int) -> None:
        """Go on after the last event page of the database."""
        self._page = last_page

    def add(self, actor: Actor, rows: int, *, is_asked: bool) -> None:
        """Tell that an actor has unsaved work; `rows` more than before. It must be told once before each flush.

        An actor whose answer somebody waits for (`is_asked`) goes into the next flush.
        """
        self._rows += rows
        if not actor.is_listed:
            actor.is_listed = True
            if is_asked:
                self._waiting.appendleft(actor)
            else:
                self._waiting.append(actor)

    def kick(self, rows_min: int = 1) -> None:
        """Begin a flush if none is being written and at least so many rows wait; answers may wait without rows."""
        if self._flushing is None and self._waiting and (rows_min <= 1 or self._rows >= rows_min):
            self._idle.clear()
            saved = self._take()
            batch = self._next_batch(saved)
            sent = self._store.flush(batch)  # handed over here and now: the writer works while the loop decides on
            flush = self._flush(saved, batch, sent)
            self._flushing = asyncio.get_running_loop().create_task(flush, name="journal-flush")
            self._flushing.add_done_callback(self._flushed)

    async def drain(self) -> None:
        """Wait until nothing is unsaved."""
        while self._flushing is not None or self._waiting:
            self.kick()
            await self._idle.wait()

    def _take(self) -> list[Saved]:
        saved: list[Saved] = []
        rows = 0
        while self._waiting and rows < self._settings.flush_rows_max:
            actor = self._waiting.popleft()
            actor.is_listed = False
            if not actor.is_active:
                continue  # what it builds on was refused; `core` answers whoever waits for it
            unsaved, actor.unsaved = actor.unsaved, None
            if unsaved is not None:
                rows += unsaved.rows
                actor.flushing += 1
                saved.append(Saved(actor, unsaved, execution_row(actor.state) if unsaved.has_row else None))
        self._rows = max(0, self._rows - rows) if self._waiting else 0
        return saved

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushing = None
        if task.cancelled():
            return
        settled, self._settled = self._settled, []
        if settled:
            self._on_saved(settled)
        error = task.exception()
        if error is not None:
            self._on_fatal(error)
            return
        self.kick()
        if self._flushing is None:
            self._idle.set()

    async def _flush(self, saved: list[Saved], batch: Batch, sent: Awaitable[dict[str, Winner]]) -> None:
        """See a batch through; halve it by execution on bad rows until the culprit is alone."""
        try:
            losers = await self._write(batch, sent)
        except BadRows as error:
            if len(saved) == 1:
                saved[0].error, saved[0].actor.is_active = error, False
                self._settled += saved
                return
            middle = len(saved) // 2
            for half in (saved[:middle], saved[middle:]):
                batch = self._next_batch(half)
                await self._flush(half, batch, self._store.flush(batch))
            return
        for record in saved if losers else ():
            record.winner = losers.get(record.actor.state.id)
            if record.winner is not None:
                record.actor.is_active = False
        self.flushes += 1
        self.rows_written += batch.rows
        self._settled += saved

    async def _write(self, batch: Batch, sent: Awaitable[dict[str, Winner]]) -> dict[str, Winner]:
        """Send until it is known to be written; the number in the node's row settles unknown outcomes."""
        while True:
            try:
                losers = await sent
                self._failing_since = None
                return losers
            except (BadRows, Fenced):
                raise
            except StoreTrouble as error:
                self._bear(error)
                if await self._is_written(batch.number):
                    losers = await self._losers(batch)
                    self._failing_since = None
                    return losers
                await asyncio.sleep(RESEND_PAUSE_S)
                sent = self._store.flush(batch)

    async def _is_written(self, number: int) -> bool:
        """Ask until there is an answer: a batch that is there must not be sent again."""
        while True:
            try:
                return await self._store.flushed() >= number
            except StoreTrouble as error:
                self._bear(error)
                await asyncio.sleep(RESEND_PAUSE_S)

    async def _losers(self, batch: Batch) -> dict[str, Winner]:
        """Find out who lost a submit key in a batch whose answer was lost."""
        losers: dict[str, Winner] = {}
        for scope, key, execution_id, *_ in sorted(batch.keys):
            while execution_id not in losers:
                try:
                    rows = await self._store.read("key_winner", scope, key)
                except StoreTrouble as error:
                    self._bear(error)
                    await asyncio.sleep(RESEND_PAUSE_S)
                    continue
                if rows and rows[0][0] != execution_id:
                    losers[execution_id] = Winner(rows[0][0], rows[0][1], scope)
                break
        return losers

    def _bear(self, error: StoreTrouble) -> None:
        """Go on trying, but not for ever."""
        now = self._clock.now_us()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self._settings.stall_s * 1e6:
            raise error

    def _next_batch(self, saved: list[Saved]) -> Batch:
        self._number += 1
        batch = Batch(self._number)
        executions, steps, pages = batch.executions, batch.steps, batch.pages
        page, most = self._page, self._settings.event_page_max
        expires_at = self._clock.now_us() + self._settings.data_ttl_us
        for record in saved:
            state, unsaved = record.actor.state, record.unsaved
            if record.row is not None:
                executions.append(record.row)
                if isinstance(state.parameters, DataRef):
                    self._refer(batch, state.id, state.parameters)
            for step in unsaved.steps.values():
                if step.name[-1] == "]":
                    batch.items.append(item_row(state.id, step, expires_at))
                else:
                    steps.append(step_row(state.id, step, expires_at))
                if type(step.output) is DataRef:
                    self._refer(batch, state.id, step.output)
            events = unsaved.events
            while events:
                page += 1
                pages.append(page_row(page, state.id, events[:most] if len(events) > most else events))
                events = events[most:]
            if unsaved.keys:
                batch.keys.extend(unsaved.keys)
            if unsaved.artifacts or unsaved.contents:
                self._add_data(batch, record)
        self._page = page
        return batch

    def _add_data(self, batch: Batch, record: Saved) -> None:
        state, unsaved = record.actor.state, record.unsaved
        expires_at = self._clock.now_us() + self._settings.data_ttl_us
        for step, artifact in unsaved.artifacts:
            is_deliverable = step.name == state.plan.deliverable
            batch.artifacts.append(
                artifact_row(state.id, step, artifact, is_deliverable=is_deliverable, expires_at=expires_at)
            )
            self._refer(batch, state.id, artifact.ref)
        for key, content in unsaved.contents:
            batch.contents.append((key, len(content), content))

    def _refer(self, batch: Batch, execution_id: str, ref: DataRef) -> None:
        now = self._clock.now_us()
        batch.blobs.append((ref.storage_key, ref.storage_type, ref.size_bytes, now))
        batch.blob_refs.append((ref.storage_key, execution_id, now + self._settings.data_ttl_us))
