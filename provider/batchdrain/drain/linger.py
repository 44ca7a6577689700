"""Lets a drain stay on its queue once that is empty, so that records wait about a second at most.

It leaves when another drain takes the queue over, which leaves no gap: messages are applied by the
one or the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from batchdrain.drain.report import StopSignal
from batchdrain.engine.engine import BatchEngine
from batchdrain.queues.queue import Queue

GATHER_SECONDS = 0.5
"""How long messages gather before a lingering drain applies them: each batch costs a transaction
and a row of batch_log, and a record waits half of this on average."""

_BLOCK_SECONDS = 1.0
"""How long a lingering drain waits for a message before it looks whether it is still wanted."""


def _nobody_waits() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Linger:
    """How long, in seconds, a drain stays after its queue was empty for the first time.

    `make_way` is asked before each wait, about twice a second; the drain leaves when it says True.
    """

    seconds: float
    make_way: Callable[[], bool] = _nobody_waits


class Lingering:
    """One drain's stay on its queue; without a Linger it never begins."""

    def __init__(
        self, linger: Linger | None, queue: Queue, engine: BatchEngine, stop: StopSignal
    ) -> None:
        self._linger = linger
        self._queue = queue
        self._engine = engine
        self._stop = stop
        self._since: float | None = None
        self.remark: str | None = None

    @property
    def begun(self) -> bool:
        """Whether the queue has been empty before."""
        return self._since is not None

    def stay(self, position: str) -> bool:
        """Wait a moment for messages behind the position; False when it is time to leave.

        Returns after a second at most, so that the drain can look at its limits. Raises
        HandedOverError when another drain owns the queue, TransientError when a server is away.
        """
        if self._linger is None:
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= self._linger.seconds:
            self.remark = f"after lingering for {self._linger.seconds:g} s"
            return False
        if self._linger.make_way():
            self.remark = "lingered no longer: other drains wait for a slot"
            return False
        if self._queue.wait(position, _BLOCK_SECONDS):
            self._stop.wait(GATHER_SECONDS)
        else:
            self._engine.require_ownership()
        return True
