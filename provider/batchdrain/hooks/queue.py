"""The hook to the Redis or Valkey server that holds the queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import redis
from airflow.providers.redis.hooks.redis import RedisHook
from airflow.sdk import Connection
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from batchdrain.errors import BatchdrainError, ConfigurationError
from batchdrain.hooks.connection import (
    ConnectionLookup,
    extra_count,
    extra_flag,
    extra_seconds,
)
from batchdrain.queues.failures import translated
from batchdrain.queues.in_flight import in_flight
from batchdrain.queues.opening import open_queue, scan_keys
from batchdrain.queues.queue import Queue

_TLS_SCHEME = "rediss"
_TLS_EXTRAS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_keyfile", "ssl_certfile")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What Redis says of one key.

    `kind` is Redis' name for its type, `none` where the key doesn't exist; an empty list has no
    key, but is a `list` if it has been drained before. `depth` counts the messages, of a list those
    in flight, too, and is 0 for a type that is no queue. `last_id` is the id of the newest entry
    that a stream has ever had, None for anything else.
    """

    key: str
    kind: str
    depth: int
    last_id: str | None


class RedisQueueHook(RedisHook, ConnectionLookup):
    """Connects to the queues' server with time-outs and bounded retries; bytes in, bytes out.

    Takes a connection of type `redis`, `rediss` or `batchdrain_redis`. It is encrypted if its type
    or schema is `rediss`, or its extra `ssl` is true. Extras beside those of RedisHook, in
    seconds: `socket_connect_timeout` (5), `socket_timeout` (10); and `retries` (3), how often a
    command is tried again after a connection error.
    """

    conn_name_attr = "redis_conn_id"
    default_conn_name = "redis_default"
    conn_type = "batchdrain_redis"
    hook_name = "Redis / Valkey (batchdrain)"

    def __init__(self, redis_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(redis_conn_id=redis_conn_id, **kwargs)

    def get_conn(self) -> Any:
        """Return the client, as `client()` does; the name that Airflow knows."""
        return self.client()

    def client(self) -> Any:
        """Return the Redis client; it connects when the first command is sent."""
        return self._client

    def close(self) -> None:
        """Close the client's connections, if there are any."""
        if "_client" in self.__dict__:
            self.__dict__.pop("_client").close()

    def open_queue(self, key: str, *, left_push: bool = False) -> Queue:
        """Return the queue behind a key; `left_push` is for a list that is filled with LPUSH.

        Raises ConfigurationError if it is neither a stream nor a list, TransientError if the server
        is away.
        """
        return open_queue(self.client(), key, left_push=left_push)

    def survey(self, keys: Sequence[str]) -> list[Backlog]:
        """Ask Redis what the keys hold; the answers come in their order.

        Takes two round trips, and two more where there are lists.

        Raises TransientError if the server is away.
        """
        if not keys:
            return []
        with translated(self.client(), "the queues"):
            kinds = [kind.decode() for kind in self._pipelined([("TYPE", key) for key in keys])]
            questions = [_question(kind, key) for kind, key in zip(kinds, keys, strict=True)]
            answers = iter(self._pipelined([question for question in questions if question]))
            maybe_lists = [
                key for key, kind in zip(keys, kinds, strict=True) if kind in ("list", "none")
            ]
            flying = in_flight(self.client(), maybe_lists)
        return [
            _backlog(key, kind, next(answers) if question else None, flying.get(key))
            for key, kind, question in zip(keys, kinds, questions, strict=True)
        ]

    def scan(self, prefix: str) -> list[str]:
        """Return the keys of the queues under a prefix, found in bounded steps.

        Raises TransientError if the server is away.
        """
        return [str(key) for key in scan_keys(self.client(), prefix)]

    def depths(self, keys: Sequence[str]) -> dict[str, int]:
        """Return how many messages Redis holds for each key, 0 for one that doesn't exist.

        Raises TransientError if the server is away.
        """
        return {backlog.key: backlog.depth for backlog in self.survey(keys)}

    def address(self) -> str:
        """Return the connection's id and the server, for logs; it holds no secret."""
        connection = self.get_connection(self.redis_conn_id)
        return f"{self.redis_conn_id} ({connection.host}:{connection.port or 6379})"

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the server answers; Airflow's Test button shows the sentence."""
        try:
            with translated(self.client(), "PING"):
                self.client().ping()
        except BatchdrainError as error:
            return False, str(error)
        return True, f"{self.address()} answers."

    @cached_property
    def _client(self) -> Any:
        connection = self.get_connection(self.redis_conn_id)
        extra = connection.extra_dejson
        options: dict[str, Any] = {
            "host": connection.host or "localhost",
            "port": connection.port or 6379,
            "username": connection.login or None,
            "password": connection.password or None,
            "socket_connect_timeout": extra_seconds(connection, "socket_connect_timeout", 5),
            "socket_timeout": extra_seconds(connection, "socket_timeout", 10),
            "socket_keepalive": True,
            "health_check_interval": 30,
            "retry": Retry(
                ExponentialWithJitterBackoff(base=0.1, cap=2),
                extra_count(connection, "retries", 3),
            ),
            **_encryption(connection),
        }
        if extra_flag(connection, "cluster", False):
            self.startup_nodes = extra.get("startup_nodes")
            return RedisCluster(startup_nodes=self._build_startup_nodes(), **options)
        return redis.Redis(db=_database(connection), **options)

    def _pipelined(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        if not commands:
            return []
        with self.client().pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=True))


def _encryption(connection: Connection) -> dict[str, Any]:
    """Return redis-py's TLS options; the scheme `rediss` is TLS whatever the extra field says.

    Raises ConfigurationError naming an extra field that is neither true nor false.
    """
    extra = connection.extra_dejson
    options: dict[str, Any] = {
        "ssl": extra_flag(connection, "ssl", False)
        or _TLS_SCHEME in (connection.conn_type, connection.schema),
        **{name: extra[name] for name in _TLS_EXTRAS if extra.get(name) is not None},
    }
    if extra.get("ssl_check_hostname") is not None:
        options["ssl_check_hostname"] = extra_flag(connection, "ssl_check_hostname", True)
    return options


def _database(connection: Connection) -> int:
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


def _question(kind: str, key: str) -> tuple[str, ...] | None:
    if kind == "stream":
        return ("XINFO STREAM", key)
    return ("LLEN", key) if kind == "list" else None


def _backlog(key: str, kind: str, answer: Any, flying: int | None) -> Backlog:
    if kind == "stream":
        return Backlog(key, kind, int(answer["length"]), answer["last-generated-id"].decode())
    if flying is None:
        return Backlog(key, kind, int(answer or 0), None)
    return Backlog(key, "list", int(answer or 0) + flying, None)
