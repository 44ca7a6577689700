"""Looks at the queues of a Redis or Valkey server without blocking an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from batchdrain.hooks.connection import ConnectionLookup
from batchdrain.hooks.redis_client import async_client, shown_address
from batchdrain.queues.backlog import Backlog, backlogs
from batchdrain.queues.failures import translated
from batchdrain.queues.round_trips import answered_meanwhile


class AsyncQueueHook(ConnectionLookup):
    """What triggers need of RedisQueueHook, for the same connections and with the same options.

    An async context: the connection is looked up, and Redis' connections are closed, with it.
    """

    def __init__(self, redis_conn_id: str) -> None:
        super().__init__()
        self.redis_conn_id = redis_conn_id
        self._client: Any = None
        self._address = redis_conn_id

    async def __aenter__(self) -> Self:
        """Look the connection up; Redis itself is connected to with the first question.

        Raises ConfigurationError if there is no such connection, or naming what is wrong with it.
        """
        connection = await self.aget_connection(self.redis_conn_id)
        self._client = async_client(connection)
        self._address = shown_address(connection)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with translated(self._client, "the queues"):
            await self._client.aclose()

    def address(self) -> str:
        """Return the connection's id and the server, for logs; it holds no secret."""
        return self._address

    async def survey(self, keys: Sequence[str]) -> list[Backlog]:
        """Ask Redis what the keys hold, as RedisQueueHook does.

        Raises TransientError if the server is away.
        """
        with translated(self._client, "the queues"):
            return await answered_meanwhile(self._client, backlogs(keys))
