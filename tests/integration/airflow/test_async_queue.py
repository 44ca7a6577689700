"""The hook of the triggers takes every kind of connection that RedisQueueHook takes."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
import redis

from batchdrain.demo.servers import ValkeyServer
from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.async_queue import AsyncQueueHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.queues.backlog import Backlog
from batchdrain.queues.queue import START
from tls_proxy import certificate, tls_before

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEYS = ["batchdrain:s", "batchdrain:l", "batchdrain:claimed", "batchdrain:none", "batchdrain:text"]
PASSWORD = "not-to-be-shown"


async def surveyed(conn_id: str, keys: Sequence[str] = KEYS) -> list[Backlog]:
    async with AsyncQueueHook(conn_id) as hook:
        return await hook.survey(keys)


def fill(client: redis.Redis) -> None:
    """Put a stream of two, a list of three, a list wholly in flight, and a text into Redis."""
    for body in ("1", "2"):
        client.xadd(KEYS[0], {"data": body})
    client.rpush(KEYS[1], "1", "2", "3")
    client.rpush(KEYS[2], "1", "2", "3", "4")
    client.set(KEYS[4], "text")
    queue = RedisQueueHook("filled").open_queue(KEYS[2])
    queue.take("killed")
    queue.claim(10, START)


DEPTHS = [("stream", 2), ("list", 3), ("list", 4), ("none", 0), ("string", 0)]


def shown(found: list[Backlog]) -> list[tuple[str, int]]:
    return [(backlog.kind, backlog.depth) for backlog in found]


@pytest.fixture
def user(redis_client: redis.Redis) -> Iterator[str]:
    """A user with a password, who may look at the queues of batchdrain alone."""
    name = "batchdrain-test-watcher"
    redis_client.acl_setuser(
        name,
        enabled=True,
        passwords=[f"+{PASSWORD}"],
        keys=["*batchdrain:*"],
        commands=["+@read", "+@connection"],
        reset=True,
    )
    yield name
    redis_client.acl_deluser(name)


def test_it_finds_what_the_blocking_hook_finds(redis_client, redis_url, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FILLED", redis_url)
    fill(redis_client)
    found = asyncio.run(surveyed("filled"))
    assert shown(found) == DEPTHS
    assert found == RedisQueueHook("filled").survey(KEYS)
    assert asyncio.run(surveyed("filled", [])) == []


def test_a_user_needs_a_password_and_rights(redis_client, redis_url, monkeypatch, user):
    """A wrong password, and a key that the user may not read, are told in a sentence."""
    monkeypatch.setenv("AIRFLOW_CONN_FILLED", redis_url)
    fill(redis_client)
    parts = urlsplit(redis_url)
    for word in (PASSWORD, "wrong"):
        url = parts._replace(netloc=f"{user}:{word}@{parts.netloc}").geturl()
        monkeypatch.setenv(f"AIRFLOW_CONN_{word.upper().replace('-', '_')}", url)
    assert shown(asyncio.run(surveyed("not_to_be_shown"))) == DEPTHS
    with pytest.raises(ConfigurationError, match="refuses the login"):
        asyncio.run(surveyed("wrong"))
    with pytest.raises(ConfigurationError, match=r"does not let its user .* of pipeline") as caught:
        asyncio.run(surveyed("not_to_be_shown", ["batchdrain:s", "orders:s"]))
    assert PASSWORD not in str(caught.value)


def test_connections_are_encrypted_where_it_is_asked_for(
    redis_client, redis_url, monkeypatch, tmp_path
):
    monkeypatch.setenv("AIRFLOW_CONN_FILLED", redis_url)
    fill(redis_client)

    file = certificate(tmp_path)
    with tls_before(urlsplit(redis_url).port, file) as port:
        extra = {"ssl": True, "ssl_ca_certs": str(file)}
        connection = {"conn_type": "redis", "host": "127.0.0.1", "port": port, "extra": extra}
        connection["schema"] = urlsplit(redis_url).path.lstrip("/")
        monkeypatch.setenv("AIRFLOW_CONN_TLS", json.dumps(connection))
        assert shown(asyncio.run(surveyed("tls"))) == DEPTHS
        untrusted = {**connection, "extra": {"ssl": True, "retries": 0}}
        monkeypatch.setenv("AIRFLOW_CONN_UNTRUSTED", json.dumps(untrusted))
        with pytest.raises(TransientError, match="certificate"):
            asyncio.run(surveyed("untrusted"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyServer]:
    """A cluster of one node that has all slots."""
    with ValkeyServer(fsync=False, settings={"cluster-enabled": True}) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
            deadline = time.monotonic() + 30
            while client.cluster("info")["cluster_state"] != "ok":
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield server


def cluster_connection(port: int, **extra: object) -> str:
    fields = {"cluster": True, "retries": 0, **extra}
    connection = {"conn_type": "redis", "host": "127.0.0.1", "port": port, "extra": fields}
    return json.dumps(connection)


def test_a_cluster_is_asked_by_either_hook(cluster, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FILLED", cluster_connection(cluster.port))
    with redis.Redis.from_url(cluster.url) as client:
        fill(client)
    assert shown(asyncio.run(surveyed("filled"))) == DEPTHS
    assert shown(RedisQueueHook("filled").survey(KEYS)) == DEPTHS


def test_a_cluster_is_found_by_another_node_while_its_first_one_is_away(cluster, monkeypatch):
    connection = cluster_connection(unused_port(), startup_nodes=f"127.0.0.1:{cluster.port}")
    monkeypatch.setenv("AIRFLOW_CONN_FILLED", connection)
    keys = ["batchdrain:none"]
    assert shown(asyncio.run(surveyed("filled", keys))) == [("none", 0)]
    assert shown(RedisQueueHook("filled").survey(keys)) == [("none", 0)]


@pytest.mark.parametrize("extra", [{}, {"cluster": True}], ids=["single", "cluster"])
def test_a_server_that_is_away_is_transient(monkeypatch, extra):
    connection = {"host": "127.0.0.1", "port": unused_port(), "extra": {"retries": 0, **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps({"conn_type": "redis", **connection}))
    with pytest.raises(TransientError):
        asyncio.run(surveyed("away"))
    with pytest.raises(TransientError):
        RedisQueueHook("away").survey(KEYS)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"socket_timeout": "soon"}, "socket_timeout"),
        ({"cluster": "perhaps"}, "extra field cluster "),
        ({"cluster": True, "startup_nodes": "node:port"}, "startup_nodes"),
        ({"cluster": True, "startup_nodes": "node-1:1,:2"}, "startup_nodes"),
        ({"db": "first"}, "must be a number"),
    ],
)
def test_a_bad_extra_field_is_named_by_either_hook(monkeypatch, extra, named):
    connection = {"conn_type": "redis", "host": "127.0.0.1", "port": 1, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_BAD", json.dumps(connection))
    with pytest.raises(ConfigurationError, match=named):
        asyncio.run(surveyed("bad"))
    with pytest.raises(ConfigurationError, match=named):
        RedisQueueHook("bad").client()


def test_a_missing_connection_is_named_with_the_ways_to_set_it():
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_NOWHERE"):
        asyncio.run(surveyed("nowhere"))


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
