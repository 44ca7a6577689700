"""The intake: messages become batches, bounded by records and bytes and never split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from batchdrain.drain.intake import Intake, MessageFormat
from batchdrain.engine.records import Malformed, Operation, Record
from batchdrain.queues.message import MessageLimits
from batchdrain.queues.queue import Message


@dataclass
class Claims:
    """A queue that can only be claimed from, and remembers how."""

    messages: list[Message]
    asked: list[tuple[int, str]] = field(default_factory=list)

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        self.asked.append((limit, after))
        behind = [message for message in self.messages if int(message.id) > int(after)]
        return behind[:limit]


def message(number: int, records: int = 1, **members: object) -> Message:
    envelope = {"operation": "insert", "records": [{"n": number}] * records, **members}
    return Message(str(number), json.dumps(envelope).encode())


def intake(
    messages: Sequence[Message],
    message_format: MessageFormat | None = None,
    batch_bytes: int = 1_000_000,
) -> tuple[Intake, Claims]:
    claims = Claims(list(messages))
    queue: Any = claims
    return Intake(queue, message_format or MessageFormat(), batch_bytes), claims


def test_a_batch_has_as_many_records_as_allowed() -> None:
    cut, claims = intake([message(n) for n in range(1, 26)])
    sizes, position = [], "0"
    while batch := cut.next(position, 10):
        sizes.append(len(batch.records))
        position = batch.messages[-1].id
    assert sizes == [10, 10, 5]
    assert claims.asked == [(10, "0"), (10, "10"), (10, "20"), (10, "25")]


def test_the_rest_of_the_drain_bounds_a_batch_too() -> None:
    cut, _ = intake([message(n) for n in range(1, 26)])
    batch = cut.next("0", 3)
    assert batch is not None
    assert len(batch.messages) == 3


def test_messages_with_many_records_are_not_split() -> None:
    """What was claimed beyond the batch waits for the next; it is not claimed again."""
    cut, claims = intake([message(n, 7) for n in range(1, 6)])
    first, second = cut.next("0", 10), cut.next("2", 10)
    assert first is not None
    assert second is not None
    assert (first.ends, second.ends) == ((7, 14), (7, 14))
    assert [entry.id for entry in second.messages] == ["3", "4"]
    assert len(claims.asked) == 1


def test_bytes_bound_a_batch() -> None:
    cut, _ = intake([message(n, 10) for n in range(1, 10)], batch_bytes=150)
    batch = cut.next("0", 100)
    assert batch is not None
    assert batch.size == 10 * len(b'{"n": 1}') * 2
    assert len(batch.messages) == 2


def test_messages_that_are_put_back_come_first() -> None:
    cut, claims = intake([message(n) for n in range(1, 7)])
    batch = cut.next("0", 3)
    assert batch is not None
    cut.put_back(batch.messages[1:])
    again = cut.next("1", 3)
    assert again is not None
    assert [entry.id for entry in again.messages] == ["2", "3"]
    assert len(claims.asked) == 1


def test_the_first_messages_of_a_batch_are_a_batch() -> None:
    cut, _ = intake([message(1, 2), message(2, 0), message(3, 3)])
    batch = cut.next("0", 10)
    assert batch is not None
    assert batch.ends == (2, 2, 5)
    first = batch.first(2)
    assert (len(first.messages), len(first.records), first.ends) == (2, 2, (2, 2))
    assert first.size == 2 * len(b'{"n": 1}')
    assert batch.first(3) is batch
    assert batch.first(99) is batch


def test_records_keep_their_bytes_and_share_the_envelope() -> None:
    body = b'{"operation":"Update","client_id":"c","site":7,"record":{ "a" : 1.00 }}'
    cut, _ = intake([Message("1", body)], MessageFormat(members=("client_id", "ver", "site")))
    batch = cut.next("0", 10)
    assert batch is not None
    members = {"client_id": b'"c"', "site": b"7"}
    assert batch.records == (Record(Operation.UPDATE, b'{ "a" : 1.00 }', members, "1"),)


def test_a_malformed_message_is_one_record_with_its_bytes() -> None:
    body = b'{"operation":"DROP","client_id":"c","record":{}}'
    cut, _ = intake([Message("1", body)])
    batch = cut.next("0", 10)
    assert batch is not None
    (record,) = batch.records
    assert isinstance(record, Malformed)
    assert (record.body, record.message_id, record.members) == (body, "1", {"client_id": b'"c"'})
    assert batch.size == len(body)


def test_an_entry_without_data_is_malformed_and_keeps_its_fields() -> None:
    cut, _ = intake([Message("1", None, {b"dta": b"12345"})])
    batch = cut.next("0", 10)
    assert batch is not None
    (record,) = batch.records
    assert isinstance(record, Malformed)
    assert record.fields == {b"dta": b"12345"}
    assert batch.size == 8


def test_the_format_s_limits_hold() -> None:
    cut, _ = intake([message(1, 3)], MessageFormat(limits=MessageLimits(max_records=2)))
    batch = cut.next("0", 10)
    assert batch is not None
    assert isinstance(batch.records[0], Malformed)


@pytest.mark.parametrize("records", [0, 1])
def test_an_empty_queue_has_no_batch_but_an_empty_message_is_one(records: int) -> None:
    cut, _ = intake([message(1, 0)] * records)
    batch = cut.next("0", 10)
    assert (batch is None) is (records == 0)
    assert batch is None or (batch.records, len(batch.messages)) == ((), 1)
