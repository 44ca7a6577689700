"""Bad messages on their way through a drain, and the brake when there are too many of them."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from batchdrain.drain import DrainLimits, Ending
from batchdrain.errors import BrakeError, ConfigurationError
from drain_lab import KEY, Lab, Notes, insert

WHOLE = DrainLimits(batch_records=500)


def bad(n: int) -> dict[str, object]:
    return insert("many" if n % 10 else n)


def test_the_brake_stops_a_drain_that_would_refuse_most_of_its_records(lab: Lab) -> None:
    """The batch that tips the scale is rolled back; error type and column are named."""
    lab.push(map(bad, range(2000)))
    with pytest.raises(BrakeError, match="900 of 1000 records would be refused") as raised:
        lab.drain(limits=WHOLE)
    assert "invalid_text_representation in column payload" in str(raised.value)
    assert "many" not in str(raised.value)
    assert (lab.client.xlen(KEY), len(lab.refused())) == (1500, 450)
    assert lab.logged() == (500, 50, 450, 0)


def test_the_brake_counts_over_the_whole_drain(lab: Lab) -> None:
    """Good records earlier on make room for bad ones."""
    lab.push(map(insert, range(1000)))
    lab.push(map(bad, range(1000)))
    outcome = lab.drain(limits=WHOLE)
    assert (outcome.applied, outcome.refused) == (1100, 900)
    lab.push(map(insert, range(100)))
    lab.push(map(bad, range(1500)))
    with pytest.raises(BrakeError):
        lab.drain(limits=WHOLE)


def test_a_batch_that_reaches_the_brake_at_once_consumes_nothing(lab: Lab) -> None:
    lab.push(map(bad, range(1000)))
    with pytest.raises(BrakeError):
        lab.drain(limits=DrainLimits(batch_records=1000))
    lab.assert_nothing_consumed(1000)


def test_a_small_bad_queue_goes_to_the_error_table(lab: Lab) -> None:
    """Below brake_after nobody can tell a bad deploy from a bad day."""
    lab.push(insert("many") for _ in range(999))
    outcome = lab.drain(limits=WHOLE)
    assert (outcome.ending, outcome.refused, outcome.left) == (Ending.EMPTY, 999, 0)
    assert len(lab.refused()) == 999


def test_the_brake_can_be_let_off(lab: Lab) -> None:
    lab.push(map(bad, range(1500)))
    limits = DrainLimits(batch_records=500, max_refused_share=1.0)
    assert lab.drain(limits=limits).refused == 1350
    assert lab.logged() == (1500, 150, 1350, 0)


def test_a_message_may_carry_many_records_or_none(lab: Lab) -> None:
    """Each record has its own fate; a message without records only moves the position."""
    records: list[dict[str, object]] = [{"payload": n} for n in range(250)]
    records[7] = {"payload": "seven"}
    ids = lab.push(
        [
            {"operation": "insert", "records": []},
            {"operation": "insert", "records": records},
            {"operation": "insert", "records": []},
        ]
    )
    outcome = lab.drain()
    assert (outcome.messages, outcome.records, outcome.left) == (3, 250, 0)
    assert (outcome.applied, outcome.refused) == (249, 1)
    assert lab.refused() == [("invalid_text_representation", "payload", ids[1])]
    assert lab.logged() == (3, 249, 1, 0)
    assert (lab.position().position, lab.position().applied) == (ids[2], 3)


def test_a_queue_of_nothing_but_empty_messages_is_emptied(lab: Lab) -> None:
    lab.push({"operation": "DELETE", "records": []} for _ in range(250))
    outcome = lab.drain()
    assert (outcome.messages, outcome.records, outcome.left) == (250, 0, 0)
    assert lab.logged() == (250, 0, 0, 0)


def test_malformed_messages_keep_their_bytes_and_hold_nothing_up(lab: Lab) -> None:
    """Each is one refused row between two good records."""
    bodies = [b"\xff\x00{", b'{"operation": "TRUNCATE", "record": {}}', gzip.compress(b"[1")]
    for n, body in enumerate(bodies):
        lab.push([insert(n), body])
    lab.client.xadd(KEY, {"dta": "x"})
    lab.push([insert(3)])
    outcome = lab.drain()
    assert (outcome.applied, outcome.refused, outcome.left) == (4, 4, 0)
    assert lab.payloads() == [0, 1, 2, 3]
    assert [row[0] for row in lab.refused()] == ["malformed_message"] * 4
    kept = lab.sql("SELECT record_data FROM t_errors ORDER BY id")
    assert base64.b64decode(kept[0]["batchdrain_base64"]) == bodies[0]
    assert kept[1] == json.loads(bodies[1])
    assert base64.b64decode(kept[2]["batchdrain_base64"]) == bodies[2]
    assert kept[3] == {"batchdrain_fields": {"dta": "x"}}


def test_a_drain_tells_what_each_batch_did(lab: Lab) -> None:
    """Number, messages, bytes, position and the results of its records."""
    ids = lab.push(bad(n) if n == 5 else insert(n) for n in range(130))
    notes = Notes()
    lab.drain(observer=notes)
    first, second = notes.batches
    assert (first.number, first.messages, first.position) == (1, 100, ids[99])
    assert (second.number, second.messages, second.position) == (2, 30, ids[129])
    assert first.size == sum(len(json.dumps({"payload": n})) for n in range(100) if n != 5) + len(
        json.dumps({"payload": "many"})
    )
    assert (first.result.applied, first.result.refused, first.result.isolated) == (99, 1, True)
    assert second.result.refused == 0
    assert notes.sentences == []


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("DROP TABLE t", "t"),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", "primary key"),
    ],
)
def test_a_table_that_cannot_be_drained_is_one_sentence_and_consumes_nothing(
    lab: Lab, table: str, sentence: str
) -> None:
    lab.push(map(insert, range(3)))
    lab.sql(table)
    with pytest.raises(ConfigurationError, match=sentence):
        lab.drain()
    assert lab.client.xlen(KEY) == 3
    assert lab.position().applied == 0
