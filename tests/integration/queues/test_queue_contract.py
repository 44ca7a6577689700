"""What every kind of queue promises, whatever it is in Redis."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
import redis

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.queues.list import ListQueue
from batchdrain.queues.message_ids import as_numbers
from batchdrain.queues.queue import START, Message, Queue, Standing
from batchdrain.queues.stream import StreamQueue

KEY = "batchdrain:flights"
KINDS = ("stream", "list", "left list")

Open = Callable[..., Queue]
Push = Callable[..., None]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reopen(redis_client: redis.Redis, kind: str) -> Open:
    """Open the queue as a drain does that has just started: a claim of another one counts."""
    drains = iter(range(1_000_000))

    def open_it(**options: int) -> Queue:
        if kind == "stream":
            queue: Queue = StreamQueue(redis_client, KEY, **options)
        else:
            queue = ListQueue(redis_client, KEY, left_push=kind == "left list", **options)
        queue.take(f"drain {next(drains)}")
        return queue

    return open_it


@pytest.fixture
def queue(reopen: Open) -> Queue:
    return reopen()


@pytest.fixture
def push(redis_client: redis.Redis, kind: str) -> Push:
    def append(*bodies: bytes) -> None:
        with redis_client.pipeline(transaction=False) as pipeline:
            for body in bodies:
                if kind == "stream":
                    pipeline.xadd(KEY, {b"data": body})
                elif kind == "list":
                    pipeline.rpush(KEY, body)
                else:
                    pipeline.lpush(KEY, body)
            pipeline.execute()

    return append


def numbered(count: int, begin: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(begin, begin + count)]


def bodies(messages: Sequence[Message]) -> list[bytes | None]:
    return [message.body for message in messages]


def ids(messages: Sequence[Message]) -> list[str]:
    return [message.id for message in messages]


class TestClaim:
    def test_gives_each_message_once_in_order(self, queue: Queue, push: Push) -> None:
        push(*numbered(25))
        seen: list[bytes | None] = []
        position = START
        while claimed := queue.claim(10, position):
            assert len(claimed) <= 10
            seen += bodies(claimed)
            position = claimed[-1].id
        assert seen == numbered(25)

    def test_ids_grow(self, queue: Queue, push: Push) -> None:
        push(*numbered(30))
        first = queue.claim(12, START)
        found = [*ids(first), *ids(queue.claim(100, first[-1].id))]
        assert len(found) == 30
        assert found == sorted(set(found), key=as_numbers)
        assert as_numbers(START) < as_numbers(found[0])

    @pytest.mark.parametrize("limit", [1, 7, 8, 9, 72, 699, 700, 5_000])
    def test_reads_as_many_as_there_are_up_to_the_limit(
        self, queue: Queue, push: Push, limit: int
    ) -> None:
        push(*numbered(700))
        assert bodies(queue.claim(limit, START)) == numbered(min(limit, 700))

    def test_reads_more_at_once_than_redis_should_be_held_up_for(
        self, queue: Queue, push: Push
    ) -> None:
        push(*numbered(9_000))
        assert bodies(queue.claim(8_500, START)) == numbered(8_500)

    def test_of_the_same_position_gives_the_same_messages(self, queue: Queue, push: Push) -> None:
        """After a reply was lost, say; messages that came since follow."""
        push(*numbered(20))
        first = queue.claim(10, START)
        push(b"20")
        assert queue.claim(10, START) == first
        assert bodies(queue.claim(100, START))[:10] == numbered(10)
        assert bodies(queue.claim(3, first[4].id)) == numbered(3, 5)

    def test_goes_on_behind_any_message_of_a_claim(
        self, reopen: Open, queue: Queue, push: Push
    ) -> None:
        """For a batch may be smaller than a claim, and the drain may die behind it."""
        push(*numbered(30))
        claimed = queue.claim(10, START)
        for place in (0, 4, 9):
            later: list[bytes | None] = []
            position, another = claimed[place].id, reopen()
            while more := another.claim(7, position):
                later += bodies(more)
                position = more[-1].id
            assert later == numbered(29 - place, place + 1)

    def test_leaves_bytes_as_they_are(self, queue: Queue, push: Push) -> None:
        """Not UTF-8, NUL, empty, line ends: whatever a producer sends comes out the same."""
        odd = [bytes(range(256)), b"", b"\r\n", b"\x1f\x8b\x00", b' {"a" : 1}\n', b"\x00" * 9]
        push(*odd)
        assert bodies(queue.claim(10, START)) == odd
        assert bodies(queue.claim(10, START)) == odd

    def test_ends_within_a_message_of_its_bytes(self, reopen: Open, push: Push) -> None:
        queue = reopen(max_bytes=100_000)
        push(*[b"x" * 10_000 for _ in range(40)])
        claimed = queue.claim(1_000, START)
        again = queue.claim(1_000, claimed[-1].id)
        assert 90_000 <= sum(len(message.body or b"") for message in again) <= 110_000

    def test_always_gets_on_with_messages_larger_than_its_bytes(
        self, reopen: Open, push: Push
    ) -> None:
        queue = reopen(max_bytes=10)
        push(*[b"x" * 100 for _ in range(20)])
        seen: list[str] = []
        while batch := queue.claim(1_000, seen[-1] if seen else START):
            seen += ids(batch)
        assert len(set(seen)) == 20

    def test_finds_nothing_where_there_is_nothing(self, queue: Queue) -> None:
        assert list(queue.claim(10, START)) == []
        assert (queue.depth(), queue.baseline()) == (0, 0)
        assert queue.standing(START, 0) == Standing(0, 0, 0)


class TestSettle:
    def test_leaves_what_is_behind_the_position(self, queue: Queue, push: Push) -> None:
        push(*numbered(20))
        first = queue.claim(10, START)
        second = queue.claim(10, first[-1].id)
        assert queue.settle(first[-1].id, ids(first)) == 10
        assert queue.depth() == 10
        assert bodies(queue.claim(10, first[-1].id)) == bodies(second) == numbered(10, 10)

    def test_leaves_the_rest_of_a_claim(self, queue: Queue, push: Push) -> None:
        push(*numbered(20))
        claimed = queue.claim(10, START)
        queue.settle(claimed[3].id, ids(claimed[:4]))
        assert queue.standing(claimed[3].id, 4).unread == 16
        assert bodies(queue.claim(100, claimed[3].id))[:6] == numbered(6, 4)
        queue.settle(claimed[9].id, ids(claimed[4:]))
        assert queue.standing(claimed[9].id, 10) == Standing(10, 0, 0)

    def test_can_be_done_twice(self, queue: Queue, push: Push) -> None:
        push(*numbered(20))
        first = queue.claim(10, START)
        done = [queue.settle(first[-1].id, ids(first)) for _ in range(2)]
        assert (done, queue.depth()) == ([10, 0], 10)

    def test_may_lag_behind(self, reopen: Open, push: Push) -> None:
        """Until it is done, by another drain if need be, what was applied is known as such."""
        push(*numbered(50))
        queue, position = reopen(), START
        for _ in range(3):
            claimed = queue.claim(10, position)
            position = claimed[-1].id
        assert queue.standing(position, 30) == Standing(20, 30, 0)
        claimed = queue.claim(10, position)
        assert queue.settle(claimed[-1].id, ids(claimed)) == 10
        later = reopen()
        assert later.standing(claimed[-1].id, 40) == Standing(10, 30, 0)
        assert later.settle_leftovers(claimed[-1].id) == 30
        assert later.settle_leftovers(claimed[-1].id) == 0
        assert later.standing(claimed[-1].id, 40) == Standing(10, 0, 0)
        assert (later.depth(), bodies(later.claim(100, claimed[-1].id))) == (10, numbered(10, 40))

    def test_does_nothing_without_ids_or_messages(self, queue: Queue) -> None:
        assert queue.settle("1-1", []) == 0
        assert queue.settle("1-1", ["1-1"]) == 0
        assert queue.settle_leftovers("1-1") == 0


class TestPeek:
    def test_shows_the_oldest_and_changes_nothing(self, queue: Queue, push: Push) -> None:
        push(*numbered(20))
        assert bodies(queue.peek(7, START)) == numbered(7)
        assert bodies(queue.peek(99, START)) == numbered(20)
        assert bodies(queue.claim(99, START)) == numbered(20)

    def test_begins_behind_the_position_in_flight_or_not(self, queue: Queue, push: Push) -> None:
        push(*numbered(10))
        first = queue.claim(6, START)
        push(b"10")
        assert bodies(queue.peek(3, first[3].id)) == numbered(3, 4)
        assert bodies(queue.peek(99, first[3].id)) == numbered(7, 4)
        assert ids(queue.peek(2, first[3].id)) == ids(first[4:])

    def test_of_an_empty_queue_shows_nothing(self, queue: Queue) -> None:
        assert not queue.peek(5, START)

    def test_shows_many_in_their_order(self, queue: Queue, push: Push) -> None:
        push(*numbered(1_000))
        assert bodies(queue.peek(999, START)) == numbered(999)
        assert bodies(queue.peek(2_000, START)) == numbered(1_000)

    def test_ends_within_a_chunk_of_its_bytes(self, reopen: Open, push: Push) -> None:
        """A claim in flight counts, too: looking must not fill the memory."""
        queue = reopen(max_bytes=100_000)
        push(*[b"x" * 10_000 for _ in range(200)])
        assert 10 <= len(queue.peek(1_000, START)) <= 18
        claimed = queue.claim(5, START)
        assert ids(queue.peek(1_000, START))[: len(claimed)] == ids(claimed)
        assert len(queue.peek(1_000, START)) <= 11

    def test_shows_no_gap_while_another_claims(
        self, queue: Queue, reopen: Open, push: Push
    ) -> None:
        """What is claimed between two steps of a look is in flight, and is shown all the same."""
        push(*numbered(1_000))
        claimer = reopen()

        def claim_all() -> None:
            after = START
            while claimed := claimer.claim(20, after):
                after = claimed[-1].id
                time.sleep(0.003)

        claiming = threading.Thread(target=claim_all)
        claiming.start()
        looks = 0
        try:
            while claiming.is_alive():
                with suppress(TransientError):
                    assert bodies(queue.peek(200, START)) == numbered(200)
                    looks += 1
        finally:
            claiming.join()
        assert bodies(queue.peek(200, START)) == numbered(200)
        assert looks


class TestGiveBack:
    def test_leaves_the_queue_as_if_nothing_had_been_claimed(
        self, reopen: Open, queue: Queue, push: Push
    ) -> None:
        push(*numbered(30))
        first = queue.claim(10, START)
        queue.claim(10, first[-1].id)
        position = first[6].id
        queue.settle(position, ids(first[:7]))
        queue.give_back(position)
        push(*numbered(2, 30))
        assert queue.standing(position, 7).rewound is None
        queue.settle_leftovers(position)
        assert queue.depth() == 25
        assert bodies(reopen().claim(100, position)) == numbered(25, 7)

    def test_can_be_done_twice(self, queue: Queue, push: Push) -> None:
        push(*numbered(10))
        queue.claim(10, START)
        for _ in range(2):
            queue.give_back(START)
        assert bodies(queue.claim(10, START)) == numbered(10)

    def test_of_nothing_changes_nothing(self, queue: Queue, push: Push) -> None:
        queue.give_back(START)
        push(*numbered(3))
        claimed = queue.claim(3, START)
        queue.settle(claimed[-1].id, ids(claimed))
        queue.give_back(claimed[-1].id)
        assert queue.standing(claimed[-1].id, 3) == Standing(0, 0, 0)


@pytest.mark.parametrize("seed", range(12))
def test_each_message_is_applied_once_and_in_order_whatever_happens(
    reopen: Open, push: Push, seed: int
) -> None:
    """Claims of all sizes, claims ahead, small batches, settling that fails, drains that die."""
    chance = random.Random(seed)
    pushed, applied, position = 0, [], START
    queue = reopen()
    for _ in range(120):
        what = chance.choice(["push", "apply", "apply", "apply", "die", "give back"])
        if what == "push":
            count = chance.randrange(40)
            push(*numbered(count, pushed))
            pushed += count
        elif what == "apply":
            claimed = queue.claim(chance.randrange(1, 25), position)
            if claimed and chance.random() < 0.5:
                queue.claim(chance.randrange(1, 25), claimed[-1].id)
            batch = claimed[: chance.randrange(len(claimed) + 1)]
            if batch:
                applied += bodies(batch)
                position = batch[-1].id
                if chance.random() < 0.6:
                    queue.settle(position, ids(batch))
        else:
            if what == "give back":
                queue.give_back(position)
            queue = reopen()
            standing = queue.standing(position, len(applied))
            assert (standing.lost, standing.rewound) == (0, None)
            assert standing.unread == pushed - len(applied)
            assert queue.depth() == standing.unread + standing.unsettled
            if chance.random() < 0.5:
                queue.settle_leftovers(position)
    while claimed := queue.claim(20, position):
        applied += bodies(claimed)
        position = claimed[-1].id
    queue.settle_leftovers(position)
    assert applied == numbered(pushed)
    assert queue.standing(position, pushed) == Standing(0, 0, 0)
    assert queue.depth() == 0


class TestStanding:
    def test_a_queue_that_was_deleted_has_nothing_to_stop_for_until_it_is_made_anew(
        self, redis_client: redis.Redis, queue: Queue, push: Push
    ) -> None:
        push(*numbered(4))
        claimed = queue.claim(4, START)
        position = claimed[-1].id
        queue.settle(position, ids(claimed))
        redis_client.flushdb()
        assert queue.standing(position, 4) == Standing(0, 0, 0)
        time.sleep(0.005)
        push(b"4")
        anew = queue.standing(position, 4)
        assert (anew.unread, anew.lost) == (1, 0)
        assert anew.rewound is not None
        assert KEY in anew.rewound
        assert "accept_rewound" in anew.rewound

    def test_what_is_accepted_is_not_rewound_any_more_and_can_be_claimed(
        self, redis_client: redis.Redis, reopen: Open, push: Push
    ) -> None:
        push(*numbered(4))
        claimed = reopen().claim(4, START)
        redis_client.flushdb()
        time.sleep(0.005)
        push(*numbered(3, 10))
        queue = reopen()
        position, accounted = queue.accepted(claimed[-1].id)
        assert queue.standing(position, accounted) == Standing(3, 0, 0)
        assert bodies(queue.claim(10, position)) == numbered(3, 10)


class TestWait:
    def test_returns_at_once_when_a_message_is_there(self, queue: Queue, push: Push) -> None:
        push(*numbered(3))
        started = time.monotonic()
        assert queue.wait(START, 10)
        assert time.monotonic() - started < 1

    def test_returns_when_a_message_comes_and_leaves_all_in_order(
        self, queue: Queue, push: Push
    ) -> None:
        timer = threading.Timer(0.1, push, numbered(5))
        timer.start()
        assert queue.wait(START, 10)
        timer.join()
        assert bodies(queue.claim(10, START)) == numbered(5)

    def test_sees_what_is_claimed_but_behind_the_position(self, queue: Queue, push: Push) -> None:
        push(*numbered(3))
        claimed = queue.claim(3, START)
        assert queue.wait(claimed[1].id, 0)
        assert not queue.wait(claimed[2].id, 0)

    @pytest.mark.parametrize("seconds", [0, -1, 0.0001, 1.2])
    def test_gives_up_when_its_time_is_over(self, queue: Queue, seconds: float) -> None:
        started = time.monotonic()
        assert not queue.wait(START, seconds)
        assert time.monotonic() - started < max(seconds, 0) + 0.5


def test_a_key_that_became_something_else_is_a_configuration_error(
    redis_client: redis.Redis, queue: Queue
) -> None:
    redis_client.set(KEY, "x")
    for action in (
        queue.depth,
        lambda: queue.standing(START, 0),
        lambda: queue.claim(1, START),
        lambda: queue.wait(START, 0),
    ):
        with pytest.raises(ConfigurationError, match=f"{KEY}.* has become another type"):
            action()
