"""The one loop that joins a queue and an engine: claim → apply → commit → settle.

Exactly once rests on the position, which PostgreSQL holds and moves in the batch's own
transaction. Redis is only ever read behind the position, and only relieved of what is at or
below it; so whatever dies in between, the next drain goes on where the last commit was.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from batchdrain.drain.brake import Brake
from batchdrain.drain.intake import Batch, Intake, MessageFormat
from batchdrain.drain.report import (
    BatchReport,
    DrainLimits,
    DrainObserver,
    DrainOutcome,
    Ending,
    Silent,
    StopSignal,
)
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import Move
from batchdrain.engine.records import BatchResult
from batchdrain.errors import (
    BatchdrainError,
    HandedOverError,
    QueueRewoundError,
    SystemicError,
    TransientError,
)
from batchdrain.queues.queue import Queue

_T = TypeVar("_T")

_ROW_CODES = ("40", "53")
"""Classes of transient failures that a single record can cause by itself (a trigger's, say)."""


def drain(
    queue: Queue,
    engine: BatchEngine,
    *,
    limits: DrainLimits | None = None,
    message_format: MessageFormat | None = None,
    stop: StopSignal | None = None,
    observer: DrainObserver | None = None,
    accept_rewound: bool = False,
) -> DrainOutcome:
    """Drain a queue until it is empty or a limit is reached.

    Takes ownership of the queue first: an older drain of it ends at its next batch. With
    `accept_rewound` a queue that holds less than PostgreSQL has applied is taken as it is.

    Raises TransientError when a server stays away, QueueRewoundError, BrakeError or another
    SystemicError when trying again would not help; what was committed before stays committed.
    """
    run = _Drain(queue, engine, limits or DrainLimits(), stop or StopSignal(), observer or Silent())
    return run.run(message_format or MessageFormat(), accept_rewound)


class _Drain:
    """One drain's state: the position it has reached, and what it has done so far."""

    def __init__(
        self,
        queue: Queue,
        engine: BatchEngine,
        limits: DrainLimits,
        stop: StopSignal,
        observer: DrainObserver,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._limits = limits
        self._stop = stop
        self._observer = observer
        self._brake = Brake(limits.max_refused_share, limits.brake_after)
        self._started = time.monotonic()
        self._position = ""
        self._outcome = DrainOutcome(
            queue.key, engine.table_name, Ending.EMPTY, 0, 0, 0, 0, 0, 0, 0, 0.0, 0
        )

    def run(self, message_format: MessageFormat, accept_rewound: bool) -> DrainOutcome:
        """Take over, drain, and give the queue back."""
        try:
            try:
                held = self._patiently(lambda: self._take_over(accept_rewound))
                intake = Intake(self._queue, message_format, self._limits)
                ending = Ending.HELD if held else self._loop(intake)
            except HandedOverError as error:
                return self._ended(Ending.HANDED_OVER, remark=str(error))
            self._engine.release()
        except TransientError:
            if self._stop.is_set():
                return self._ended(Ending.STOPPED)
            raise
        return self._ended(ending)

    def _take_over(self, accept_rewound: bool) -> bool:
        """Become the owner and compare the queue with its position; True if it is held."""
        start = self._engine.take_over(self._queue.baseline)
        self._position = start.position
        if start.held:
            return True
        standing = self._queue.standing(start.position, start.accounted)
        if standing.rewound:
            if not accept_rewound:
                raise QueueRewoundError(standing.rewound)
            self._position = self._engine.accept(self._queue.baseline())
            self._observer.note(f"{self._queue.key} was accepted as it is: {standing.rewound}")
            standing = self._queue.standing(self._position, self._queue.baseline())
        if standing.lost:
            self._engine.record_loss(self._position, standing.lost)
            self._outcome = replace(self._outcome, lost=standing.lost)
            self._observer.note(
                f"{self._queue.key} lost {standing.lost} messages before they were read: a "
                "producer's MAXLEN, or somebody deleted them; the drain goes on"
            )
        if standing.unsettled:
            self._queue.settle_leftovers(self._position)
        return False

    def _loop(self, intake: Intake) -> Ending:
        while True:
            if self._stop.is_set():
                return Ending.STOPPED
            remaining = self._remaining()
            if remaining is not None and remaining <= 0:
                return Ending.MAX_RECORDS
            if self._limits.max_seconds and self._elapsed() >= self._limits.max_seconds:
                return Ending.MAX_SECONDS
            batch = self._patiently(lambda: intake.next(self._position, self._remaining()))
            if batch is None:
                return Ending.EMPTY
            applied = self._apply(batch)
            intake.put_back(batch.messages[applied:])

    def _apply(self, batch: Batch) -> int:
        """Apply a batch, trying again when a server is away; return how many of its messages.

        A failure that a record may cause by itself makes the next try smaller, so that in the
        end that record stands alone and can be named.
        """
        for attempt in range(1, self._limits.attempts + 1):
            move = Move(self._position, batch.messages[-1].id, len(batch.messages))
            started = time.monotonic()
            try:
                result = self._engine.apply(batch.records, move=move, judge=self._brake.judge)
            except TransientError as error:
                self._raise_if_final(error, attempt, batch)
                self._pause(attempt, error)
                if self._was_committed(move):
                    self._committed(batch, None, time.monotonic() - started)
                    return len(batch.messages)
                if error.sqlstate and error.sqlstate.startswith(_ROW_CODES) and attempt > 1:
                    batch = batch.first(max(1, len(batch.messages) // 32))
            else:
                self._committed(batch, result, time.monotonic() - started)
                return len(batch.messages)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _was_committed(self, move: Move) -> bool:
        return self._patiently(lambda: self._engine.committed(move))

    def _raise_if_final(self, error: TransientError, attempt: int, batch: Batch) -> None:
        if self._stop.is_set():
            raise error
        if attempt < self._limits.attempts:
            return
        by_record = error.sqlstate is not None and error.sqlstate.startswith(_ROW_CODES)
        if by_record and len(batch.records) == 1:
            raise SystemicError(
                f"message {batch.messages[0].id} of {self._queue.key} fails by itself, "
                f"{attempt} times over: {error} (a trigger's doing? mend it, or remove the message)"
            ) from error
        raise error

    def _committed(self, batch: Batch, result: BatchResult | None, seconds: float) -> None:
        """Note a batch that PostgreSQL holds, then remove it from Redis."""
        self._position = batch.messages[-1].id
        result = result or self._engine.unconfirmed_result()
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
        self._settle(batch)
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

    def _settle(self, batch: Batch) -> None:
        """Remove applied messages; what fails here is done again by the next drain."""
        try:
            self._queue.settle(self._position, [message.id for message in batch.messages])
        except BatchdrainError as error:
            self._observer.note(
                f"{self._queue.key} could not be relieved of {len(batch.messages)} applied "
                f"messages, which a later drain will do: {error}"
            )

    def _patiently(self, action: Callable[[], _T]) -> _T:
        """Do something, again and again with growing pauses while a server is away."""
        for attempt in range(1, self._limits.attempts):
            try:
                return action()
            except TransientError as error:
                if self._stop.is_set():
                    raise
                self._pause(attempt, error)
        return action()

    def _pause(self, attempt: int, error: TransientError) -> None:
        longest = min(self._limits.first_pause * 2 ** (attempt - 1), self._limits.longest_pause)
        seconds = longest * random.uniform(0.5, 1.0)
        self._observer.note(f"attempt {attempt} failed, next in {seconds:.1f} s: {error}")
        self._stop.wait(seconds)

    def _remaining(self) -> int | None:
        if self._limits.max_records is None:
            return None
        return self._limits.max_records - self._outcome.records

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _ended(self, ending: Ending, remark: str | None = None) -> DrainOutcome:
        return replace(
            self._outcome,
            ending=ending,
            seconds=self._elapsed(),
            left=self._queue.depth(),
            remark=remark,
        )
