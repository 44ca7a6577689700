"""A list as a queue: its keys, who may touch it, and every gap noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from batchdrain.demo.servers import ValkeyServer
from batchdrain.errors import HandedOverError, QueueRewoundError
from batchdrain.queues.in_flight import in_flight
from batchdrain.queues.list import ListQueue
from batchdrain.queues.list_keys import ListKeys
from batchdrain.queues.queue import START, Message, Standing
from batchdrain.queues.round_trips import answered

KEY = "batchdrain:flights"
KEYS = ListKeys(KEY)


@pytest.fixture
def queue(redis_client: redis.Redis) -> ListQueue:
    return taken(redis_client)


def taken(client: redis.Redis, owner: str = "drain", **options: Any) -> ListQueue:
    opened = ListQueue(client, KEY, **options)
    opened.take(owner)
    return opened


def push(client: redis.Redis, count: int, begin: int = 0) -> None:
    client.rpush(KEY, *range(begin, begin + count))


def numbers(messages: Sequence[Message]) -> list[int]:
    return [int(message.body or b"") for message in messages]


def held(client: redis.Redis, key: str) -> list[int]:
    elements: list[Any] = client.lrange(key, 0, -1)
    return [int(element) for element in elements]


def ids(messages: Sequence[Message]) -> list[str]:
    return [message.id for message in messages]


class TestKeys:
    def test_a_claim_is_a_numbered_list_with_the_oldest_first(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 5)
        assert ids(queue.claim(2, START)) == ["1-1", "1-2"]
        assert ids(queue.claim(9, "1-2")) == ["2-1", "2-2", "2-3"]
        assert redis_client.get("{batchdrain:flights}:seq") == b"2"
        assert held(redis_client, "{batchdrain:flights}:inflight:1") == [0, 1]
        assert held(redis_client, "{batchdrain:flights}:inflight:2") == [2, 3, 4]

    def test_a_claim_of_nothing_counts_nothing(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        assert queue.claim(9, START) == []
        assert not redis_client.exists(KEYS.counter)

    def test_left_pushed_elements_are_in_flight_in_the_same_order(
        self, redis_client: redis.Redis
    ) -> None:
        queue = taken(redis_client, left_push=True)
        redis_client.lpush(KEY, *range(5))
        assert numbers(queue.claim(3, START)) == [0, 1, 2]
        assert held(redis_client, KEYS.in_flight(1)) == [0, 1, 2]
        redis_client.lpush(KEY, 5)
        queue.give_back("1-1")
        assert held(redis_client, KEY) == [5, 4, 3, 2, 1]

    def test_all_are_in_the_queues_slot(self) -> None:
        keys = (KEYS.counter, KEYS.owner, KEYS.settled, KEYS.in_flight(7))
        assert {key_slot(key.encode()) for key in (KEY, *keys)} == {key_slot(KEY.encode())}

    def test_only_counter_mark_and_owner_stay(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 5)
        claimed = queue.claim(9, START)
        queue.settle(claimed[-1].id, ids(claimed))
        assert set(redis_client.keys()) == {
            key.encode() for key in (KEYS.counter, KEYS.settled, KEYS.owner)
        }

    def test_a_claim_of_few_stops_there_though_more_keep_coming(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """Otherwise the tail of a busy queue would end up in lists of one."""
        push(redis_client, 3)
        assert len(queue.claim(100, START)) == 3
        assert redis_client.get(KEYS.counter) == b"1"

    def test_in_flight_lists_of_a_dead_drain_are_claimed_in_numeric_order(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """Ten is behind nine; what is new comes last."""
        for number in range(9, 13):
            redis_client.rpush(KEYS.in_flight(number), number * 2, number * 2 + 1)
        redis_client.set(KEYS.counter, 12)
        push(redis_client, 4, 26)
        claimed = queue.claim(9, "9-1")
        assert numbers(claimed) == list(range(19, 28))
        assert ids(claimed)[:3] == ["9-2", "10-1", "10-2"]
        assert claimed[-1].id == "13-2"


class TestOwner:
    def actions(self, queue: ListQueue, position: str = "1-2") -> list[Callable[[], object]]:
        return [
            lambda: queue.claim(2, position),
            lambda: queue.settle(position, [position]),
            lambda: queue.settle_leftovers(position),
            lambda: queue.give_back(position),
            lambda: queue.accepted(position),
        ]

    def test_an_older_drain_can_change_nothing_any_more(self, redis_client: redis.Redis) -> None:
        older = taken(redis_client, "older")
        push(redis_client, 9)
        older.claim(2, START)
        older.claim(2, "1-2")
        newer = taken(redis_client, "newer")
        for action in self.actions(older):
            with pytest.raises(HandedOverError, match=f"{KEY} was taken by another drain"):
                action()
        assert older.depth() == 9
        assert newer.standing("1-2", 2) == Standing(7, 2, 0)
        assert numbers(newer.claim(99, "1-2")) == list(range(2, 9))

    def test_a_mark_that_is_gone_is_noticed(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """A failover may lose it; nobody knows what happened meanwhile."""
        push(redis_client, 2)
        queue.claim(2, START)
        redis_client.delete(KEYS.owner)
        for action in self.actions(queue):
            with pytest.raises(HandedOverError):
                action()

    def test_who_has_not_taken_the_queue_can_only_look(self, redis_client: redis.Redis) -> None:
        push(redis_client, 2)
        queue = ListQueue(redis_client, KEY)
        assert queue.depth() == 2
        assert queue.standing(START, 0) == Standing(2, 0, 0)
        assert queue.wait(START, 0)
        for action in self.actions(queue):
            with pytest.raises(HandedOverError):
                action()

    def test_can_take_the_queue_again(self, redis_client: redis.Redis) -> None:
        push(redis_client, 2)
        first, second = taken(redis_client, "first"), taken(redis_client, "second")
        first.take("first")
        assert numbers(first.claim(2, START)) == [0, 1]
        with pytest.raises(HandedOverError):
            second.claim(2, START)


class TestSettle:
    def test_needs_no_mark_to_find_what_is_left(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """More lists than one script takes, some of them settled long ago."""
        with redis_client.pipeline(transaction=False) as pipeline:
            for number in range(1, 2_501, 2):
                pipeline.rpush(KEYS.in_flight(number), number, number)
            pipeline.set(KEYS.counter, 2_500)
            pipeline.execute()
        assert queue.standing("2500-1", 0) == Standing(0, 2_500, 0)
        assert (queue.depth(), queue.settle_leftovers("2500-1")) == (2_500, 2_500)
        assert redis_client.get(KEYS.settled) == b"2500"
        assert queue.standing("2500-1", 0) == Standing(0, 0, 0)

    def test_the_mark_waits_for_a_list_that_was_left_out(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 6)
        first, second = queue.claim(2, START), queue.claim(2, "1-2")
        assert queue.settle("2-2", ids(second)) == 2
        assert not redis_client.exists(KEYS.settled)
        assert queue.standing("2-2", 4) == Standing(2, len(first), 0)
        assert queue.settle_leftovers("2-2") == 2
        assert redis_client.get(KEYS.settled) == b"2"

    def test_a_list_goes_as_a_whole_once_all_of_it_is_applied(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 4)
        queue.claim(4, START)
        assert queue.settle("1-3", ["1-1", "1-2", "1-3"]) == 0
        assert (queue.depth(), queue.standing("1-3", 3)) == (4, Standing(1, 3, 0))
        assert queue.settle("1-4", ["1-4"]) == 4
        assert queue.depth() == 0


class TestGiveBack:
    def test_numbers_that_were_not_applied_are_used_again(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 9)
        for after in (START, "1-3", "2-3"):
            queue.claim(3, after)
        queue.settle("1-3", ["1-1", "1-2", "1-3"])
        queue.give_back("1-3")
        assert redis_client.get(KEYS.counter) == b"1"
        assert held(redis_client, KEY) == [3, 4, 5, 6, 7, 8]
        assert ids(queue.claim(9, "1-3"))[0] == "2-1"

    def test_the_applied_part_of_a_list_goes_with_it(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 4)
        queue.claim(4, START)
        queue.give_back("1-3")
        assert held(redis_client, KEY) == [3]
        assert redis_client.keys("*inflight*") == []
        assert ids(queue.claim(4, "1-3")) == ["2-1"]

    def test_does_not_cover_up_a_counter_that_went_back(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 4)
        for after in (START, "1-2"):
            queue.claim(2, after)
        redis_client.set(KEYS.counter, 1)
        queue.give_back("2-1")
        assert redis_client.get(KEYS.counter) == b"1"
        assert queue.standing("2-1", 3).rewound is not None


GAPS: dict[str, tuple[str, Callable[[redis.Redis], object], str]] = {
    "counter behind": ("2-2", lambda c: c.set(KEYS.counter, 1), "its counter is at 1, but 2-2"),
    "counter gone": ("2-2", lambda c: c.delete(KEYS.counter), "its counter is gone, but 2-2"),
    "list missing": ("2-2", lambda c: c.delete(KEYS.in_flight(3)), "list 3 of it should be in"),
    "several missing": (
        "0-0",
        lambda c: c.delete(*map(KEYS.in_flight, (1, 2))),
        "2 lists from 1 to 2 of it should be in flight behind 0-0, but are gone",
    ),
    "list too short": ("2-2", lambda c: c.lpop(KEYS.in_flight(2)), "list 2 holds 1 messages, but"),
    "list beyond": (
        "3-2",
        lambda c: c.rpush(KEYS.in_flight(4), 99),
        "it has list 4 in flight, but its counter is at 3",
    ),
}


class TestGaps:
    @pytest.mark.parametrize("gap", GAPS)
    def test_every_one_stops_the_queue_until_it_is_accepted(
        self, redis_client: redis.Redis, queue: ListQueue, gap: str
    ) -> None:
        """Three lists of two in flight and two elements behind; nothing is consumed."""
        push(redis_client, 8)
        for after in (START, "1-2", "2-2"):
            queue.claim(2, after)
        position, harm, sentence = GAPS[gap]
        harm(redis_client)
        before = sorted(redis_client.keys())
        rewound = queue.standing(position, 0).rewound
        assert rewound is not None
        assert sentence in rewound
        assert f"Queue {KEY} does not go on where PostgreSQL stopped" in rewound
        if gap != "list too short":
            with pytest.raises(QueueRewoundError) as caught:
                queue.claim(9, position)
            assert str(caught.value) == rewound
        assert sorted(redis_client.keys()) == before
        remaining = queue.standing(position, 0).unread
        assert queue.accepted(position) == (position, 0)
        accepted = queue.standing(position, 0)
        assert (accepted.unread, accepted.lost, accepted.rewound) == (remaining, 0, None)
        queue.settle_leftovers(position)
        claimed = queue.claim(99, position)
        assert numbers(claimed) == sorted(numbers(claimed)) or gap == "list beyond"
        assert len(claimed) == remaining
        last = claimed[-1].id
        assert queue.settle(last, ids(claimed)) == len(claimed)
        assert queue.standing(last, 0) == Standing(0, 0, 0)

    def test_a_restored_list_says_what_becomes_of_its_messages(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        push(redis_client, 8)
        for after in (START, "1-2"):
            queue.claim(2, after)
        rewound = queue.standing("7-2", 14).rewound
        assert rewound is not None
        assert "Its 4 other messages will then count as new, whether" in rewound
        assert "and the 4 in flight up to there as applied" in rewound
        assert queue.accepted("7-2") == ("7-2", 0)
        assert queue.settle_leftovers("7-2") == 4
        assert ids(queue.claim(99, "7-2")) == ["8-1", "8-2", "8-3", "8-4"]

    def test_a_position_that_went_back_is_accepted_and_numbers_follow_it(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """An older backup of PostgreSQL: what was settled since is gone."""
        push(redis_client, 20)
        position = START
        for _ in range(5):
            claimed = queue.claim(3, position)
            position = claimed[-1].id
            queue.settle(position, ids(claimed))
        assert queue.standing("2-3", 6).rewound is not None
        queue.accepted("2-3")
        claimed = queue.claim(99, "2-3")
        assert (claimed[0].id, numbers(claimed)) == ("3-1", [15, 16, 17, 18, 19])
        assert queue.settle("3-5", ids(claimed)) == 5
        assert redis_client.get(KEYS.settled) == b"3"

    def test_an_empty_list_with_a_counter_behind_is_one(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        redis_client.set(KEYS.counter, 3)
        assert queue.standing("4-1", 0).rewound is not None
        with pytest.raises(QueueRewoundError):
            queue.claim(1, "4-1")


def test_a_redis_that_is_full_can_still_be_relieved(own_valkey: ValkeyServer) -> None:
    """When it takes no message any more, messages are what has to go."""
    with redis.Redis.from_url(own_valkey.url) as client:
        push(client, 100)
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                push(client, 1)
            queue = taken(client)
            claimed = queue.claim(60, START)
            queue.settle("1-30", ids(claimed[:30]))
            queue.give_back("1-30")
            claimed = queue.claim(100, "1-30")
            assert numbers(claimed) == list(range(30, 100))
            assert queue.settle(claimed[-1].id, ids(claimed)) == 70
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize("left_push", [False, True])
def test_a_claim_of_large_elements_copies_few_besides(
    own_valkey: ValkeyServer, left_push: bool
) -> None:
    """Or Redis would serve nobody else meanwhile, and need half as much memory again."""
    with redis.Redis.from_url(own_valkey.url) as client:
        queue = taken(client, left_push=left_push, max_bytes=1_000_000)
        push = client.lpush if left_push else client.rpush
        for number in range(600):
            push(KEY, b"%100000d" % number)
        before = client.info("memory")["used_memory_peak"]
        claimed = numbers(queue.claim(1_000, START))
        assert claimed == list(range(10))
        assert client.info("memory")["used_memory_peak"] - before < 10_000_000
        assert numbers(queue.claim(15, START)) == list(range(10))
        queue.give_back(START)
        assert [client.llen(KEY), queue.depth()] == [600, 600]


def test_waiting_outlasts_the_clients_own_time_out(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, socket_timeout=0.5) as client:
        assert not ListQueue(client, KEY).wait(START, 0.8)


def test_counting_goes_on_while_others_claim(redis_client: redis.Redis, redis_url: str) -> None:
    """What is counted at one moment adds up, though lists come and go between two looks."""
    push(redis_client, 2_000)

    class Busy(redis.Redis):
        """Claims something before each transaction."""

        spared = 3
        after = START

        def pipeline(self, *args: Any, **options: Any) -> Any:
            if self.spared:
                self.spared -= 1
                self.after = busy.claim(7, self.after)[-1].id
            return super().pipeline(*args, **options)

    busy = taken(redis_client)
    with Busy.from_url(redis_url) as client:
        queue = ListQueue(client, KEY)
        assert queue.depth() == 2_000
        assert queue.standing("1-3", 3) == Standing(1_997, 3, 0)


def test_many_queues_are_asked_at_once_what_is_in_flight(
    redis_client: redis.Redis, queue: ListQueue
) -> None:
    """A queue that is wholly in flight has no key any more, but messages."""
    push(redis_client, 9)
    queue.claim(4, START)
    queue.claim(5, "1-4")
    queue.settle("1-4", ["1-4"])
    redis_client.rpush("batchdrain:new", 1)
    found = answered(redis_client, in_flight([KEY, "batchdrain:new", "batchdrain:none"]))
    assert found == {KEY: 5}
    assert answered(redis_client, in_flight([])) == {}


def test_a_large_claim_is_made_in_steps_that_do_not_hold_redis_up(
    redis_client: redis.Redis, queue: ListQueue
) -> None:
    push(redis_client, 5_000)
    assert len(queue.claim(4_500, START)) == 4_500
    assert [redis_client.llen(KEYS.in_flight(n)) for n in (1, 2, 3)] == [2_000, 2_000, 500]


class TestFarFromTheCounter:
    """Numbers that nobody can go through one by one; what is there counts all the same."""

    FAR = 10**12

    def test_a_position_from_before_is_noticed_and_can_be_accepted(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """As with a new database behind queues that have been drained for long."""
        redis_client.mset({KEYS.counter: self.FAR, KEYS.settled: self.FAR - 2})
        redis_client.rpush(KEYS.in_flight(self.FAR), 5, 6)
        push(redis_client, 3, begin=7)
        standing = queue.standing(START, 0)
        assert (standing.unread, standing.unsettled) == (5, 0)
        assert f"{self.FAR - 1} lists from 1 to {self.FAR - 1}" in (standing.rewound or "")
        assert queue.accepted(START) == (START, 0)
        assert queue.standing(START, 0) == Standing(5, 0, 0)
        assert numbers(queue.claim(9, START)) == [5, 6, 7, 8, 9]

    def test_a_position_far_ahead_is_noticed_and_can_be_accepted(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        """As with a Redis that has lost its keys."""
        position = f"{self.FAR}-3"
        push(redis_client, 4)
        redis_client.rpush(KEYS.in_flight(7), 1, 2)
        standing = queue.standing(position, 0)
        assert (standing.unread, standing.unsettled) == (4, 2)
        assert f"{position} has been applied" in (standing.rewound or "")
        assert queue.accepted(position) == (position, 0)
        assert queue.settle_leftovers(position) == 2
        assert redis_client.get(KEYS.settled) == str(self.FAR).encode()
        claimed = queue.claim(9, position)
        assert (numbers(claimed), claimed[-1].id) == ([0, 1, 2, 3], f"{self.FAR + 1}-4")
        queue.give_back(f"{self.FAR + 1}-1")
        assert queue.depth() == 3

    def test_a_list_of_which_a_part_was_applied_stays_when_all_before_it_is_settled(
        self, redis_client: redis.Redis, queue: ListQueue
    ) -> None:
        redis_client.set(KEYS.counter, self.FAR)
        redis_client.rpush(KEYS.in_flight(self.FAR - 1), 1)
        redis_client.rpush(KEYS.in_flight(self.FAR), 2, 3)
        position = f"{self.FAR}-1"
        assert queue.standing(position, 0) == Standing(1, 2, 0)
        assert queue.settle_leftovers(position) == 1
        assert redis_client.get(KEYS.settled) == str(self.FAR - 1).encode()
        assert queue.standing(position, 0) == Standing(1, 1, 0)
        assert numbers(queue.claim(9, position)) == [3]
