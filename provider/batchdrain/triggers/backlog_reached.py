"""Resumes a deferred sensor when messages wait in queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from batchdrain.errors import SystemicError
from batchdrain.triggers.looks import looks
from batchdrain.triggers.watched_queues import WatchedQueues

SETTLING_SECONDS = 5.0
"""Seconds before the first look, which the sensor has just had: Airflow 3.3 fails a task that is
queued again before its scheduler has heard that the process which deferred it has ended."""


class BacklogReached(BaseTrigger):
    """Fires once, when one of some queues holds at least `threshold` messages.

    The event's payload is `{"queues": {key: depth}}`, with the queues that have a backlog, or
    `{"error": sentence}` if waiting would not help. An outage of Redis is waited out. The arguments
    are those that the sensor has read; `poll_interval` is in seconds.
    """

    def __init__(
        self,
        *,
        queues: Sequence[str],
        prefix: str,
        redis_conn_id: str,
        threshold: int,
        poll_interval: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watched = WatchedQueues(tuple(queues), prefix, redis_conn_id, threshold)
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments."""
        return (
            f"{BacklogReached.__module__}.{BacklogReached.__qualname__}",
            {
                "queues": list(self.watched.keys),
                "prefix": self.watched.prefix,
                "redis_conn_id": self.watched.redis_conn_id,
                "threshold": self.watched.threshold,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the one event."""
        yield TriggerEvent(await self._outcome())  # type: ignore[no-untyped-call]

    async def _outcome(self) -> dict[str, Any]:
        watched = self.watched
        await asyncio.sleep(SETTLING_SECONDS)
        stream = looks(watched.redis_conn_id, self.poll_interval, lambda: (watched.keys,))
        try:
            async with aclosing(stream):
                async for found in stream:
                    if deep := watched.deep(found):
                        return {"queues": deep}
        except SystemicError as error:
            return {"error": str(error)}
        raise AssertionError("looks at queues have no end")
