"""The engine's loop: messages → decisions → journal → effects. One loop owns all active executions of this node."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from stagewright.engine.actor import Actor, Unsaved
from stagewright.engine.bind import Binder
from stagewright.engine.dispatch import Dispatcher
from stagewright.engine.feed import Feed
from stagewright.engine.gather import Gatherer
from stagewright.engine.journal import Journal, Saved
from stagewright.engine.prepare import Preparer
from stagewright.engine.settings import EngineSettings
from stagewright.engine.timers import Timers
from stagewright.model.data import DataRef
from stagewright.model.decide import decide, next_due
from stagewright.model.decision import Decision, Dispatch, Free, Gather, GoOn, Prepare, Revoke, apply
from stagewright.model.errors import NotFound, Stalled
from stagewright.model.execution import NEVER_US, Failure
from stagewright.model.ids import IdSource
from stagewright.model.maps import is_gatherable, is_hungry
from stagewright.model.message import (
    Completed,
    Continue,
    Gathered,
    Granted,
    Halt,
    Lost,
    Message,
    Progress,
    Start,
    Timer,
)
from stagewright.ports.clock import Clock
from stagewright.ports.objects import ObjectStore
from stagewright.ports.store import Store

STALL_RETRY_AFTER_S = 1.0
TIMERS_AT_ONCE = 1_000
_WITH_CONTENT = (Completed, Gathered)


class Engine:
    """Owns the active executions. Everything here runs on one event loop; only the journal's flush awaits."""

    def __init__(
        self,
        *,
        store: Store,
        objects: ObjectStore,
        clock: Clock,
        ids: IdSource,
        binder: Binder,
        dispatcher: Dispatcher,
        settings: EngineSettings,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self.store, self.objects, self.clock, self.ids = store, objects, clock, ids
        self.binder, self.dispatcher, self.settings = binder, dispatcher, settings
        self.feed = Feed()
        self.timers = Timers()
        self.journal = Journal(store, clock, settings, self._on_saved, on_fatal)
        self.actors: dict[str, Actor] = {}
        self.decisions = 0
        self._preparer = Preparer(store, objects, dispatcher, settings, self)
        self._gatherer = Gatherer(store, objects, settings, self)
        self._asked: deque[Actor] = deque()  # somebody waits for their answer
        self._runnable: deque[Actor] = deque()
        self._saved: deque[Saved] = deque()
        self._final: dict[str, list[asyncio.Future[str]]] = {}
        self._pump_handle: asyncio.Handle | None = None
        self._timer_handle: asyncio.TimerHandle | None = None
        self._timer_at = NEVER_US
        self._on_fatal = on_fatal
        self.is_open = False

    # --- what others call -----------------------------------------------------------------------------------

    def open(self, last_page: int) -> None:
        """Begin to work; executions are loaded by `recover`."""
        self.journal.start(last_page)
        self.is_open = True

    async def close(self, timeout_s: float) -> bool:
        """Take nothing new, make durable what was decided, stop; false if that took too long.

        What runs goes on at the next start.
        """
        self.is_open = False
        await self._preparer.stop()
        await self._gatherer.stop()
        is_saved = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.journal.drain(), timeout_s)
            is_saved = True
        for handle in (self._pump_handle, self._timer_handle):
            if handle is not None:
                handle.cancel()
        return is_saved

    def post(self, execution_id: str, message: Message) -> None:
        """Put a message into the mailbox of an active execution; dropped if it is not active any more."""
        actor = self.actors.get(execution_id)
        if actor is not None:
            self._put(actor, message, None)

    def ask(self, execution_id: str, message: Message) -> asyncio.Future[bool]:
        """Send a message; the future says, after the commit, whether it changed anything."""
        actor = self.actors.get(execution_id)
        if actor is None:
            raise NotFound(f"Execution {execution_id} is not active")
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._put(actor, message, answer)
        return answer

    def admit(self, actor: Actor, message: Message) -> asyncio.Future[Any]:
        """Take in a new or loaded execution with its first message."""
        if self.journal.is_stalled or not self.is_open:
            raise Stalled("The journal is behind: work cannot be made durable now", retry_after_s=STALL_RETRY_AFTER_S)
        return self.adopt(actor, message)

    def adopt(self, actor: Actor, message: Message) -> asyncio.Future[Any]:
        """Take in an execution that this node answers for, however far behind the journal is."""
        self.actors[actor.state.id] = actor
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(actor, message, answer)
        return answer

    def tell_final(self, execution_id: str, future: asyncio.Future[str]) -> None:
        """Set the future to the status with which an execution ends or pauses, after its commit."""
        self._final.setdefault(execution_id, []).append(future)

    def wake(self, actor: Actor) -> None:
        """Send a loaded execution on its way: prepare its ready steps, arm its timer, begin its backlog."""
        if actor.state.status == "pending":
            self._put(actor, Start(), None)
            return
        is_hungry_map = False
        for step in list(actor.state.open.values()):
            if step.status == "ready":
                self._preparer.prepare(actor, step.name)
            elif is_gatherable(step):
                self._gatherer.gather(actor, step.name)
            elif is_hungry(actor.state, step, self.settings.limits):
                is_hungry_map = True
        self._arm(actor, next_due(actor.state))
        if actor.state.backlog or actor.state.ending is not None or is_hungry_map:
            self._put(actor, Continue(), None)
        self.schedule()

    # --- what preparing calls -------------------------------------------------------------------------------

    def turn(self, actor: Actor, message: Message) -> bool:
        """Answer a message at once; true if it changed anything."""
        return self._turn(actor, message)

    def settled(self, actor: Actor) -> asyncio.Future[Any]:
        """Return a future that is done once what the actor has decided so far is durable."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if actor.unsaved is None and not actor.flushing:
            future.set_result(True)
        else:
            self._unsaved(actor).answers.append((future, True))
            self.journal.add(actor, 0, is_asked=False)
        return future

    def isolate(self, actor: Actor, doing: str, error: Exception) -> None:
        """A bug met one execution: pause it with its trace; the others go on."""
        trace = "".join(traceback.format_exception(error))[-8_000:]
        text = f"The engine failed on {doing}: {type(error).__name__}: {error}"
        self._turn(actor, Halt(Failure("internal_error", text, "internal", trace=trace)))

    # --- the loop -------------------------------------------------------------------------------------------

    def _put(self, actor: Actor, message: Message, answer: asyncio.Future[Any] | None) -> None:
        actor.inbox.append((message, answer))
        if not actor.is_queued:
            actor.is_queued = True
            (self._runnable if answer is None else self._asked).append(actor)
            self.schedule()

    def schedule(self) -> None:
        """See to it that the loop below runs soon, and with it the journal."""
        if self._pump_handle is None:
            self._pump_handle = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Do what is due for at most a slice, then let the journal write.

        Who waits for an answer comes first, up to a bound; then effects; then decisions.
        """
        self._pump_handle = None
        until = self.clock.now_us() + self.settings.slice_us
        early, look = self.settings.flush_rows_early, self.settings.slice_turns
        asked, runnable, saved = self._asked, self._runnable, self._saved
        left, first = look, self.settings.slice_asked
        while saved or runnable or (asked and first):
            if asked and first:
                first -= 1
                self._serve(asked.popleft())
            elif saved:
                self._finish(saved.popleft())
            else:
                actor = runnable.popleft()
                left -= min(len(actor.inbox), look) - 1
                self._serve(actor)
            left -= 1
            if left <= 0:
                left = look
                self.journal.kick(early)
                if self.clock.now_us() >= until:
                    break
        self.journal.kick()
        if saved or runnable or asked:
            self.schedule()

    def _serve(self, actor: Actor) -> None:
        """Answer what is in an execution's mailbox."""
        actor.is_queued = False
        inbox, actor.inbox = actor.inbox, []
        look = self.settings.slice_turns
        if len(inbox) > look:  # the rest is put behind the others, and behind what is saved meanwhile
            actor.inbox = inbox[look:]
            del inbox[look:]
            actor.is_queued = True
            self._runnable.append(actor)
        for message, answer in inbox:
            self._turn(actor, message, answer)
        if actor.state.status != "running":
            self._retire(actor)

    def _turn(self, actor: Actor, message: Message, answer: asyncio.Future[Any] | None = None) -> bool:
        """Answer one message; true if it changed anything."""
        state = actor.state
        if not actor.is_active:
            if answer is not None and not answer.done():
                answer.set_result(False)
            return False
        if type(message) is Progress and not self._is_due_progress(actor, message):
            return False
        try:
            decision = decide(state, message, self.clock.now_us(), self.settings.limits)
            if decision.is_empty:
                if type(message) is Timer:  # the deadline it came for is gone, others are not
                    self._arm(actor, min(next_due(state), decision.due_at))
                self._answer_without_change(actor, message, answer)
                return False
            apply(state, decision)
        except Exception as error:
            self._isolate(actor, message, error, answer)
            return False
        self.decisions += 1
        self._note(actor, decision, message, answer)
        return True

    def _note(self, actor: Actor, decision: Decision, message: Message, answer: asyncio.Future[Any] | None) -> None:
        unsaved = actor.note(decision)
        if answer is not None:
            unsaved.answers.append((answer, True))
        if type(message) in _WITH_CONTENT and message.content is not None:  # type: ignore[union-attr]
            assert isinstance(message, Completed | Gathered) and isinstance(message.output, DataRef)
            assert message.content is not None
            unsaved.contents.append((message.output.storage_key, message.content))
        if type(message) is Lost and message.is_suspect:
            actor.suspects.add(message.step)
        self.journal.add(actor, len(decision.steps) + 1, is_asked=answer is not None)
        if type(message) is Timer or decision.round is not None:
            self._arm(actor, min(next_due(actor.state), decision.due_at))
        elif decision.due_at < actor.state.armed_at:
            self._arm(actor, decision.due_at)
        if decision.round is not None:
            actor.lists.clear()
            actor.scopes.clear()
        for effect in decision.effects:
            kind = type(effect)
            if kind is Prepare:
                self._preparer.prepare(actor, effect.step)  # type: ignore[union-attr]
            elif kind is GoOn:
                self._put(actor, Continue(), None)
            elif kind is Gather:
                actor.lists.pop(effect.step, None)  # type: ignore[union-attr]
                actor.scopes.pop(effect.step, None)  # type: ignore[union-attr]
                actor.loaded.pop(effect.step, None)  # type: ignore[union-attr]
                unsaved.effects.append(effect)
            else:
                unsaved.effects.append(effect)

    def _answer_without_change(self, actor: Actor, message: Message, answer: asyncio.Future[Any] | None) -> None:
        if type(message) is Granted and not self._is_active(actor, message.step):
            self.release(actor.state.id, message.step)
        if answer is None or answer.done():
            return
        if actor.unsaved is None and not actor.flushing:
            answer.set_result(False)
            return
        # What makes the message come too late is not committed yet; the answer must not show it before.
        self._unsaved(actor).answers.append((answer, False))
        self.journal.add(actor, 0, is_asked=True)

    @staticmethod
    def _unsaved(actor: Actor) -> Unsaved:
        if actor.unsaved is None:
            actor.unsaved = Unsaved()
        return actor.unsaved

    @staticmethod
    def _is_active(actor: Actor, name: str) -> bool:
        step = actor.state.open.get(name)
        return step is not None and step.status in ("ready", "running") and actor.state.status == "running"

    def _is_due_progress(self, actor: Actor, message: Progress) -> bool:
        now = self.clock.now_us()
        last = actor.progressed_at.get(message.step, 0)
        if now - last < self.settings.progress_interval_us:
            return False
        actor.progressed_at[message.step] = now
        return True

    # --- after the commit -----------------------------------------------------------------------------------

    def _on_saved(self, saved: list[Saved]) -> None:
        self._saved.extend(saved)
        self.schedule()

    def _finish(self, saved: Saved) -> None:
        """Answer, publish and carry out what a flush has justified."""
        actor, unsaved = saved.actor, saved.unsaved
        actor.flushing -= 1
        if saved.error is not None:
            self._refused(actor, unsaved, saved.error)
            return
        actor.is_new = False
        for answer, outcome in unsaved.answers:
            if not answer.done():
                answer.set_result(saved.winner or outcome)
        if saved.winner is not None:
            actor.is_new = True  # another submission holds the key: this one was never written
            self._drop(actor, NotFound(f"Execution {saved.winner.execution_id} has the key of {actor.state.id}"))
            return
        if unsaved.events:
            self.feed.publish(actor.state.id, unsaved.events)
        for effect in unsaved.effects:
            self._carry_out(actor, effect)
        if actor.state.status != "running":
            self._retire(actor)

    def _retire(self, actor: Actor) -> None:
        """Forget an execution that has ended or paused, once everything of it is durable and nobody asks it more."""
        if actor.is_active and not (actor.unsaved or actor.flushing or actor.inbox):
            self._forget(actor)
            self._tell_final(actor)

    def _carry_out(self, actor: Actor, effect: Dispatch | Revoke | Free | Any) -> None:
        kind = type(effect)
        if kind is Gather:
            if actor.is_active and effect.step in actor.state.open:
                self._gatherer.gather(actor, effect.step)
            return
        if kind is Dispatch:
            step = actor.state.open.get(effect.step)
            if step is not None and step.status == "running" and step.attempt == effect.attempt:
                self.dispatcher.dispatch(actor, step)
            return
        if kind is Revoke:
            self.dispatcher.revoke(actor.state.id, effect.step, effect.attempt)
        if not self._is_active(actor, effect.step):  # else the step holds or awaits its slot anew
            self.release(actor.state.id, effect.step)

    def release(self, execution_id: str, step: str) -> None:
        """Free a step's slot or place in the queue; who is next is granted it."""
        for holder_id, holder_step in self.dispatcher.slots.release((execution_id, step)):
            holder = self.actors.get(holder_id)
            if holder is not None:
                self._put(holder, Granted(holder_step), None)
            else:
                self.release(holder_id, holder_step)

    def _forget(self, actor: Actor) -> None:
        state = actor.state
        if self.actors.get(state.id) is actor:
            del self.actors[state.id]
        actor.is_active = False
        self.timers.drop(state.id)
        state.armed_at = NEVER_US

    def _tell_final(self, actor: Actor) -> None:
        for future in self._final.pop(actor.state.id, ()):
            if not future.done():
                future.set_result(actor.state.status)

    # --- trouble --------------------------------------------------------------------------------------------

    def _isolate(self, actor: Actor, message: Message, error: Exception, answer: asyncio.Future[Any] | None) -> None:
        if answer is not None and not answer.done():
            answer.set_exception(error)
        if type(message) is Halt:
            self._forget(actor)
            self._on_fatal(error)
            return
        self.isolate(actor, f"the message {type(message).__name__}", error)

    def _refused(self, actor: Actor, unsaved: Unsaved, error: Exception) -> None:
        """The database refuses what this execution wants to write: nothing of it counts; it stops where it was."""
        self._answer_all(unsaved.answers, error)
        is_new = actor.is_new
        self._drop(actor, error)
        if not is_new:
            self.on_refused(actor.state.id, error)

    @staticmethod
    def _answer_all(answers: list[tuple[asyncio.Future[Any], bool]], error: Exception) -> None:
        for answer, _ in answers:
            if not answer.done():
                answer.set_exception(error)

    def _drop(self, actor: Actor, error: Exception) -> None:
        """Forget an execution with all that is not durable; whoever waits for that hears the error."""
        self._forget(actor)
        if actor.unsaved is not None:
            self._answer_all(actor.unsaved.answers, error)
            actor.unsaved = None
        self._answer_all([(answer, False) for _, answer in actor.inbox if answer is not None], error)
        actor.inbox.clear()
        if actor.is_new:
            self._final.pop(actor.state.id, None)  # whoever submitted it has its answer
        for step in list(actor.state.steps.values()):  # not only open ones: what would free the others is dropped too
            self.dispatcher.revoke(actor.state.id, step.name, step.attempt)
            self.release(actor.state.id, step.name)
        for name in self.dispatcher.slots.steps_of(actor.state.id):  # of items that have left the memory
            self.release(actor.state.id, name)

    def on_refused(self, execution_id: str, error: Exception) -> None:
        """Replaced by `recover`, which loads the execution as it was last written and halts it."""
        self._on_fatal(error)

    # --- timers ---------------------------------------------------------------------------------------------

    def _arm(self, actor: Actor, due_at: int) -> None:
        actor.state.armed_at = due_at
        if due_at >= NEVER_US:
            self.timers.drop(actor.state.id)
            return
        self.timers.set(actor.state.id, due_at)
        if due_at < self._timer_at:
            self._schedule_timer(due_at)

    def _schedule_timer(self, due_at: int) -> None:
        if self._timer_handle is not None:
            self._timer_handle.cancel()
        self._timer_at = due_at
        delay_s = max(0, due_at - self.clock.now_us()) / 1e6
        self._timer_handle = asyncio.get_running_loop().call_later(min(delay_s, 3600.0), self._on_timer)

    def _on_timer(self) -> None:
        self._timer_handle, self._timer_at = None, NEVER_US
        for execution_id in self.timers.take_due(self.clock.now_us(), TIMERS_AT_ONCE):
            actor = self.actors.get(execution_id)
            if actor is not None:
                actor.state.armed_at = NEVER_US
                self._put(actor, Timer(), None)
        following = self.timers.next_at()
        if following is not None:
            self._schedule_timer(following)
