"""A replicated Valkey for tests: a master, a replica, and a sentinel that watches them.

There is one sentinel, for two may each vote for itself, which takes them seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import redis

from batchdrain.demo.servers import ValkeyServer

MASTER = "orders"
SERVER_PASSWORD = "pass-of-the-server"
SENTINEL_PASSWORD = "pass-of-the-sentinels"
_PATIENCE = 30.0
_PERIODS = {"INFO-PERIOD": 100, "PUBLISH-PERIOD": 100, "ASK-PERIOD": 100, "PING-PERIOD": 500}
"""Milliseconds between a sentinel's looks at the others, which it otherwise takes every 1 to 10 s.

A replica that was not heard of for five times PING-PERIOD is no candidate.
"""


class SentinelServer(ValkeyServer):
    """A sentinel that watches one master, and fails over as soon as it is gone."""

    name = "sentinel"

    def __init__(self, watched: ValkeyServer) -> None:
        super().__init__(fsync=False)
        self._watched = watched

    def client(self) -> redis.Redis:
        """Return a client of the sentinel itself."""
        return redis.Redis(port=self.port, password=SENTINEL_PASSWORD)

    def start(self) -> None:
        """Start the sentinel, and have it look at the others often."""
        super().start()
        with self.client() as client:
            periods = (word for period in _PERIODS.items() for word in period)
            client.execute_command("SENTINEL DEBUG", *periods)

    def _command(self, port: int) -> list[str]:
        # It writes its state into the same file, which a second start must find.
        file = self._data / "sentinel.conf"
        if not file.exists():
            lines = (
                f"port {port}",
                f"bind {self.host}",
                f'unixsocket "{self._socket}"',
                f'dir "{self._data}"',
                f"requirepass {SENTINEL_PASSWORD}",
                f"sentinel monitor {MASTER} {self._watched.host} {self._watched.port} 1",
                f"sentinel auth-pass {MASTER} {SERVER_PASSWORD}",
                f"sentinel down-after-milliseconds {MASTER} 1000",
                f"sentinel failover-timeout {MASTER} 2000",
            )
            self._write(file, "".join(f"{line}\n" for line in lines))
        return [str(self._program), str(file), "--sentinel"]


@dataclass(frozen=True, slots=True)
class Replicated:
    """A master and its replica, either of which may be the master by now, and their sentinel."""

    servers: tuple[ValkeyServer, ValkeyServer]
    sentinel: SentinelServer

    @property
    def node(self) -> str:
        """The sentinel as an Airflow connection names it."""
        return f"{self.sentinel.host}:{self.sentinel.port}"

    def connection(self, **extra: object) -> str:
        """Return an Airflow connection that leads to the master, as JSON."""
        fields = {
            "sentinels": self.node,
            "sentinel_master": MASTER,
            "sentinel_password": SENTINEL_PASSWORD,
        }
        return json.dumps(
            {
                "conn_type": "batchdrain_redis",
                "password": SERVER_PASSWORD,
                "extra": {**fields, **extra},
            }
        )

    def client(self, server: ValkeyServer) -> redis.Redis:
        """Return a client of one server, whatever its role."""
        return redis.Redis(port=server.port, password=SERVER_PASSWORD)

    def master(self) -> ValkeyServer:
        """Return the server that the sentinel takes for the master."""
        with self.sentinel.client() as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name(MASTER)
        return next(server for server in self.servers if server.port == int(port))

    def wait_for_replication(self) -> None:
        """Return when the replica has all that the master has."""
        wait_until(self._replicated)

    def is_well(self) -> bool:
        """Tell whether the replica follows the master, and the sentinel sees both."""
        with self.sentinel.client() as sentinel:
            state = sentinel.sentinel_master(MASTER)
            (replica,) = sentinel.sentinel_slaves(MASTER)
        down = state["is_sdown"] or replica["is_sdown"] or replica["port"] == state["port"]
        return not down and self._replicated()

    def _replicated(self) -> bool:
        with self.client(self.master()) as master:
            # WAIT waits for what this very connection has written.
            master.set("replicated", "")
            return bool(master.wait(1, 100) == 1)


@pytest.fixture(scope="module")
def module_replicated() -> Iterator[Replicated]:
    """The servers behind `replicated_valkey`, the same for all tests of a module."""
    settings: dict[str, str | int | float | bool] = {
        "requirepass": SERVER_PASSWORD,
        "masterauth": SERVER_PASSWORD,
        "repl-diskless-sync-delay": 0,
    }
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(ValkeyServer(fsync=False, settings=settings)) for _ in range(2)
        )
        sentinel = SentinelServer(first)
        group = Replicated((first, second), sentinel)
        with group.client(second) as replica:
            replica.replicaof(first.host, first.port)
        stack.enter_context(sentinel)
        yield group


@pytest.fixture
def replicated_valkey(module_replicated: Replicated) -> Replicated:
    """Master, replica and sentinel that the test may stop and kill; well, and empty, at first."""
    for server in (*module_replicated.servers, module_replicated.sentinel):
        server.start()
    wait_until(module_replicated.is_well)
    with module_replicated.client(module_replicated.master()) as client:
        client.flushall()
    module_replicated.wait_for_replication()
    return module_replicated


def wait_until(true: Callable[[], bool]) -> None:
    """Return when something has become true, within half a minute."""
    deadline = time.monotonic() + _PATIENCE
    while not _is(true):
        assert time.monotonic() < deadline, "the servers took too long"
        time.sleep(0.05)


def _is(true: Callable[[], bool]) -> bool:
    try:
        return true()
    except redis.RedisError:
        return False
