"""Makes clients of the queues' server from an Airflow connection, for tasks and for event loops."""

from __future__ import annotations

from typing import Any

import redis
from airflow.sdk import Connection
from redis import asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from batchdrain.errors import ConfigurationError
from batchdrain.hooks.connection import (
    extra_addresses,
    extra_count,
    extra_file,
    extra_flag,
    extra_seconds,
)
from batchdrain.hooks.sentinel import async_master, blocking_master, sentinel_group
from batchdrain.queues.failures import translated

_PORT = 6379
"""The port of a server, unless another is given (Redis' own default)."""

_TLS_SCHEME = "rediss"
_TLS_FILES = ("ssl_ca_certs", "ssl_keyfile", "ssl_certfile")


def blocking_client(connection: Connection) -> Any:
    """Return a client for a task; it connects when the first command is sent, to a cluster at once.

    Raises ConfigurationError naming what is wrong with the connection, TransientError if a cluster
    is away.
    """
    options = {**_options(connection), "retry": Retry(_backoff(), _retries(connection))}
    if group := sentinel_group(connection, options):
        return blocking_master(group, options, database_number(connection))
    if not _is_cluster(connection):
        return redis.Redis(db=database_number(connection), **options)
    nodes: list[Any] = [
        ClusterNode(host, port)  # type: ignore[no-untyped-call]
        for host, port in extra_addresses(connection, "startup_nodes", _PORT)
    ]
    with translated(redis.Redis(host=options["host"], port=options["port"]), "a cluster"):
        return RedisCluster(startup_nodes=nodes, **options)


def async_client(connection: Connection) -> Any:
    """Return a client for an event loop; it connects when the first command is sent.

    Raises ConfigurationError naming what is wrong with the connection.
    """
    options = {**_options(connection), "retry": AsyncRetry(_backoff(), _retries(connection))}
    if group := sentinel_group(connection, options):
        return async_master(group, options, database_number(connection))
    if not _is_cluster(connection):
        return asyncio.Redis(db=database_number(connection), **options)
    nodes = [
        AsyncClusterNode(host, port)
        for host, port in extra_addresses(connection, "startup_nodes", _PORT)
    ]
    return asyncio.RedisCluster(startup_nodes=nodes, **options)


def shown_address(connection: Connection) -> str:
    """Return the connection's id and the server, for logs; it holds no secret."""
    return f"{connection.conn_id} ({shown_server(connection)})"


def shown_server(connection: Connection) -> str:
    """Return host and port, or the sentinels and their master; it holds no secret."""
    host, port = connection.host or "localhost", connection.port or _PORT
    return str(sentinel_group(connection) or f"{host}:{port}")


def _options(connection: Connection) -> dict[str, Any]:
    """Return redis-py's arguments that clients of all kinds take."""
    return {
        "host": connection.host or "localhost",
        "port": connection.port or _PORT,
        "username": connection.login or None,
        "password": connection.password or None,
        "socket_connect_timeout": extra_seconds(connection, "socket_connect_timeout", 5),
        "socket_timeout": extra_seconds(connection, "socket_timeout", 10),
        "socket_keepalive": True,
        "health_check_interval": 30,
        **_encryption(connection),
    }


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.1, cap=2)


def _retries(connection: Connection) -> int:
    return extra_count(connection, "retries", 3)


def _is_cluster(connection: Connection) -> bool:
    return extra_flag(connection, "cluster", False)


def _encryption(connection: Connection) -> dict[str, Any]:
    """Return redis-py's TLS options; the scheme `rediss` is TLS whatever the extra field says.

    Raises ConfigurationError naming an extra field that is neither true nor false, or whose file
    is missing: to redis-py that is an error of the network, which may pass.
    """
    extra = connection.extra_dejson
    options: dict[str, Any] = {
        "ssl": extra_flag(connection, "ssl", False)
        or _TLS_SCHEME in (connection.conn_type, connection.schema),
    }
    if extra.get("ssl_cert_reqs"):
        options["ssl_cert_reqs"] = extra["ssl_cert_reqs"]
    if options["ssl"] or extra_flag(connection, "sentinel_ssl", False):
        options |= {name: path for name in _TLS_FILES if (path := extra_file(connection, name))}
    if extra.get("ssl_check_hostname") is not None:
        options["ssl_check_hostname"] = extra_flag(connection, "ssl_check_hostname", True)
    return options


def database_number(connection: Connection) -> int:
    """Read the database number from the extra field `db`, or from the URL's path as redis:// does.

    Raises ConfigurationError if it is no whole number.
    """
    path = None if connection.schema == _TLS_SCHEME else connection.schema
    value = connection.extra_dejson.get("db", path) or 0
    if not str(value).isdecimal():
        raise ConfigurationError(
            f"The database of the Airflow connection {connection.conn_id!r} must be a number, as "
            'in the extra {"db": 0}.'
        )
    return int(value)
