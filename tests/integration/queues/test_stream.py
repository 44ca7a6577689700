"""A stream as a queue: nothing read twice or deleted unread, every loss and rewind noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
import redis

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.queues.queue import START
from batchdrain.queues.stream import StreamQueue

KEY = "batchdrain:flights"


@pytest.fixture
def queue(redis_client: redis.Redis) -> StreamQueue:
    return StreamQueue(redis_client, KEY)


def push(client: redis.Redis, *bodies: bytes) -> list[str]:
    with client.pipeline(transaction=False) as pipeline:
        for body in bodies:
            pipeline.xadd(KEY, {b"data": body})
        return [entry_id.decode() for entry_id in pipeline.execute()]


def later() -> None:
    """Wait for another millisecond, so that new entries don't get the very ids of deleted ones."""
    time.sleep(0.005)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def claim_all(queue: StreamQueue, after: str = START) -> Sequence[str]:
    return [message.id for message in queue.claim(100_000, after)]


def left(client: redis.Redis) -> list[str]:
    return [entry[0].decode() for entry in client.xrange(KEY)]


class TestClaim:
    def test_reads_in_order_behind_the_position(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(5))
        assert claim_all(queue) == ids
        assert claim_all(queue, ids[1]) == ids[2:]
        assert claim_all(queue, ids[4]) == []

    def test_reads_no_more_than_the_limit(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(700))
        for limit in (1, 7, 8, 9, 72, 73, 584, 600, 699, 700):
            assert [message.id for message in queue.claim(limit, START)] == ids[:limit]

    def test_leaves_bytes_as_they_are(self, redis_client: redis.Redis, queue: StreamQueue) -> None:
        """Not UTF-8, NUL, empty, line ends: whatever a producer sends comes out the same."""
        bodies = [bytes(range(256)), b"", b"\r\n", b"\x1f\x8b\x00", b' {"a" : 1}\n']
        push(redis_client, *bodies)
        assert [message.body for message in queue.claim(10, START)] == bodies

    def test_keeps_the_fields_of_an_entry_without_data(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        redis_client.xadd(KEY, {b"Data": b"1", b"\xff": b"\x00"})
        [message] = queue.claim(10, START)
        assert message.body is None
        assert message.fields == {b"Data": b"1", b"\xff": b"\x00"}

    def test_takes_the_field_data_among_others(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        redis_client.xadd(KEY, {b"source": b"app", b"data": b"{}"})
        [message] = queue.claim(10, START)
        assert (message.body, message.fields) == (b"{}", None)

    def test_holds_little_more_than_its_bytes(self, redis_client: redis.Redis) -> None:
        """Once sizes are known, a claim ends within one message of its bound."""
        queue = StreamQueue(redis_client, KEY, max_bytes=100_000)
        push(redis_client, *[b"x" * 10_000 for _ in range(40)])
        claimed = queue.claim(1_000, START)
        assert sum(len(message.body or b"") for message in claimed) <= 110_000
        again = queue.claim(1_000, claimed[-1].id)
        assert 90_000 <= sum(len(message.body or b"") for message in again) <= 110_000

    def test_always_gets_on_with_messages_larger_than_its_bytes(
        self, redis_client: redis.Redis
    ) -> None:
        queue = StreamQueue(redis_client, KEY, max_bytes=10)
        ids = push(redis_client, *[b"x" * 100 for _ in range(20)])
        seen: list[str] = []
        while batch := queue.claim(1_000, seen[-1] if seen else START):
            seen.extend(message.id for message in batch)
        assert seen == ids

    def test_finds_a_missing_key_empty(self, queue: StreamQueue) -> None:
        assert claim_all(queue) == []
        assert queue.depth() == 0
        assert queue.baseline() == 0


class TestSettle:
    def test_removes_exactly_the_given_ids(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """Also where an unread entry lies before an applied one, which XTRIM MINID would erase."""
        ids = push(redis_client, *numbered(6))
        assert queue.settle(ids[4], [ids[0], ids[2], ids[4]]) == 3
        assert left(redis_client) == [ids[1], ids[3], ids[5]]

    def test_takes_many_ids(self, redis_client: redis.Redis, queue: StreamQueue) -> None:
        ids = push(redis_client, *numbered(2_500))
        assert queue.settle(ids[-2], ids[:-1]) == 2_499
        assert left(redis_client) == ids[-1:]

    def test_can_be_done_twice(self, redis_client: redis.Redis, queue: StreamQueue) -> None:
        ids = push(redis_client, *numbered(3))
        assert [queue.settle(ids[1], ids[:2]) for _ in range(2)] == [2, 0]

    def test_does_nothing_without_ids_or_key(self, queue: StreamQueue) -> None:
        assert queue.settle("1-1", []) == 0
        assert queue.settle("1-1", ["1-1"]) == 0
        assert queue.settle_leftovers("1-1") == 0

    def test_leftovers_are_everything_up_to_the_position(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """After a crash between commit and settle the next drain removes what was applied."""
        ids = push(redis_client, *numbered(1_500))
        assert queue.settle_leftovers(ids[1_199]) == 1_200
        assert left(redis_client) == ids[1_200:]

    def test_leftovers_are_found_whatever_their_sizes(self, redis_client: redis.Redis) -> None:
        queue = StreamQueue(redis_client, KEY, max_bytes=50)
        ids = push(redis_client, *[b"x" * (number % 100) for number in range(300)])
        assert queue.standing(ids[249], 250).unsettled == 250
        assert queue.settle_leftovers(ids[249]) == 250
        assert left(redis_client) == ids[250:]


class TestOtherGroups:
    def read(self, client: redis.Redis, group: str, count: int) -> None:
        client.xreadgroup(group, "reader", {KEY: ">"}, count=count)

    def test_what_another_group_was_not_given_stays(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(6))
        redis_client.xgroup_create(KEY, "audit", id="0")
        self.read(redis_client, "audit", 2)
        redis_client.xack(KEY, "audit", *ids[:2])
        assert queue.settle(ids[3], ids[:4]) == 2
        assert left(redis_client) == ids[2:]

    def test_what_another_group_did_not_acknowledge_stays(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(6))
        redis_client.xgroup_create(KEY, "audit", id="0")
        self.read(redis_client, "audit", 6)
        redis_client.xack(KEY, "audit", ids[0], ids[2])
        assert queue.settle(ids[3], ids[:4]) == 2
        assert left(redis_client) == [ids[1], ids[3], ids[4], ids[5]]

    def test_the_slowest_of_several_groups_counts(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        for group, count in (("audit", 4), ("search", 1)):
            redis_client.xgroup_create(KEY, group, id="0")
            self.read(redis_client, group, count)
            redis_client.xack(KEY, group, *ids)
        assert queue.settle(ids[3], ids) == 1
        assert left(redis_client) == ids[1:]

    def test_many_pending_entries_all_stay(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(2_200))
        redis_client.xgroup_create(KEY, "audit", id="0")
        self.read(redis_client, "audit", 2_200)
        redis_client.xack(KEY, "audit", ids[2_100])
        assert queue.settle(ids[-1], ids) == 1
        assert redis_client.xlen(KEY) == 2_199

    def test_what_stays_is_neither_lost_nor_unread(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(6))
        redis_client.xgroup_create(KEY, "audit", id="0")
        queue.settle(ids[3], ids[:4])
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.unsettled, standing.lost) == (2, 4, 0)
        assert standing.rewound is None

    def test_is_settled_once_the_group_has_acknowledged(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(6))
        redis_client.xgroup_create(KEY, "audit", id="0")
        assert queue.settle(ids[3], ids[:4]) == 0
        self.read(redis_client, "audit", 6)
        redis_client.xack(KEY, "audit", *ids[:2], *ids[3:])
        assert queue.settle_leftovers(ids[3]) == 3
        assert left(redis_client) == [ids[2], *ids[4:]]

    def test_a_group_whose_name_is_not_text_counts_too(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(2))
        redis_client.xgroup_create(KEY, b"\xff\x00", id="0")
        redis_client.xreadgroup(b"\xff\x00", "reader", {KEY: ">"})
        assert queue.settle(ids[1], ids) == 0


class TestOurGroup:
    def lag(self, client: redis.Redis) -> tuple[str, int | None]:
        [group] = client.xinfo_groups(KEY)
        return group["last-delivered-id"].decode(), group["lag"]

    def test_moves_along_with_the_position(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        redis_client.xgroup_create(KEY, "batchdrain", id="0")
        queue.settle(ids[3], ids[:4])
        assert self.lag(redis_client) == (ids[3], 6)

    def test_moves_along_when_leftovers_are_settled(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        redis_client.xgroup_create(KEY, "batchdrain", id="0")
        queue.settle_leftovers(ids[9])
        assert self.lag(redis_client) == (ids[9], 0)

    def test_moves_along_also_when_another_group_keeps_entries(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        redis_client.xgroup_create(KEY, "audit", id="0")
        redis_client.xgroup_create(KEY, "batchdrain", id="0")
        assert queue.settle(ids[1], ids[:2]) == 0
        groups = {group["name"]: group for group in redis_client.xinfo_groups(KEY)}
        assert groups[b"batchdrain"]["last-delivered-id"].decode() == ids[1]
        assert groups[b"audit"]["last-delivered-id"] == b"0-0"

    def test_keeps_nothing_back(self, redis_client: redis.Redis, queue: StreamQueue) -> None:
        ids = push(redis_client, *numbered(4))
        redis_client.xgroup_create(KEY, "batchdrain", id="0")
        redis_client.xreadgroup("batchdrain", "curious", {KEY: ">"})
        assert queue.settle(ids[3], ids) == 4

    def test_is_not_created(self, redis_client: redis.Redis, queue: StreamQueue) -> None:
        ids = push(redis_client, *numbered(2))
        queue.settle(ids[1], ids)
        assert redis_client.xinfo_groups(KEY) == []


class TestStanding:
    def test_adds_up_while_a_queue_is_drained(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        assert queue.baseline() == 0
        for position, settled, unread, unsettled in ((4, 0, 5, 5), (4, 5, 5, 0), (9, 8, 0, 2)):
            queue.settle(ids[position], ids[:settled])
            standing = queue.standing(ids[position], position + 1)
            assert (standing.unread, standing.unsettled) == (unread, unsettled)
            assert (standing.lost, standing.rewound) == (0, None)

    def test_counts_from_the_baseline_when_first_seen(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """What another consumer removed before batchdrain came is no loss."""
        ids = push(redis_client, *numbered(10))
        redis_client.xdel(KEY, *ids[:3])
        assert queue.baseline() == 3
        standing = queue.standing(START, queue.baseline())
        assert (standing.unread, standing.lost, standing.rewound) == (7, 0, None)

    def test_ids_of_the_producers_own_count_like_any(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        for number in (5, 7, 1_000):
            redis_client.xadd(KEY, {"data": "{}"}, id=f"{number}-1")
        queue.settle("5-1", ["5-1"])
        standing = queue.standing("5-1", 1)
        assert (standing.unread, standing.lost, standing.rewound) == (2, 0, None)

    def test_counts_what_a_producers_maxlen_dropped(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        queue.settle(ids[3], ids[:4])
        redis_client.xadd(KEY, {"data": "{}"}, maxlen=2, approximate=False)
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.lost, standing.rewound) == (2, 5, None)

    def test_a_loss_that_is_accounted_for_is_not_reported_again(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        redis_client.xtrim(KEY, maxlen=2, approximate=False)
        assert queue.standing(START, 0).lost == 8
        assert queue.standing(START, 8).lost == 0
        queue.settle(ids[9], ids[8:])
        assert queue.standing(ids[9], 10).lost == 0

    def test_counts_what_somebody_deleted_unread(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        redis_client.xdel(KEY, ids[6], ids[8])
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.unsettled, standing.lost) == (4, 4, 2)

    def test_what_somebody_deleted_after_it_was_applied_is_no_loss(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(10))
        redis_client.xdel(KEY, *ids[:2])
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.unsettled, standing.lost) == (6, 2, 0)

    def test_notices_an_older_stream_that_was_restored(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        older = redis_client.dump(KEY)
        ids += push(redis_client, *numbered(4))
        queue.settle(ids[7], ids)
        redis_client.restore(KEY, 0, older, replace=True)
        rewound = queue.standing(ids[7], 8).rewound
        assert rewound is not None
        assert KEY in rewound
        assert ids[3] in rewound
        assert ids[7] in rewound
        assert "accept_rewound" in rewound

    def test_notices_an_older_stream_that_has_grown_since(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """Its newest id lies behind the position again; the count still tells."""
        ids = push(redis_client, *numbered(4))
        older = redis_client.dump(KEY)
        ids += push(redis_client, *numbered(4))
        queue.settle(ids[7], ids)
        redis_client.restore(KEY, 0, older, replace=True)
        later()
        push(redis_client, *numbered(20))
        standing = queue.standing(ids[7], 8)
        assert standing.unread == 20
        assert standing.lost == 0
        assert standing.rewound is not None
        assert "accept_rewound" in standing.rewound

    def test_notices_new_entries_at_or_below_the_position(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """Recreated by a server whose clock is behind: the counts add up, the ids don't."""
        for number in (100, 101, 102):
            redis_client.xadd(KEY, {"data": "{}"}, id=f"{number}-0")
        queue.settle("102-0", ["100-0", "101-0", "102-0"])
        redis_client.delete(KEY)
        for number in (98, 99, 100, 103):
            redis_client.xadd(KEY, {"data": "{}"}, id=f"{number}-0")
        standing = queue.standing("102-0", 3)
        assert standing.lost == 0
        assert standing.rewound is not None
        assert "never had the one at 102-0" in standing.rewound
        assert "3 messages up to there" in standing.rewound

    def test_applied_entries_around_one_that_is_gone_are_no_rewind(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """Settling was cut short, and the entry at the position was among what it removed."""
        ids = push(redis_client, *numbered(6))
        queue.settle(ids[3], ids[2:4])
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.unsettled, standing.rewound) == (2, 2, None)
        redis_client.xtrim(KEY, maxlen=1, approximate=False)
        assert queue.standing(ids[3], 4).rewound is None

    def test_a_restored_stream_that_lost_nothing_goes_on(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        """Entries that were settled come back, and are known as applied by their ids."""
        ids = push(redis_client, *numbered(4))
        older = redis_client.dump(KEY)
        queue.settle(ids[3], ids)
        redis_client.restore(KEY, 0, older, replace=True)
        standing = queue.standing(ids[3], 4)
        assert (standing.unread, standing.unsettled, standing.lost) == (0, 4, 0)
        assert standing.rewound is None

    def test_notices_a_key_that_was_deleted_and_made_anew(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        queue.settle(ids[3], ids)
        redis_client.delete(KEY)
        missing = queue.standing(ids[3], 4)
        assert (missing.unread, missing.unsettled, missing.lost) == (0, 0, 0)
        assert missing.rewound is None
        later()
        push(redis_client, *numbered(2))
        anew = queue.standing(ids[3], 4)
        assert anew.unread == 2
        assert anew.rewound is not None

    def test_a_settled_stream_stays_as_an_empty_key(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        queue.settle(ids[3], ids)
        assert redis_client.exists(KEY)
        assert queue.baseline() == 4
        assert queue.standing(ids[3], 4).rewound is None

    def test_counts_consistently_while_others_add_and_trim(self, redis_client: redis.Redis) -> None:
        """Each answer adds up, though producers add at one end and MAXLEN trims at the other.

        On a machine that is busy an answer may be that it can't be had now.
        """
        queue = StreamQueue(redis_client, KEY, max_bytes=200)
        ids = push(redis_client, *numbered(300))
        stop = threading.Event()

        def produce() -> None:
            while not stop.is_set():
                redis_client.xadd(KEY, {"data": "{}"}, maxlen=300, approximate=False)
                time.sleep(0.002)

        producer = threading.Thread(target=produce)
        producer.start()
        try:
            for _ in range(20):
                try:
                    standing = queue.standing(ids[59], 60)
                except TransientError:
                    continue
                assert standing.unread + standing.unsettled == 300
                assert (standing.lost, standing.rewound) == (0, None) or standing.unsettled == 0
        finally:
            stop.set()
            producer.join()


class TestAccepted:
    def test_a_restored_stream_goes_on_from_its_own_newest_id(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        ids = push(redis_client, *numbered(4))
        older = redis_client.dump(KEY)
        ids += push(redis_client, *numbered(4))
        queue.settle(ids[7], ids)
        redis_client.restore(KEY, 0, older, replace=True)
        assert queue.accepted(ids[7]) == (ids[3], 4)
        standing = queue.standing(*queue.accepted(ids[7]))
        assert (standing.unread, standing.unsettled) == (0, 4)
        assert (standing.lost, standing.rewound) == (0, None)

    @pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 103), (102, 103), (103, 104), (), (102,)])
    @pytest.mark.parametrize("deleted", [(), (1,), (2,), (103,)])
    def test_whatever_is_accepted_is_not_rewound_any_more(
        self,
        redis_client: redis.Redis,
        queue: StreamQueue,
        numbers: tuple[int, ...],
        deleted: tuple[int, ...],
    ) -> None:
        """What is at or below the position counts as applied, the rest is read, nothing is lost."""
        for number in numbers:
            redis_client.xadd(KEY, {"data": "{}"}, id=f"{number}-0")
        redis_client.xdel(KEY, *[f"{number}-0" for number in deleted], "99-9")
        position, accounted = queue.accepted("102-0")
        standing = queue.standing(position, accounted)
        assert (standing.lost, standing.rewound) == (0, None)
        behind = [entry_id for entry_id in left(redis_client) if int(entry_id[:-2]) > 102]
        assert claim_all(queue, position) == behind

    def test_a_missing_key_is_accepted_from_its_start(self, queue: StreamQueue) -> None:
        assert queue.accepted("102-0") == (START, 0)


class TestWait:
    def test_returns_at_once_when_a_message_is_there(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        push(redis_client, b"1")
        started = time.monotonic()
        assert queue.wait(START, 10)
        assert time.monotonic() - started < 1

    def test_returns_when_a_message_comes(
        self, redis_client: redis.Redis, queue: StreamQueue
    ) -> None:
        timer = threading.Timer(0.1, push, [redis_client, b"1"])
        timer.start()
        assert queue.wait(START, 10)
        timer.join()

    @pytest.mark.parametrize("seconds", [0, -1, 0.0001, 0.05, 1.2])
    def test_gives_up_when_its_time_is_over(
        self, redis_client: redis.Redis, queue: StreamQueue, seconds: float
    ) -> None:
        [only] = push(redis_client, b"1")
        started = time.monotonic()
        assert not queue.wait(only, seconds)
        assert time.monotonic() - started < max(seconds, 0) + 0.5

    def test_outlasts_the_clients_own_time_out(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url, socket_timeout=0.5) as client:
            assert not StreamQueue(client, KEY).wait(START, 0.8)


def test_a_key_that_became_something_else_is_a_configuration_error(
    redis_client: redis.Redis, queue: StreamQueue
) -> None:
    redis_client.set(KEY, "x")
    for action in (
        queue.depth,
        queue.baseline,
        lambda: queue.standing(START, 0),
        lambda: queue.claim(1, START),
        lambda: queue.settle("1-1", ["1-1"]),
        lambda: queue.settle_leftovers("1-1"),
        lambda: queue.wait(START, 0),
    ):
        with pytest.raises(ConfigurationError, match="has become another type"):
            action()
