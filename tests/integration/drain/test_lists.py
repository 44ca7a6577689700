"""What only lists do: they are taken in Redis, too, and their elements move when claimed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from batchdrain.drain import BatchReport, DrainLimits, Ending, StopSignal
from batchdrain.errors import QueueRewoundError, TransientError
from batchdrain.queues.list import ListQueue
from batchdrain.queues.list_keys import ListKeys
from batchdrain.queues.opening import open_queue
from drain_lab import KEY, KINDS, QUICK, Lab, Notes, insert

KEYS = ListKeys(KEY)

pytestmark = pytest.mark.parametrize("kind", KINDS[1:])


def once(action: Callable[[], object], batch: int = 1) -> Notes:
    """Return an observer that does something after one batch."""
    return Notes(lambda report: action() if report.number == batch else None)


def in_order(lab: Lab) -> list[int]:
    return lab.sql("SELECT payload FROM t ORDER BY id")


def test_an_older_drain_that_takes_the_list_last_leaves_it_to_the_newest(lab: Lab) -> None:
    """It was frozen after it had taken over in PostgreSQL, and is the last one in Redis."""
    lab.push(map(insert, range(250)))
    older = lab.engine(name="older")
    frozen = older.take_over

    def overtaken(baseline: Callable[[], int]) -> Any:
        position = frozen(baseline)
        notes = once(lambda: lab.queue().take("older"))
        outcome = lab.drain(lab.engine(name="newer"), observer=notes)
        assert (outcome.ending, outcome.applied) == (Ending.EMPTY, 250)
        assert [sentence for sentence in notes.sentences if "has taken it back" in sentence]
        return position

    older.take_over = overtaken  # type: ignore[method-assign]
    outcome = lab.drain(older)
    assert (outcome.ending, outcome.applied) == (Ending.HANDED_OVER, 0)
    assert lab.position().owner is None
    lab.assert_all_applied_once(range(250))


def test_an_older_drain_gives_nothing_back_that_a_newer_has_applied(lab: Lab) -> None:
    """It knows an old position only, has the list in Redis, and is told to stop at once."""
    lab.push(map(insert, range(350)))
    older = lab.engine(name="older")
    begun = older.take_over(lambda: 0)
    older.take_over = lambda baseline: begun  # type: ignore[method-assign]
    stop = StopSignal()
    stop.set()
    endings: list[Ending] = []

    class Lagging(ListQueue):
        def settle(self, upto: str, ids: Sequence[str]) -> int:
            raise TransientError("away")

    queue = Lagging(lab.client, KEY, left_push=lab.kind == "left list")
    notes = once(lambda: endings.append(lab.drain(older, stop=stop).ending))
    outcome = lab.drain(lab.engine(name="newer"), queue=queue, observer=notes)
    assert endings == [Ending.HANDED_OVER]
    assert (outcome.ending, outcome.applied) == (Ending.EMPTY, 350)
    lab.assert_all_applied_once(range(350))


def test_a_drain_whose_mark_redis_lost_goes_on_with_a_new_one(lab: Lab) -> None:
    """Nobody else owns the queue in PostgreSQL, so nobody else has touched it."""
    lab.push(map(insert, range(350)))
    notes = once(lambda: lab.client.delete(KEYS.owner))
    outcome = lab.drain(observer=notes)
    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 350, 0)
    assert [sentence for sentence in notes.sentences if "has taken it back" in sentence]
    lab.assert_all_applied_once(range(350))


def test_a_drain_that_is_overtaken_while_it_gives_back_leaves_it_to_the_newer(lab: Lab) -> None:
    """What it had claimed ahead may be the newer one's by then."""
    lab.push(map(insert, range(350)))
    stop = StopSignal()
    inner = lab.queue()

    class Overtaken(ListQueue):
        def give_back(self, position: str) -> None:
            lab.drain(lab.engine(name="newer"))
            super().give_back(position)

    assert isinstance(inner, ListQueue)
    queue = Overtaken(lab.client, KEY, left_push=lab.kind == "left list")
    outcome = lab.drain(queue=queue, stop=stop, observer=once(stop.set, 2))
    assert (outcome.ending, outcome.applied) == (Ending.HANDED_OVER, 200)
    lab.assert_all_applied_once(range(350))
    assert in_order(lab) == list(range(350))


def test_what_a_failed_drain_had_claimed_is_applied_by_the_next(lab: Lab) -> None:
    """It gives nothing back, for it may not know what was committed; the key is gone by then."""
    lab.push(map(insert, range(150)))

    def broken(report: BatchReport) -> None:
        raise TransientError("away")

    with pytest.raises(TransientError):
        lab.drain(observer=Notes(broken), limits=DrainLimits(batch_records=100, attempts=1))
    assert not lab.client.exists(KEY)
    assert lab.in_flight() == [KEYS.in_flight(2)]
    queue = open_queue(lab.client, KEY, left_push=lab.kind == "left list")
    assert lab.drain(queue=queue).applied == 50
    lab.assert_all_applied_once(range(150))
    assert in_order(lab) == list(range(150))


def test_a_list_that_is_filled_again_after_it_ran_empty_is_the_same_queue(lab: Lab) -> None:
    for begin in range(0, 300, 100):
        lab.push(map(insert, range(begin, begin + 100)))
        assert lab.drain().applied == 100
    lab.assert_all_applied_once(range(300))
    assert lab.position().position == "3-100"


def test_a_batch_may_end_in_the_middle_of_what_was_claimed(lab: Lab) -> None:
    """By bytes, by records of large messages, by the drain's end: nothing is skipped."""
    lab.push({"operation": "INSERT", "records": [{"payload": n}] * 7} for n in range(60))
    limits = DrainLimits(batch_records=20, max_records=100)
    first = lab.drain(limits=limits)
    assert (first.ending, first.records, first.left) == (Ending.MAX_RECORDS, 105, 45)
    assert lab.in_flight() == []
    assert lab.drain(limits=DrainLimits(batch_bytes=100)).ending is Ending.EMPTY
    assert in_order(lab) == [n for n in range(60) for _ in range(7)]


def recreated(lab: Lab) -> None:
    """Apply 200 messages, then lose all keys; producers go on."""
    lab.push(map(insert, range(200)))
    lab.drain()
    lab.client.flushdb()
    lab.push(map(insert, range(200, 230)))


def test_a_recreated_list_stops_and_all_of_it_is_applied_once_accepted(lab: Lab) -> None:
    """One sentence, nothing consumed, and the same the next time."""
    recreated(lab)
    for _ in range(2):
        with pytest.raises(QueueRewoundError, match="its counter is gone, but 2-100 has been"):
            lab.drain()
    assert lab.position().rewound
    assert (len(lab.payloads()), lab.depth(), lab.in_flight()) == (200, 30, [])
    notes = Notes()
    outcome = lab.drain(accept_rewound=True, observer=notes)
    assert (outcome.applied, outcome.lost, outcome.left) == (30, 0, 0)
    assert [sentence for sentence in notes.sentences if sentence.startswith("Accepted as it is")]
    lab.assert_all_applied_once(range(230))
    assert not lab.position().rewound
    assert lab.position().position == "3-30"


def test_a_list_that_goes_back_under_a_drain_stops_it(lab: Lab) -> None:
    """As after a failover to a replica that was behind."""
    lab.push(map(insert, range(500)))
    with pytest.raises(QueueRewoundError):
        lab.drain(observer=once(lambda: lab.client.set(KEYS.counter, 1), 2))
    rows = len(lab.payloads())
    assert rows < 500
    with pytest.raises(QueueRewoundError):
        lab.drain()
    assert lab.drain(accept_rewound=True).applied == 500 - rows
    lab.assert_all_applied_once(range(500))


def test_a_deleted_list_is_an_empty_one(lab: Lab) -> None:
    """There is nothing to consume, so nothing to stop for."""
    lab.push(map(insert, range(20)))
    lab.drain()
    lab.client.flushdb()
    assert lab.drain().ending is Ending.EMPTY


def test_accepting_a_list_that_is_in_order_changes_nothing(lab: Lab) -> None:
    lab.push(map(insert, range(50)))
    lab.drain(limits=DrainLimits(batch_records=20, max_records=20), accept_rewound=True)
    assert lab.drain(accept_rewound=True, limits=QUICK).applied == 30
    lab.assert_all_applied_once(range(50))


def test_a_list_on_hold_is_left_as_it_is(lab: Lab) -> None:
    """In flight or not; and nobody else is kept from it."""
    lab.push(map(insert, range(10)))
    lab.drain(limits=DrainLimits(batch_records=2, max_records=4))
    queue = lab.queue()
    queue.take("somebody")
    queue.claim(3, lab.position().position)
    lab.sql("UPDATE batchdrain.position SET held = true RETURNING queue")
    outcome = lab.drain()
    assert (outcome.ending, outcome.messages, outcome.left) == (Ending.HELD, 0, 6)
    assert lab.in_flight() == [KEYS.in_flight(3)]
    assert lab.client.get(KEYS.owner) == b"somebody"
