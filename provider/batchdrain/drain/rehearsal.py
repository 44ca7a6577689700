"""Tries what a drain would do with a queue's oldest messages, and changes nothing.

No drain is disturbed by it: the queue is not taken over, its messages are only looked at, and what
they do to the table is rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from batchdrain.drain.brake import foreseen
from batchdrain.drain.intake import Batch, Intake, MessageFormat
from batchdrain.drain.report import DrainLimits
from batchdrain.drain.rewind import reason_to_stop
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import Position
from batchdrain.engine.records import BatchResult, Malformed, Record
from batchdrain.errors import QueueRewoundError, TransientError
from batchdrain.queues.queue import START, Message, Queue

DEFAULT_LIMIT = 1_000
"""Records that are tried: as many as the first batch of a drain has."""

_LOOKS = 10

_LOCKED = "55P03"

_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Change:
    """What would be applied of one operation: how many records, and the columns they carry."""

    operation: str
    records: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a drain would do with the oldest `messages` of the `waiting` ones.

    `brake` is the sentence with which the drain would stop, or nearly; `remarks` are sentences
    about what else makes a drain do something different.
    """

    queue: str
    table: str
    position: str
    waiting: int
    messages: int
    result: BatchResult
    changes: tuple[Change, ...]
    brake: str | None
    remarks: tuple[str, ...]
    seconds: float

    def sentence(self) -> str:
        """Say it in one line."""
        return (
            f"{self.queue} → {self.table}: dry run: of {len(self.result.results)} records "
            f"{self.result.applied} would be applied and {self.result.refused} refused, from the "
            f"oldest {self.messages} of {self.waiting} messages, in {self.seconds:.2f} s; nothing "
            "was changed"
        )


def rehearse(
    queue: Queue,
    engine: BatchEngine,
    *,
    limit: int = DEFAULT_LIMIT,
    limits: DrainLimits | None = None,
    message_format: MessageFormat | None = None,
    accept_rewound: bool = False,
) -> Rehearsal:
    """Apply at most `limit` records behind the queue's position, and roll all of it back.

    Of `limits` the bytes of a batch, `max_records` and the brake count; what the brake would do is
    told. A queue on hold is tried, too. Raises what a drain would raise at once: TransientError
    after one attempt, QueueRewoundError unless `accept_rewound`, another SystemicError.
    """
    started = time.monotonic()
    bounds = limits or DrainLimits()
    most = limit if bounds.max_records is None else min(limit, bounds.max_records)
    try:
        view = _look(queue, engine, most, accept_rewound)
        batch = _batch(queue, view, message_format or MessageFormat(), bounds, most)
        records = batch.records[:most]
        result = engine.rehearse(records)
        moved = _place(engine.look()) != _place(view.row)
    except TransientError as error:
        raise TransientError(
            f"{_why(error)}; this was a dry run: nothing was changed", sqlstate=error.sqlstate
        ) from error
    return Rehearsal(
        queue=queue.key,
        table=engine.table_name,
        position=view.position,
        waiting=view.waiting,
        messages=len(batch.messages),
        result=result,
        changes=_changes(records, result),
        brake=foreseen(bounds, result),
        remarks=(
            *view.remarks,
            *_about_bytes(view, batch, most),
            *_about_parents(result),
            *_about_others(moved),
        ),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _View:
    """A queue at one moment: its row, if any, and what lies behind the position."""

    row: Position | None
    position: str
    waiting: int
    messages: Sequence[Message]
    remarks: tuple[str, ...]


def _look(queue: Queue, engine: BatchEngine, limit: int, accept_rewound: bool) -> _View:
    """Look at the queue and at its row, again as long as a drain moves on between the two."""
    for _ in range(_LOOKS):
        row = engine.look()
        position = _place(row)
        accounted = queue.baseline() if row is None else row.accounted
        standing = queue.standing(position, accounted)
        why = reason_to_stop(queue.key, row, standing)
        remarks = []
        if row is not None and row.held:
            remarks.append("the queue is on hold: a drain would apply nothing until it is released")
        if standing.lost:
            remarks.append(f"{standing.lost} messages were lost before they were read")
        if why and accept_rewound:
            remarks.append(f"a drain would accept the queue as it is. {why}")
            position = queue.accepted_from(position)
            standing = queue.standing(position, 0)
        messages = queue.peek(limit, position)
        if _place(engine.look()) != _place(row):
            continue
        if why and not accept_rewound:
            raise QueueRewoundError(why)
        return _View(row, position, standing.unread, messages, tuple(remarks))
    raise TransientError(
        f"{queue.key} is drained faster than it can be looked at; try again, or hold it meanwhile"
    )


def _place(row: Position | None) -> str:
    return START if row is None else row.position


def _batch(
    queue: Queue, view: _View, message_format: MessageFormat, bounds: DrainLimits, limit: int
) -> Batch:
    """Read the messages as a drain does that has claimed them."""
    intake = Intake(queue, message_format, bounds.batch_bytes)
    intake.put_back(view.messages)
    batch = intake.next(view.position, limit) if view.messages else None
    return batch or Batch((), (), (), 0)


def _changes(records: Iterable[Record | Malformed], result: BatchResult) -> tuple[Change, ...]:
    counts: dict[str, int] = {}
    columns: dict[str, dict[str, None]] = {}
    for record, entry in zip(records, result.results, strict=True):
        if entry.applied and isinstance(record, Record):
            counts[record.operation] = counts.get(record.operation, 0) + 1
            columns.setdefault(record.operation, {}).update(dict.fromkeys(_columns(record.data)))
    return tuple(
        Change(str(operation), count, tuple(columns[operation]))
        for operation, count in counts.items()
    )


def _columns(record: bytes) -> Iterable[str]:
    """Return a record's columns; none where PostgreSQL alone could read it."""
    try:
        return _names(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def _why(error: TransientError) -> str:
    if error.sqlstate != _LOCKED:
        return str(error)
    return (
        "another session keeps rows or tables locked that these records need, for longer than "
        "lock_timeout; a drain would wait, and try again"
    )


def _about_bytes(view: _View, batch: Batch, limit: int) -> tuple[str, ...]:
    tried = len(batch.messages)
    if tried >= min(view.waiting, limit) or len(batch.records) >= limit:
        return ()
    return ("no more messages were tried: these have as many bytes as one batch may (batch_bytes)",)


def _about_parents(result: BatchResult) -> tuple[str, ...]:
    kinds = {entry.refusal.error_type for entry in result.results if entry.refusal is not None}
    if "foreign_key_violation" not in kinds:
        return ()
    return (
        "foreign_key_violation: a row that is missing here may still wait in the queue of another "
        "table; a dry run tries each queue by itself, a run drains the tables referred to first",
    )


def _about_others(moved: bool) -> tuple[str, ...]:
    if not moved:
        return ()
    return (
        "a drain was at work on the queue meanwhile: records that it has applied were tried here "
        "a second time (an INSERT then counts as unique_violation, say)",
    )
