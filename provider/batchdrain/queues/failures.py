"""What an error of Redis means for the drain: come back later, or somebody has to act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis import exceptions

from batchdrain.errors import BatchdrainError, ConfigurationError, SystemicError, TransientError

_LATER = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.RedisClusterException,
    OSError,
)
_LATER_CODES = ("NOREPLICAS ", "MISCONF ", "BUSY ", "UNBLOCKED ", "NOGROUP ")
"""Codes without a class of their own: writes refused for now, a script that keeps Redis busy, or a
key or consumer group that went away meanwhile."""

_LOGIN = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)


def address(client: redis.Redis) -> str:
    """Return host, port and database of a client's server, without user or password."""
    pool = getattr(client, "connection_pool", None)
    options: dict[str, Any] = getattr(pool, "connection_kwargs", {})
    if "path" in options:
        return str(options["path"])
    if "host" not in options:
        return str(getattr(pool, "service_name", "the cluster"))
    return f"{options['host']}:{options.get('port', 6379)}/{options.get('db') or 0}"


@contextmanager
def translated(client: redis.Redis, key: str) -> Iterator[None]:
    """Turn errors of Redis into TransientError, ConfigurationError or SystemicError.

    The messages name server and key, and hold no secret.
    """
    try:
        yield
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        raise _translation(error, address(client), key) from error


def _translation(error: Exception, server: str, key: str) -> BatchdrainError:
    # A cluster's client tells why no node would do only as the cause of its own error.
    if isinstance(error, _LOGIN) or isinstance(error.__cause__, _LOGIN):
        return ConfigurationError(
            f"Redis at {server} refuses the login; check user and password of its connection"
        )
    if isinstance(error, _LATER) or any(code in str(error) for code in _LATER_CODES):
        return TransientError(f"Redis at {server} is away or can't serve {key} now: {error}")
    if isinstance(error, exceptions.NoPermissionError):
        return ConfigurationError(
            f"Redis at {server} does not let its user work on {key}: {error}; extend the user's ACL"
        )
    if isinstance(error, exceptions.AskError | exceptions.ClusterCrossSlotError):
        return ConfigurationError(
            f"Redis at {server} is one node of a cluster and {key} lives elsewhere; "
            "make its connection a cluster connection"
        )
    if "WRONGTYPE " in str(error):
        return ConfigurationError(
            f"queue key {key}, or a key beside it, has become another type; see who replaced it"
        )
    return SystemicError(f"Redis at {server} refuses to work on {key}: {error}")
