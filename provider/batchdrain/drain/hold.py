"""A drain's hold on its queue: PostgreSQL tells which drain is the newest, Redis heeds only it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import Move
from batchdrain.errors import HandedOverError, TransientError
from batchdrain.queues.queue import Queue

_T = TypeVar("_T")


class Hold:
    """Takes the queue in Redis for the drain that owns it in PostgreSQL."""

    def __init__(self, queue: Queue, engine: BatchEngine) -> None:
        self._queue = queue
        self._engine = engine
        self._token = uuid.uuid4().hex

    def take(self, position: str) -> None:
        """Keep older drains off the queue, then make sure that this one is still the newest.

        Of drains that start at once an older one may be the last to take the queue in Redis;
        PostgreSQL alone knows which is the newest. Raises HandedOverError.
        """
        self._queue.take(self._token)
        self._require_ownership(position)

    def during(self, position: str, action: Callable[[], _T]) -> _T:
        """Do something that only the drain that has taken the queue may do.

        Where an older drain has taken it, which leaves as soon as it sees that it is older, this
        one takes it back and raises TransientError.
        """
        try:
            return action()
        except HandedOverError as error:
            self._require_ownership(position)
            self.take(position)
            raise TransientError(f"{error}, an older one; this one has taken it back") from error

    def _require_ownership(self, position: str) -> None:
        self._engine.committed(Move(position, position, 0))
