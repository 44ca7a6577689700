"""The Redis side of a drain: settles and claims in a thread of its own.

While PostgreSQL works on one batch, this side removes the one before from Redis, claims the next
and decodes it, so that Redis costs a drain hardly any time. It never runs ahead of what was
committed when it settles, and what it claims ahead is given up as soon as anything goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from batchdrain.drain.intake import Batch, Intake
from batchdrain.errors import BatchdrainError


class RedisSide:
    """Does one thing at a time, in the order in which it is asked.

    Used as a context manager; leaving it waits for what was asked.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batchdrain-redis")
        self._ahead: Future[Batch | None] | None = None
        self._settled: Future[None] | None = None

    def settle(self, action: Callable[[], None]) -> None:
        """Have applied messages removed, while the drain goes on."""
        if self._settled is not None:
            self._settled.result()
        self._settled = self._thread.submit(action)

    def claim_ahead(self, position: str, most_records: int | None) -> None:
        """Have the batch behind `position` claimed and decoded, for `next` to return."""
        self._ahead = self._thread.submit(self._intake.next, position, most_records)

    def next(self, position: str, most_records: int | None) -> Batch | None:
        """Return the batch behind `position`, None when the queue is empty.

        Raises what claiming raises. An empty answer from before is asked for again, for messages
        may have come since.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            batch = ahead.result()
            if batch is not None:
                return batch
        return self._thread.submit(self._intake.next, position, most_records).result()

    def put_back(self, batch: Batch, applied: int) -> None:
        """Take back the messages of a batch that were not applied, and what was claimed ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            try:
                following = ahead.result()
            except BatchdrainError:
                following = None
            if following is not None:
                self._intake.put_back(following.messages)
        self._intake.put_back(batch.messages[applied:])

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
