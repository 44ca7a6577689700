"""Turns a queue's messages into batches of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from batchdrain.engine.records import Malformed, Operation, Record
from batchdrain.queues.envelope import Envelope, MalformedEnvelope
from batchdrain.queues.message import MessageLimits, decode_all
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

    @property
    def last_id(self) -> str:
        """The queue's position once this batch has been applied."""
        return self.messages[-1].id

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

    def __init__(self, queue: Queue, message_format: MessageFormat, batch_bytes: int) -> None:
        self._queue = queue
        self._format = message_format
        self._batch_bytes = batch_bytes
        self._waiting: list[Message] = []

    def next(self, after: str, limit: int) -> Batch | None:
        """Return the batch behind `after` of about `limit` records, None when the queue is empty.

        Raises what claiming raises.
        """
        if not self._waiting:
            self._waiting = list(self._queue.claim(limit, after))
        return self._cut(limit)

    def put_back(self, messages: Sequence[Message]) -> None:
        """Take back messages that were not applied."""
        self._waiting[:0] = messages

    def _cut(self, limit: int) -> Batch | None:
        if not self._waiting:
            return None
        records: list[Record | Malformed] = []
        ends: list[int] = []
        size = 0
        for message, envelope in self._read(self._waiting):
            size += _add(message, envelope, records)
            ends.append(len(records))
            if len(records) >= limit or size >= self._batch_bytes:
                break
        taken, self._waiting = self._waiting[: len(ends)], self._waiting[len(ends) :]
        return Batch(tuple(taken), tuple(records), tuple(ends), size)

    def _read(
        self, messages: Sequence[Message]
    ) -> Iterator[tuple[Message, Envelope | MalformedEnvelope | None]]:
        """Yield each message with its envelope: None where there is no body to read."""
        bodies = [message.body for message in messages if message.body is not None]
        envelopes = decode_all(bodies, self._format.limits, self._format.members)
        for message in messages:
            yield message, None if message.body is None else next(envelopes)


def _add(
    message: Message,
    envelope: Envelope | MalformedEnvelope | None,
    records: list[Record | Malformed],
) -> int:
    """Add a message's records to those of a batch, and return their size in bytes."""
    if isinstance(envelope, Envelope):
        operation, members = _OPERATIONS[envelope.operation], envelope.members
        size = 0
        for data in envelope.records:
            records.append(Record(operation, data, members, message.id))
            size += len(data)
        return size
    if envelope is None:
        reason = "the stream entry has no field named data"
        records.append(Malformed(reason, None, fields=message.fields, message_id=message.id))
    else:
        records.append(
            Malformed(
                envelope.reason,
                message.body,
                operation=envelope.operation,
                members=envelope.members,
                message_id=message.id,
            )
        )
    return _size(records[-1])


def _size(record: Record | Malformed) -> int:
    if isinstance(record, Record):
        return len(record.data)
    fields = record.fields or {}
    return len(record.body or b"") + sum(len(name) + len(fields[name]) for name in fields)
