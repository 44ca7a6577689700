"""The one loop that joins a queue and an engine: claim → apply → commit → settle.

Exactly once rests on the position, which PostgreSQL holds and moves in the batch's own
transaction. Messages are only ever claimed behind the position, and only what is at or below it is
removed from Redis; so whatever dies in between, the next drain goes on where the last commit was.
What a drain has claimed and not applied it gives back, if it ends in good order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from batchdrain.drain.brake import Brake
from batchdrain.drain.care import Care, require_more_than_one
from batchdrain.drain.hold import Hold
from batchdrain.drain.intake import Batch, Intake, MessageFormat
from batchdrain.drain.linger import Linger, Lingering
from batchdrain.drain.patience import Patience
from batchdrain.drain.report import (
    BatchReport,
    DrainLimits,
    DrainObserver,
    DrainOutcome,
    Ending,
    Silent,
    StopSignal,
)
from batchdrain.drain.rewind import reason_to_stop
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import DEFAULT_WAIT, Move
from batchdrain.engine.records import BatchResult
from batchdrain.engine.sizing import Sizing
from batchdrain.engine.target import PreparedBatch
from batchdrain.errors import (
    BatchdrainError,
    HandedOverError,
    QueueRewoundError,
    TransientError,
)
from batchdrain.queues.queue import Message, Queue, Standing

_FAILED_WAIT = 2.0
"""Seconds in which a drain that has failed may give its queue back."""

_T = TypeVar("_T")


def drain(
    queue: Queue,
    engine: BatchEngine,
    *,
    limits: DrainLimits | None = None,
    message_format: MessageFormat | None = None,
    stop: StopSignal | None = None,
    observer: DrainObserver | None = None,
    accept_rewound: bool = False,
    linger: Linger | None = None,
) -> DrainOutcome:
    """Drain a queue until it is empty or a limit is reached.

    Takes ownership of the queue first: an older drain of it ends at its next batch. With
    `accept_rewound` a queue that holds less than PostgreSQL has applied is taken as it is. With
    `linger` the drain stays for a while when the queue is empty, and applies what comes.

    Raises TransientError when a server stays away, QueueRewoundError, BrakeError or another
    SystemicError when trying again would not help; what was committed before stays committed.
    """
    stop = stop or StopSignal()
    lingering = Lingering(linger, queue, engine, stop)
    run = _Drain(queue, engine, limits or DrainLimits(), stop, observer or Silent(), lingering)
    return run.run(message_format or MessageFormat(), accept_rewound)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A batch, and what the engine has done for it in advance."""

    batch: Batch
    prepared: PreparedBatch


class _Drain:
    """One drain's state: the position it has reached, and what it has done so far."""

    def __init__(
        self,
        queue: Queue,
        engine: BatchEngine,
        limits: DrainLimits,
        stop: StopSignal,
        observer: DrainObserver,
        lingering: Lingering,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._limits = limits
        self._stop = stop
        self._observer = observer
        self._hold = Hold(queue, engine)
        self._patience = Patience(limits, stop, observer)
        self._brake = Brake(limits.max_refused_share, limits.brake_after)
        self._sizing = Sizing.first(limits.sizes)
        self._care = Care()
        self._lingering = lingering
        self._following: _Ready | None = None
        self._gathering = False
        self._applied: Sequence[Message] = ()
        self._started = time.monotonic()
        self._position = ""
        self._owned = False
        self._unsettled = 0
        self._outcome = DrainOutcome(
            queue.key, engine.table_name, Ending.EMPTY, 0, 0, 0, 0, 0, 0, 0, 0.0, 0
        )

    def run(self, message_format: MessageFormat, accept_rewound: bool) -> DrainOutcome:
        """Take over, drain, and give the queue back, after a failure too.

        Not after what is no error of ours: a time-out of Airflow's leaves no time for it.
        """
        try:
            try:
                held = self._patience.while_away(lambda: self._take_over(accept_rewound))
                if held:
                    ending = Ending.HELD
                else:
                    intake = Intake(self._queue, message_format, self._limits.batch_bytes)
                    try:
                        ending = self._loop(intake)
                    finally:
                        self._settle_applied()
                    self._settle_failed()
                    self._patience.while_away(self._give_back)
            except HandedOverError as error:
                self._owned = False
                return self._ended(Ending.HANDED_OVER, remark=str(error))
        except BatchdrainError as error:
            self._release_after(error)
            if isinstance(error, TransientError) and self._stop.is_set():
                return self._ended(Ending.STOPPED)
            raise
        self._release()
        return self._ended(ending, remark=self._lingering.remark)

    def _take_over(self, accept_rewound: bool) -> bool:
        """Become the owner, and compare the queue with its position; True if it is held.

        Raises QueueRewoundError when the queue holds less than was applied, now or when it was
        last looked at, and nobody has accepted that.
        """
        start = self._engine.take_over(self._queue.baseline)
        self._owned = True
        self._engine.open()
        self._position = start.position
        if start.held:
            return True
        self._hold.take(self._position)
        standing = self._queue.standing(start.position, start.accounted)
        rewound = reason_to_stop(self._queue.key, start, standing)
        if rewound:
            if not accept_rewound:
                self._engine.mark_rewound()
                raise QueueRewoundError(rewound)
            standing = self._accept(rewound)
        if standing.lost:
            self._engine.record_loss(self._position, standing.lost)
            self._outcome = replace(self._outcome, lost=standing.lost)
            self._observer.note(
                f"{self._queue.key} lost {standing.lost} messages before they were read: a "
                "producer's MAXLEN, or somebody deleted them; the drain goes on"
            )
        # After an acceptance in any case: a list then begins a new account of what is settled.
        if standing.unsettled or rewound:
            self._settle(standing.unsettled, lambda: self._queue.settle_leftovers(self._position))
        return False

    def _while_held(self, action: Callable[[], _T]) -> _T:
        return self._hold.during(self._position, action)

    def _give_back(self) -> None:
        """Leave nothing in flight that was not applied."""
        self._while_held(lambda: self._queue.give_back(self._position))

    def _accept(self, why: str) -> Standing:
        """Go on from what Redis holds now: whatever is at or below the position was applied."""
        self._position, accounted = self._while_held(lambda: self._queue.accepted(self._position))
        self._engine.accept(self._position, accounted)
        self._observer.note(f"Accepted as it is, from {self._position} on. {why}")
        return self._queue.standing(self._position, accounted)

    def _loop(self, intake: Intake) -> Ending:
        while True:
            if self._stop.is_set():
                return Ending.STOPPED
            remaining = self._remaining()
            if remaining is not None and remaining <= 0:
                return Ending.MAX_RECORDS
            if self._limits.max_seconds and self._elapsed() >= self._limits.max_seconds:
                return Ending.MAX_SECONDS
            ready = self._patience.while_away(lambda: self._next(intake))
            if ready is None:
                if not self._patience.while_away(lambda: self._lingering.stay(self._position)):
                    return Ending.EMPTY
                continue
            applied = self._apply(ready, intake)
            self._put_back(ready.batch.messages[applied:], intake)
            self._gathering = self._trickles(ready.batch)

    def _next(self, intake: Intake) -> _Ready | None:
        following, self._following = self._following, None
        if following is not None:
            return following
        self._settle_applied()
        if self._gathering:
            self._gathering = False
            return None
        batch = self._while_held(lambda: intake.next(self._position, self._room()))
        return _Ready(batch, self._engine.prepare(batch.records)) if batch is not None else None

    def _prepare_following(self, batch: Batch, intake: Intake) -> None:
        """Settle what was applied, and prepare the batch behind this one, while PostgreSQL works.

        All in one thread: with two, each would keep the other waiting for Python's lock. What goes
        wrong is left for later, when the batch at hand is through: it comes again.
        """
        self._settle_applied()
        room = self._room(len(batch.records))
        if self._following is None and room and not self._trickles(batch):
            with suppress(BatchdrainError):
                following = intake.next(batch.last_id, room)
                if following is not None:
                    self._following = _Ready(following, self._engine.prepare(following.records))

    def _trickles(self, batch: Batch) -> bool:
        """Whether messages should gather behind this batch: it holds all that had come."""
        return self._lingering.begun and len(batch.records) < self._sizing.size

    def _put_back(self, messages: Sequence[Message], intake: Intake) -> None:
        """Give back what a batch that had to be made smaller did not apply."""
        if messages:
            following, self._following = self._following, None
            later = () if following is None else following.batch.messages
            intake.put_back([*messages, *later])

    def _apply(self, ready: _Ready, intake: Intake) -> int:
        """Apply a batch, trying again when a server is away; return how many of its messages.

        A failure that a record may cause by itself makes the batches smaller for a while, so that
        in the end that record's message stands alone and can be named.
        """
        batch, prepared = ready.batch, ready.prepared
        if self._care.most is not None:
            batch = batch.first(self._care.most)
            prepared = self._engine.prepare(batch.records)
        attempt = 0

        def _meanwhile() -> None:
            self._prepare_following(ready.batch, intake)

        while True:
            attempt += 1
            move = Move(self._position, batch.last_id, len(batch.messages))
            started = time.monotonic()
            try:
                result = self._engine.apply(
                    prepared,
                    move=move,
                    judge=self._brake.judge,
                    meanwhile=None if batch is not ready.batch else _meanwhile,
                )
                break
            except TransientError as error:
                smaller = self._care.smaller(batch, attempt, error)
                if smaller is None or self._stop.is_set():
                    self._raise_if_final(error, attempt, batch)
                self._patience.pause(attempt, error)
            if self._was_committed(move):
                result = self._engine.unconfirmed_result()
                break
            if smaller is not None:
                batch, attempt = smaller, 0
                self._care.shrink(batch)
                prepared = self._engine.prepare(batch.records)
        self._committed(batch, result, time.monotonic() - started)
        self._care.relax(self._sizing.size)
        return len(batch.messages)

    def _was_committed(self, move: Move) -> bool:
        return self._patience.while_away(lambda: self._engine.committed(move))

    def _raise_if_final(self, error: TransientError, attempt: int, batch: Batch) -> None:
        if self._stop.is_set():
            raise error
        if attempt < self._limits.attempts:
            return
        require_more_than_one(self._queue.key, batch, attempt, error)
        raise error

    def _committed(self, batch: Batch, result: BatchResult, seconds: float) -> None:
        """Note a batch that PostgreSQL holds, and have it removed from Redis."""
        self._position = batch.last_id
        done = self._outcome
        self._outcome = replace(
            done,
            messages=done.messages + len(batch.messages),
            records=done.records + len(result.results),
            applied=done.applied + result.applied,
            refused=done.refused + result.refused,
            batches=done.batches + 1,
            isolated=done.isolated + result.isolated,
        )
        self._brake.count(result)
        self._sizing = self._sizing.after(len(result.results), result.refused, seconds)
        if self._sizing.reason:
            self._observer.sized(self._sizing.size, self._sizing.reason)
        self._settle_applied()
        self._applied = batch.messages
        self._observer.batch(
            BatchReport(
                self._outcome.batches,
                len(batch.messages),
                batch.size,
                seconds,
                self._position,
                result,
            )
        )

    def _settle_applied(self) -> None:
        """Remove the messages of the last batch from Redis; it is committed by now."""
        messages, self._applied = self._applied, ()
        if messages:
            ids = [message.id for message in messages]
            self._settle(len(ids), lambda: self._queue.settle(ids[-1], ids))

    def _settle_failed(self) -> None:
        """Remove what could not be removed when its batch was committed."""
        if self._unsettled:
            self._settle(self._unsettled, lambda: self._queue.settle_leftovers(self._position))

    def _settle(self, messages: int, action: Callable[[], int]) -> None:
        """Remove applied messages; what fails is done again, at the latest by the next drain."""
        try:
            action()
        except BatchdrainError as error:
            self._unsettled += messages
            self._observer.note(
                f"{self._queue.key} could not be relieved of {messages} applied messages yet: "
                f"{error}"
            )

    def _release(self, wait: float = DEFAULT_WAIT) -> None:
        """Give the queue back; a drain that can't is replaced by the next one all the same."""
        try:
            self._engine.release(wait)
        except BatchdrainError as error:
            self._observer.note(f"{self._queue.key} could not be given back: {error}")

    def _release_after(self, error: BatchdrainError) -> None:
        """Give the queue back after a failure, so that nobody takes it for being drained.

        A stopped task has a few seconds left: where PostgreSQL has not answered, it may spend none
        on asking again.
        """
        silent = isinstance(error, TransientError) and error.sqlstate is None
        if self._owned and not (silent and self._stop.is_set()):
            self._release(_FAILED_WAIT)

    def _remaining(self) -> int | None:
        if self._limits.max_records is None:
            return None
        return self._limits.max_records - self._outcome.records

    def _room(self, taken: int = 0) -> int:
        """How many records the next batch may have, when so many more are about to be applied."""
        remaining = self._remaining()
        return (
            self._sizing.size
            if remaining is None
            else min(self._sizing.size, max(0, remaining - taken))
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _ended(self, ending: Ending, remark: str | None = None) -> DrainOutcome:
        return replace(
            self._outcome,
            ending=ending,
            seconds=self._elapsed(),
            left=self._patience.while_away(self._queue.depth),
            remark=remark,
        )
