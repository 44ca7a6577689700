"""Valkey for tests: the server at BATCHDRAIN_TEST_REDIS, or else an embedded one.

On a given server each test works in a database that it found empty, and empties it afterwards.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from batchdrain.demo.servers import ValkeyServer


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """URL of the session's server, database 0 where it is an embedded one."""
    given = os.environ.get("BATCHDRAIN_TEST_REDIS")
    if given:
        yield given
        return
    with ValkeyServer(fsync=False) as server:
        yield server.url


@pytest.fixture
def redis_url(valkey_url: str) -> Iterator[str]:
    """URL of a database that is empty and the test's own."""
    given = bool(os.environ.get("BATCHDRAIN_TEST_REDIS"))
    url = empty_database(valkey_url) if given else valkey_url
    yield url
    with redis.Redis.from_url(url) as client:
        client.flushdb()


def empty_database(server_url: str) -> str:
    """Return the URL of a database of this server that holds no key."""
    for number in random.sample(range(1, 16), 15):
        url = urlsplit(server_url)._replace(path=f"/{number}").geturl()
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0:
                return url
    raise RuntimeError("All databases of BATCHDRAIN_TEST_REDIS hold keys; empty one of 1 to 15.")


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client (bytes) of the test's own database."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="module")
def module_valkey() -> Iterator[ValkeyServer]:
    """The embedded server behind `own_valkey`, one for all tests of a module."""
    with ValkeyServer(fsync=False) as server:
        yield server


@pytest.fixture
def own_valkey(module_valkey: ValkeyServer) -> Iterator[ValkeyServer]:
    """An embedded server that the test may stop, kill and start; runs, and is empty, at first."""
    module_valkey.start()
    with redis.Redis.from_url(module_valkey.url) as client:
        client.flushall()
    yield module_valkey
    module_valkey.start()
