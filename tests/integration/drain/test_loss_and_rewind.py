"""What Redis lost is counted; a queue behind its position stops the drain until it is accepted."""

from __future__ import annotations

import json

import pytest

from batchdrain.drain import DrainLimits, Ending
from batchdrain.errors import QueueRewoundError
from batchdrain.queues.list_keys import ListKeys
from drain_lab import KEY, Lab, Notes, insert


def entries(lab: Lab) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return list(lab.client.xrange(KEY))


def add(lab: Lab, entry_id: str, payload: int) -> None:
    lab.client.xadd(KEY, {"data": json.dumps(insert(payload))}, id=entry_id)


def test_messages_that_a_producer_trimmed_away_are_counted_and_the_drain_goes_on(lab: Lab) -> None:
    """In the outcome, the position, batch_log and a note; once."""
    lab.push(map(insert, range(100)))
    lab.drain()
    lab.push(map(insert, range(100, 400)))
    lab.client.xtrim(KEY, maxlen=50, approximate=False)
    notes = Notes()
    outcome = lab.drain(observer=notes)
    assert (outcome.ending, outcome.applied, outcome.lost) == (Ending.EMPTY, 50, 250)
    assert "250 lost before they were read" in outcome.sentence()
    assert [sentence for sentence in notes.sentences if "lost 250 messages" in sentence]
    lab.assert_all_applied_once([*range(100), *range(350, 400)], lost=250)
    assert lab.drain().lost == 0


def test_what_left_a_queue_before_the_first_drain_is_not_lost(lab: Lab) -> None:
    lab.push(map(insert, range(100)))
    lab.client.xtrim(KEY, maxlen=10, approximate=False)
    assert lab.drain().lost == 0
    lab.assert_all_applied_once(range(90, 100))


def restored(lab: Lab) -> None:
    """Apply 200 messages, then bring the queue back as it was after 120, with 20 unsettled."""
    ids = lab.push(map(insert, range(200)))
    lab.drain()
    lab.client.delete(KEY)
    for n in range(100, 120):
        add(lab, ids[n], n)
    lab.client.execute_command("XSETID", KEY, ids[119], "ENTRIESADDED", 120)


def recreated(lab: Lab) -> None:
    """Apply 200 messages, then delete the key; producers go on."""
    lab.push(map(insert, range(200)))
    lab.drain()
    lab.client.delete(KEY)
    lab.push(map(insert, range(200, 230)))


def test_a_restored_queue_stops_the_drain_until_it_is_accepted(lab: Lab) -> None:
    """One sentence, nothing consumed, and the same the next time."""
    restored(lab)
    for _ in range(2):
        with pytest.raises(QueueRewoundError, match=r"accept_rewound") as raised:
            lab.drain()
        assert KEY in str(raised.value)
    assert lab.position().rewound
    assert (len(lab.payloads()), lab.client.xlen(KEY)) == (200, 20)


def test_an_accepted_restored_queue_applies_only_what_came_after(lab: Lab) -> None:
    """What it holds up to its newest id had been applied; later messages are new."""
    restored(lab)
    notes = Notes()
    accepted = lab.drain(accept_rewound=True, observer=notes)
    assert (accepted.ending, accepted.messages, accepted.left) == (Ending.EMPTY, 0, 0)
    assert [sentence for sentence in notes.sentences if sentence.startswith("Accepted as it is")]
    lab.push(map(insert, range(200, 230)))
    outcome = lab.drain()
    assert (outcome.applied, outcome.lost, outcome.left) == (30, 0, 0)
    lab.assert_all_applied_once(range(230))
    assert not lab.position().rewound


def test_a_recreated_queue_stops_and_all_of_it_applied_once_accepted(lab: Lab) -> None:
    recreated(lab)
    with pytest.raises(QueueRewoundError):
        lab.drain()
    assert (len(lab.payloads()), lab.client.xlen(KEY)) == (200, 30)
    outcome = lab.drain(accept_rewound=True)
    assert (outcome.applied, outcome.lost, outcome.left) == (30, 0, 0)
    lab.assert_all_applied_once(range(230))


def test_a_rewound_queue_stays_rewound_when_counts_come_to_match(lab: Lab) -> None:
    """A recreated queue may grow until nothing shows any more; it still has to be accepted."""
    recreated(lab)
    with pytest.raises(QueueRewoundError):
        lab.drain()
    newest = entries(lab)[-1][0].decode()
    lab.client.execute_command("XSETID", KEY, newest, "ENTRIESADDED", 230)
    with pytest.raises(QueueRewoundError, match="nobody has accepted that"):
        lab.drain()
    assert lab.drain(accept_rewound=True).applied == 30
    lab.assert_all_applied_once(range(230))


def test_accepting_a_queue_that_is_in_order_changes_nothing(lab: Lab) -> None:
    lab.push(map(insert, range(50)))
    lab.drain(limits=DrainLimits(batch_records=20, max_records=20), accept_rewound=True)
    assert lab.drain(accept_rewound=True).applied == 30
    lab.assert_all_applied_once(range(50))


def test_losses_after_a_queue_was_accepted_are_counted_again(lab: Lab) -> None:
    recreated(lab)
    lab.drain(accept_rewound=True)
    lab.push(map(insert, range(230, 300)))
    lab.client.xtrim(KEY, maxlen=20, approximate=False)
    assert lab.drain().lost == 50
    lab.assert_all_applied_once([*range(230), *range(280, 300)], lost=50)


def test_a_deleted_queue_is_an_empty_one(lab: Lab) -> None:
    """There is nothing to consume, so nothing to stop for."""
    lab.push(map(insert, range(20)))
    lab.drain()
    lab.client.delete(KEY)
    assert lab.drain().ending is Ending.EMPTY


def test_a_queue_on_hold_is_left_as_it_is(lab: Lab) -> None:
    lab.push(map(insert, range(10)))
    lab.drain(limits=DrainLimits(batch_records=2, max_records=4))
    lab.sql("UPDATE batchdrain.position SET held = true RETURNING queue")
    outcome = lab.drain()
    assert (outcome.ending, outcome.messages, outcome.left) == (Ending.HELD, 0, 6)
    assert lab.position().owner is None


def test_a_stream_that_becomes_a_list_stops_the_drain_until_it_is_accepted(lab: Lab) -> None:
    """Its position is in milliseconds then: numbers of lists that nobody can go through."""
    lab.push(map(insert, range(10)))
    lab.drain()
    lab.client.delete(KEY)
    lab.kind = "list"
    lab.push(map(insert, range(10, 40)))
    with pytest.raises(QueueRewoundError, match="its counter is gone"):
        lab.drain()
    assert lab.drain(accept_rewound=True).applied == 30
    lab.push(map(insert, range(40, 50)))
    assert lab.drain().applied == 10
    lab.assert_all_applied_once(range(50))
    settled = ListKeys(KEY).settled
    assert lab.client.get(settled) == lab.client.get(ListKeys(KEY).counter)


def test_a_list_that_becomes_a_stream_stops_the_drain_until_it_is_accepted(lab: Lab) -> None:
    lab.kind = "list"
    lab.push(map(insert, range(10)))
    lab.drain()
    lab.client.delete(KEY)
    lab.kind = "stream"
    lab.push(map(insert, range(10, 40)))
    with pytest.raises(QueueRewoundError):
        lab.drain()
    assert lab.drain(accept_rewound=True).applied == 30
    lab.assert_all_applied_once(range(40))
