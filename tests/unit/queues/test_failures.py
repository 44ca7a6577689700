"""Each error of Redis means: come back later, set something right, or somebody has to look."""

from __future__ import annotations

import pytest
import redis
from redis import exceptions

from batchdrain.errors import ConfigurationError, SystemicError, TransientError
from batchdrain.queues.failures import address, translated

KEY = "batchdrain:flights"


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (exceptions.ConnectionError("Connection closed by server."), TransientError),
        (exceptions.TimeoutError("Timeout reading from socket"), TransientError),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), TransientError),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), TransientError),
        (exceptions.OutOfMemoryError("command not allowed when used memory"), TransientError),
        (exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"), TransientError),
        (exceptions.SlotNotCoveredError("Slot not covered"), TransientError),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas"), TransientError),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB"), TransientError),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), TransientError),
        (exceptions.ResponseError("UNBLOCKED the stream key no longer exists"), TransientError),
        (ConnectionResetError("reset by peer"), TransientError),
        (exceptions.AuthenticationError("invalid username-password pair"), ConfigurationError),
        (exceptions.NoPermissionError("no permissions to run 'xdel'"), ConfigurationError),
        (exceptions.MovedError("3999 127.0.0.1:6381"), ConfigurationError),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), ConfigurationError),
        (exceptions.ResponseError("ERR unknown command"), SystemicError),
    ],
    ids=lambda value: str(value)[:30],
)
def test_errors_are_translated(error: Exception, meaning: type[Exception]) -> None:
    client = redis.Redis(host="redis.example", password="hidden", db=2)
    with pytest.raises(meaning) as caught, translated(client, KEY):
        raise error
    assert type(caught.value) is meaning
    assert KEY in str(caught.value) or "login" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_an_address_holds_no_secret() -> None:
    client = redis.Redis.from_url("rediss://somebody:hidden@redis.example:6380/3")
    assert address(client) == "redis.example:6380/3"
    assert address(redis.Redis(unix_socket_path="/run/redis.sock")) == "/run/redis.sock"


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="mine"), translated(redis.Redis(), KEY):
        raise ValueError("mine")
