"""Starts runs of a DAG when messages wait in queues."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias
from weakref import WeakSet

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from batchdrain.allow_list import AllowList
from batchdrain.errors import SystemicError
from batchdrain.option_values import seconds_from
from batchdrain.queues.backlog import Backlog
from batchdrain.triggers.looks import SHORTEST_INTERVAL, Keys, looks, rest
from batchdrain.triggers.watched_queues import read_argument, watched_queues

THRESHOLD = 1
COOLDOWN_SECONDS = 30.0
"""A run of a drain DAG takes some seconds to empty a queue; until then the backlog is there."""
POLL_SECONDS = 0.5
SHORTEST_COOLDOWN = 1.0
REFUSED_SECONDS = 30.0
"""Seconds until the next attempt when the connection is missing, or Redis refuses everything."""

StreamKey: TypeAlias = tuple[str, str, float]

_log = logging.getLogger(__name__)


class QueueBacklogTrigger(BaseEventTrigger):
    """Fires when one of some queues holds at least `threshold` messages; for an AssetWatcher.

    It fires again only after `cooldown` seconds, if there is a backlog then. The event's payload is
    `{"queues": {key: depth}}`, with the queues that have a backlog. Depths count what Redis holds:
    of a stream all its entries, of a list those in flight, too.

    Queues are named by their `tables`, as the option of that name does, or as `queues`, by their
    keys; what is left out comes from section `[batchdrain]`. Arguments and section are read when
    the DAG file is parsed, like a schedule. Triggers of the same connection and `poll_interval`,
    in seconds, share one look at all of their queues. An outage of Redis is waited out. Raises
    ConfigurationError naming the argument or the option that is bad.
    """

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        queues: str | Sequence[str] | None = None,
        prefix: str | None = None,
        redis_conn_id: str | None = None,
        threshold: int = THRESHOLD,
        cooldown: timedelta | float = COOLDOWN_SECONDS,
        poll_interval: timedelta | float = POLL_SECONDS,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watched = watched_queues(
            tables=tables,
            queues=queues,
            prefix=prefix,
            redis_conn_id=redis_conn_id,
            threshold=threshold,
        )
        self.cooldown = read_argument("cooldown", cooldown, seconds_from(SHORTEST_COOLDOWN))
        self.poll_interval = read_argument(
            "poll_interval", poll_interval, seconds_from(SHORTEST_INTERVAL)
        )
        self._quiet_until = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments; all of them, so that the triggerer reads no section."""
        return (
            f"{QueueBacklogTrigger.__module__}.{QueueBacklogTrigger.__qualname__}",
            {
                "queues": list(self.watched.keys),
                "prefix": self.watched.prefix,
                "redis_conn_id": self.watched.redis_conn_id,
                "threshold": self.watched.threshold,
                "cooldown": self.cooldown,
                "poll_interval": self.poll_interval,
            },
        )

    def shared_stream_key(self) -> StreamKey:
        """Return what triggers have in common that share their looks at Redis."""
        return (__name__, self.watched.redis_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(
        cls, kwargs: dict[str, Any]
    ) -> AsyncGenerator[Mapping[str, Backlog], None]:
        """Yield looks at the queues of all triggers that share the stream; kwargs is one's own."""
        key = cls(**kwargs).shared_stream_key()
        async with aclosing(_lasting_looks(key, lambda: _keys_of(key))) as stream:
            async for found in stream:
                yield found

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Mapping[str, Backlog]]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Yield an event for each look that shows a backlog of this trigger's queues."""
        sharing = _SHARING.setdefault(self.shared_stream_key(), WeakSet())
        sharing.add(self)
        try:
            async for found in shared_stream:
                if event := self._event(found):
                    yield event
        finally:
            sharing.discard(self)

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the same events from looks of its own."""
        keys = (self.watched.keys,)
        async with aclosing(_lasting_looks(self.shared_stream_key(), lambda: keys)) as stream:
            async for found in stream:
                if event := self._event(found):
                    yield event

    def _event(self, found: Mapping[str, Backlog]) -> TriggerEvent | None:
        now = time.monotonic()
        if now < self._quiet_until:
            return None
        deep = self.watched.deep(found)
        if not deep:
            return None
        self._quiet_until = now + self.cooldown
        return TriggerEvent({"queues": deep})  # type: ignore[no-untyped-call]


_SHARING: dict[StreamKey, WeakSet[QueueBacklogTrigger]] = {}
"""The triggers of this process by the stream that they share: Airflow tells a stream only of the
one that came first, but it has to look at the queues of all. Used in one event loop."""


def _keys_of(key: StreamKey) -> set[Keys]:
    return {trigger.watched.keys for trigger in _SHARING.get(key, ())}


async def _lasting_looks(
    key: StreamKey, watchers: Callable[[], Collection[Keys]]
) -> AsyncGenerator[Mapping[str, Backlog], None]:
    """Look on even if Redis refuses everything, or there is no such connection, and log that.

    Airflow would start a trigger that ends with an error again at once, and log its stack trace
    every second until somebody mends the connection.
    """
    _, redis_conn_id, interval = key
    while True:
        try:
            async with aclosing(looks(redis_conn_id, interval, watchers)) as stream:
                async for found in stream:
                    yield found
        except SystemicError as error:
            _log.error("No queue is watched, next attempt in %.0f s: %s", REFUSED_SECONDS, error)
            await rest(REFUSED_SECONDS)
