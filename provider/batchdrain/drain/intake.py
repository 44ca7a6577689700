"""Turns a queue's messages into batches of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchdrain.drain.report import DrainLimits
from batchdrain.engine.records import Malformed, Operation, Record
from batchdrain.queues.message import MalformedEnvelope, MessageLimits, decode
from batchdrain.queues.queue import Message, Queue

_OPERATIONS = {operation.value: operation for operation in Operation}


@dataclass(frozen=True, slots=True)
class MessageFormat:
    """How messages are read: their limits, and the envelope members that carry the scope."""

    limits: MessageLimits = field(default_factory=MessageLimits)
    members: tuple[str, ...] = ("client_id", "ver")


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole messages with their records; `ends` has the number of records up to each message."""

    messages: tuple[Message, ...]
    records: tuple[Record | Malformed, ...]
    ends: tuple[int, ...]
    size: int

    def first(self, messages: int) -> Batch:
        """Return a batch of at most so many of the first messages."""
        if messages >= len(self.messages):
            return self
        end = self.ends[messages - 1]
        records = self.records[:end]
        return Batch(
            self.messages[:messages], records, self.ends[:messages], sum(map(_size, records))
        )


class Intake:
    """Claims messages behind a position and cuts them into batches by records and bytes."""

    def __init__(self, queue: Queue, message_format: MessageFormat, limits: DrainLimits) -> None:
        self._queue = queue
        self._format = message_format
        self._limits = limits
        self._waiting: list[Message] = []

    def next(self, position: str, most_records: int | None) -> Batch | None:
        """Return the next batch behind the position, None when the queue is empty."""
        limit = self._limits.batch_records
        if most_records is not None:
            limit = min(limit, most_records)
        if not self._waiting:
            self._waiting = list(self._queue.claim(limit, position))
        if not self._waiting:
            return None
        return self._cut(limit)

    def put_back(self, messages: Sequence[Message]) -> None:
        """Take back messages of the last batch that were not applied."""
        self._waiting[:0] = messages

    def _cut(self, limit: int) -> Batch:
        records: list[Record | Malformed] = []
        ends: list[int] = []
        size = 0
        for message in self._waiting:
            read = self._read(message)
            records.extend(read)
            ends.append(len(records))
            size += sum(map(_size, read))
            if len(records) >= limit or size >= self._limits.batch_bytes:
                break
        taken, self._waiting = self._waiting[: len(ends)], self._waiting[len(ends) :]
        return Batch(tuple(taken), tuple(records), tuple(ends), size)

    def _read(self, message: Message) -> Sequence[Record | Malformed]:
        if message.body is None:
            reason = "the stream entry has no field named data"
            return [Malformed(reason, None, fields=message.fields, message_id=message.id)]
        envelope = decode(message.body, self._format.limits, self._format.members)
        if isinstance(envelope, MalformedEnvelope):
            return [
                Malformed(
                    envelope.reason,
                    message.body,
                    operation=envelope.operation,
                    members=envelope.members,
                    message_id=message.id,
                )
            ]
        operation = _OPERATIONS[envelope.operation]
        return [Record(operation, data, envelope.members, message.id) for data in envelope.records]


def _size(record: Record | Malformed) -> int:
    if isinstance(record, Record):
        return len(record.data)
    fields = record.fields or {}
    return len(record.body or b"") + sum(len(name) + len(fields[name]) for name in fields)
