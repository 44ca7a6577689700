"""Waits for a server that is away: again and again, with growing pauses."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from batchdrain.drain.report import DrainLimits, DrainObserver, StopSignal
from batchdrain.errors import TransientError

_T = TypeVar("_T")


class Patience:
    """Tries again, until the limits are reached or somebody asks the drain to stop."""

    def __init__(self, limits: DrainLimits, stop: StopSignal, observer: DrainObserver) -> None:
        self._limits = limits
        self._stop = stop
        self._observer = observer

    def while_away(self, action: Callable[[], _T]) -> _T:
        """Do something, as often as `attempts` allows; raises the last TransientError."""
        for attempt in range(1, self._limits.attempts):
            try:
                return action()
            except TransientError as error:
                if self._stop.is_set():
                    raise
                self.pause(attempt, error)
        return action()

    def pause(self, attempt: int, error: TransientError) -> None:
        """Sleep after a failed attempt (the first is 1), the longer the more there were."""
        longest = min(self._limits.first_pause * 2 ** (attempt - 1), self._limits.longest_pause)
        seconds = longest * random.uniform(0.5, 1.0)
        self._observer.note(f"attempt {attempt} failed, next in {seconds:.1f} s: {error}")
        self._stop.wait(seconds)
