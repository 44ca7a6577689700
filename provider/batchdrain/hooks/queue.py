"""The hook to the Redis or Valkey server that holds the queues."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.providers.redis.hooks.redis import RedisHook

from batchdrain.errors import BatchdrainError
from batchdrain.hooks.connection import ConnectionLookup
from batchdrain.hooks.redis_client import (
    blocking_client,
    database_number,
    shown_address,
    shown_server,
)
from batchdrain.queues.backlog import Backlog, backlogs
from batchdrain.queues.failures import translated
from batchdrain.queues.opening import open_queue, scan_keys
from batchdrain.queues.queue import Queue
from batchdrain.queues.round_trips import answered

__all__ = ["Backlog", "RedisQueueHook"]


class RedisQueueHook(RedisHook, ConnectionLookup):
    """Connects to the queues' server with time-outs and bounded retries; bytes in, bytes out.

    Takes a connection of type `redis`, `rediss` or `batchdrain_redis`. It is encrypted if its type
    or schema is `rediss`, or its extra `ssl` is true. Extras beside those of RedisHook, in
    seconds: `socket_connect_timeout` (5), `socket_timeout` (10); and `retries` (3), how often a
    command is tried again after a connection error. With `sentinel_master` the server is the one
    that Redis Sentinel takes for the master (see `sentinel`).
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
        with translated(self.client(), "the queues"):
            return answered(self.client(), backlogs(keys))

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
        return shown_address(self.get_connection(self.redis_conn_id))

    def location(self) -> tuple[str, int, int]:
        """Return host, port and database number as the connection gives them.

        Raises ConfigurationError if the database is no whole number.
        """
        connection = self.get_connection(self.redis_conn_id)
        return connection.host or "localhost", connection.port or 6379, database_number(connection)

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the server answers; Airflow's Test button shows the sentence."""
        try:
            with translated(self.client(), "PING"):
                self.client().ping()
        except BatchdrainError as error:
            return False, str(error)
        # Airflow tests a copy of the connection under an id of its own, which says nothing.
        return True, f"{shown_server(self.get_connection(self.redis_conn_id))} answers."

    @cached_property
    def _client(self) -> Any:
        return blocking_client(self.get_connection(self.redis_conn_id))
