"""Shows queues and messages in a task's log: never the values that they carry. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from batchdrain.engine.position import Position
from batchdrain.operators.message_age import waited
from batchdrain.queues.envelope import Envelope
from batchdrain.queues.message import decode
from batchdrain.queues.queue import START, Message, Queue, Standing

QUEUE_HEAD = ("queue", "kind", "state", "waiting", "oldest", "applied", "lost", "position")
MESSAGE_HEAD = ("id", "age", "operation", "records", "bytes", "columns of the first")

_COLUMNS_SHOWN = 200
_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def reached(position: Position | None) -> str:
    """Return up to where a queue has been applied; None is one that no drain has seen."""
    return START if position is None else position.position


def standing_at(queue: Queue, position: Position | None) -> Standing:
    """Compare a queue with its position, as the next drain would."""
    accounted = queue.baseline() if position is None else position.accounted
    return queue.standing(reached(position), accounted)


def queue_row(
    queue: Queue, position: Position | None, oldest: Sequence[Message], now: datetime
) -> list[object]:
    """Return a queue's row under QUEUE_HEAD; `oldest` is its oldest message, if it has one."""
    standing = standing_at(queue, position)
    return [
        queue.key,
        queue.kind,
        _state(position, standing.rewound),
        standing.unread,
        _age(oldest[0], now) if oldest else "",
        0 if position is None else position.applied,
        standing.lost + (0 if position is None else position.lost),
        reached(position),
    ]


def message_row(message: Message, now: datetime) -> list[object]:
    """Return a message's row under MESSAGE_HEAD."""
    age = _age(message, now)
    if message.body is None:
        return [message.id, age, "(no field named data)", 0, 0, ""]
    envelope = decode(message.body)
    if not isinstance(envelope, Envelope):
        return [message.id, age, "(malformed)", 0, len(message.body), envelope.reason]
    columns = _columns(envelope.records[0]) if envelope.records else ""
    records = len(envelope.records)
    return [message.id, age, envelope.operation, records, len(message.body), columns]


def _state(position: Position | None, rewound: str | None) -> str:
    if position is not None and position.held:
        return "held"
    if rewound or (position is not None and position.rewound):
        return "went back"
    if position is None:
        return "new"
    return "draining" if position.owner else "idle"


def _age(message: Message, now: datetime) -> str:
    seconds = waited(message.id, now)
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def _columns(record: bytes) -> str:
    try:
        names = ", ".join(_names(record))
    except (msgspec.MsgspecError, RecursionError):
        return "(no readable object)"
    text = names if names.isprintable() else repr(names)
    return text if len(text) <= _COLUMNS_SHOWN else f"{text[:_COLUMNS_SHOWN]}\u2026"
