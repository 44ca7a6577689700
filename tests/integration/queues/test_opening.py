"""Opening and finding queues: the wrong key, server or user gets one clear sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from batchdrain.errors import BatchdrainError, ConfigurationError, TransientError
from batchdrain.queues.keys import QueueKey
from batchdrain.queues.opening import open_queue, scan_keys
from batchdrain.queues.queue import START

KEY = "batchdrain:flights"
PASSWORD = "not-to-be-shown"


@pytest.fixture
def limited(redis_client: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    """A client whose user may read and write streams, but not delete from them or ask for INFO."""
    name = "batchdrain-test-limited"
    redis_client.acl_setuser(
        name,
        enabled=True,
        passwords=[f"+{PASSWORD}"],
        keys=["*"],
        commands=["+@all", "-xdel", "-info"],
        reset=True,
    )
    with redis.Redis.from_url(redis_url, username=name, password=PASSWORD) as client:
        yield client
    redis_client.acl_deluser(name)


def test_a_stream_is_opened(redis_client: redis.Redis) -> None:
    redis_client.xadd(KEY, {"data": "1"})
    queue = open_queue(redis_client, QueueKey.parse(KEY))
    assert (queue.key, queue.kind, queue.depth()) == (KEY, "stream", 1)


def test_a_key_that_does_not_exist_is_an_empty_queue(redis_client: redis.Redis) -> None:
    queue = open_queue(redis_client, KEY)
    assert (queue.depth(), queue.baseline(), list(queue.claim(1, START))) == (0, 0, [])


def test_a_list_is_opened(redis_client: redis.Redis) -> None:
    redis_client.rpush(KEY, "1")
    queue = open_queue(redis_client, QueueKey.parse(KEY))
    assert (queue.key, queue.kind, queue.depth()) == (KEY, "list", 1)


@pytest.mark.parametrize(("left_push", "first"), [(False, b"1"), (True, b"3")])
def test_a_list_is_read_from_the_end_at_which_producers_do_not_push(
    redis_client: redis.Redis, left_push: bool, first: bytes
) -> None:
    redis_client.rpush(KEY, "1", "2", "3")
    queue = open_queue(redis_client, KEY, left_push=left_push)
    queue.take("drain")
    [message] = queue.claim(1, START)
    assert message.body == first


def test_a_list_that_is_wholly_in_flight_is_still_a_list(redis_client: redis.Redis) -> None:
    """Redis removes the key of a list that has become empty."""
    redis_client.rpush(KEY, "1", "2")
    first = open_queue(redis_client, KEY)
    first.take("killed")
    first.claim(10, START)
    assert not redis_client.exists(KEY)
    queue = open_queue(redis_client, KEY)
    assert (queue.kind, queue.depth()) == ("list", 2)
    assert [str(key) for key in scan_keys(redis_client)] == [KEY]


def test_a_list_that_was_drained_and_is_empty_is_still_a_list(redis_client: redis.Redis) -> None:
    redis_client.rpush(KEY, "1")
    first = open_queue(redis_client, KEY)
    first.take("drain")
    first.settle("1-1", [message.id for message in first.claim(10, START)])
    queue = open_queue(redis_client, KEY)
    assert (queue.kind, queue.depth()) == ("list", 0)


def test_a_hash_is_neither_stream_nor_list(redis_client: redis.Redis) -> None:
    redis_client.hset(KEY, "a", "1")
    with pytest.raises(ConfigurationError, match=f"{KEY} is a hash, neither stream nor list"):
        open_queue(redis_client, KEY)


def test_a_client_that_decodes_is_refused(redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
        pytest.raises(ConfigurationError, match="decode_responses"),
    ):
        open_queue(client, KEY)


def test_an_old_server_is_refused_by_its_version(redis_url: str) -> None:
    class Old(redis.Redis):
        def info(self, *_: Any, **__: Any) -> dict[str, str]:
            return {"redis_version": "6.2.14"}

    with Old.from_url(redis_url) as client, pytest.raises(ConfigurationError, match=r"6\.2\.14"):
        open_queue(client, KEY)


def test_an_old_server_shows_in_its_streams_too(redis_client: redis.Redis, redis_url: str) -> None:
    """Where the user may not ask for the version, a stream that counts nothing is refused."""

    class Old(redis.Redis):
        def xinfo_stream(self, *args: Any, **kwargs: Any) -> Any:
            info = super().xinfo_stream(*args, **kwargs)
            del info["entries-added"]
            return info

    redis_client.xadd(KEY, {"data": "1"})
    with (
        Old.from_url(redis_url) as client,
        pytest.raises(ConfigurationError, match=r"needs Redis 7\.0"),
    ):
        open_queue(client, KEY).baseline()


def test_a_user_without_info_can_open_a_queue(limited: redis.Redis) -> None:
    assert open_queue(limited, KEY).depth() == 0


def test_a_missing_right_is_a_configuration_error(limited: redis.Redis) -> None:
    entry_id = limited.xadd(KEY, {"data": "1"}).decode()
    with pytest.raises(ConfigurationError, match="ACL") as caught:
        open_queue(limited, KEY).settle(entry_id, [entry_id])
    assert "xdel" in str(caught.value).lower()


@pytest.mark.usefixtures("limited")
def test_a_wrong_password_is_a_configuration_error_and_not_shown(redis_url: str) -> None:
    with (
        redis.Redis.from_url(
            redis_url, username="batchdrain-test-limited", password=PASSWORD + "x"
        ) as client,
        pytest.raises(ConfigurationError, match="refuses the login") as caught,
    ):
        open_queue(client, KEY)
    assert PASSWORD not in str(caught.value)


def test_a_server_that_is_away_is_transient(unused_port: int) -> None:
    client = redis.Redis(port=unused_port, password=PASSWORD, retry=None)
    for action in (lambda: open_queue(client, KEY), lambda: scan_keys(client)):
        with pytest.raises(TransientError, match=f"localhost:{unused_port}/0") as caught:
            action()
        assert PASSWORD not in str(caught.value)


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_scanning_finds_streams_and_lists_sorted(redis_client: redis.Redis) -> None:
    for key in (
        "batchdrain:b",
        "batchdrain:a.t:3",
        "other:c",
        "{batchdrain:b}:x",
        "batchdrainer:d",
    ):
        redis_client.xadd(key, {"data": "1"})
    redis_client.rpush("batchdrain:l", "1")
    redis_client.set("{batchdrain:e}:seq", "4")
    redis_client.set("{other:e}:seq", "4")
    redis_client.rpush("{batchdrain:f}:inflight:1", "1")
    redis_client.hset("batchdrain:h", "a", "1")
    assert [str(key) for key in scan_keys(redis_client)] == [
        "batchdrain:a.t:3",
        "batchdrain:b",
        "batchdrain:e",
        "batchdrain:l",
    ]


def test_scanning_takes_the_prefix_literally(redis_client: redis.Redis) -> None:
    for key in ("a*[b]?\\-^:t", "aXb:t", "axxb:t"):
        redis_client.xadd(key, {"data": "1"})
    assert [key.table for key in scan_keys(redis_client, "a*[b]?\\-^")] == ["t"]
    assert scan_keys(redis_client, "a*b") == ()


def test_scanning_leaves_out_keys_that_name_no_table(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for key in (b"batchdrain:a:b", b"batchdrain:\xff", b"batchdrain:ok"):
        redis_client.xadd(key, {"data": "1"})
    assert [key.table for key in scan_keys(redis_client)] == ["ok"]
    assert "batchdrain:a:b" in caplog.text


def test_scanning_goes_through_many_keys(redis_client: redis.Redis) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(3_000):
            pipeline.set(f"noise:{number}", "x")
        for number in range(20):
            pipeline.xadd(f"batchdrain:t:{number}", {"data": "1"})
        pipeline.execute()
    assert {key.shard for key in scan_keys(redis_client)} == set(range(20))


def test_a_replica_is_transient(redis_client: redis.Redis, redis_url: str) -> None:
    """A connection that outlived a failover gets READONLY until it finds the new primary."""

    class Demoted(redis.Redis):
        def xinfo_groups(self, *_: Any, **__: Any) -> Any:
            raise redis.exceptions.ReadOnlyError("You can't write against a read only replica.")

    with Demoted.from_url(redis_url) as client, pytest.raises(TransientError) as caught:
        open_queue(client, KEY).settle("1-1", ["1-1"])
    assert isinstance(caught.value, BatchdrainError)
