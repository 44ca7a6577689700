"""The Redis side of a drain: claims ahead and settles behind, in a thread of its own.

While PostgreSQL works on one batch, this side removes the one before from Redis and claims the
next, so that Redis costs a drain hardly any time. It never runs ahead of what was committed when it
settles, and what it claims ahead is given up as soon as anything goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from batchdrain.errors import BatchdrainError
from batchdrain.queues.queue import Message, Queue


class RedisSide:
    """Does one thing at a time, in the order in which it is asked.

    Used as a context manager; leaving it waits for what was asked.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batchdrain-redis")
        self._ahead: Future[Sequence[Message]] | None = None
        self._settled: Future[None] | None = None

    def settle(self, action: Callable[[], None]) -> None:
        """Have applied messages removed, while the drain goes on."""
        if self._settled is not None:
            self._settled.result()
        self._settled = self._thread.submit(action)

    def claim_ahead(self, limit: int, after: str) -> None:
        """Have the messages behind `after` claimed, unless some are being claimed already."""
        if self._ahead is None:
            self._ahead = self._thread.submit(self._queue.claim, limit, after)

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        """Return what was claimed ahead, or what is behind `after` now; nothing if it is empty.

        Raises what claiming raises. An empty answer from before is asked for again, for messages
        may have come since.
        """
        messages = self._taken()
        return messages or self._thread.submit(self._queue.claim, limit, after).result()

    def claimed(self) -> Sequence[Message]:
        """Return what was claimed ahead, if it is here already.

        Raises what claiming raises.
        """
        return self._taken() if self._ahead is not None and self._ahead.done() else ()

    def claimed_in_the_end(self) -> Sequence[Message]:
        """Wait for what is being claimed ahead, and return it; nothing if that fails."""
        try:
            return self._taken()
        except BatchdrainError:
            return ()

    def __enter__(self) -> Self:
        """Return the side itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what was asked, and end the thread."""
        self._thread.shutdown(wait=True)
        if error is None and self._settled is not None:
            self._settled.result()

    def _taken(self) -> Sequence[Message]:
        ahead, self._ahead = self._ahead, None
        return ahead.result() if ahead is not None else ()
