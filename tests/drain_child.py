"""A drain in a process of its own, which stops at a point to be killed, frozen or let go on.

Arguments: PostgreSQL's URL, Redis' URL, the point, and how many times it is passed before. Writes
`paused` at the point and reads a line there; at its end writes the ending, or the error's class.
With the point `memory` it writes, before the ending, the most memory in KiB that it had needed
after ten batches and at its end.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

from batchdrain.drain import BatchReport, drain
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import Move, Position
from batchdrain.engine.records import BatchResult, Malformed, Record
from batchdrain.errors import BatchdrainError
from batchdrain.queues.queue import Message
from batchdrain.queues.stream import StreamQueue
from drain_lab import KEY, QUICK, Lab, Notes, redis_of


def say(word: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Pause:
    """Stops the process at one point."""

    def __init__(self, point: str, spared: int) -> None:
        self._point = point
        self._spared = spared

    def at(self, point: str) -> None:
        """Stop here, if this is the point, until a line arrives."""
        if point != self._point:
            return
        self._spared -= 1
        if self._spared == -1:
            say("paused")
            sys.stdin.readline()


class PausingQueue(StreamQueue):
    """A queue that stops around claim and settle."""

    pause: Pause

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        claimed = super().claim(limit, after)
        self.pause.at("after claim")
        return claimed

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        self.pause.at("before settle")
        half = len(ids) // 2
        removed = super().settle(upto, ids[:half])
        self.pause.at("during settle")
        removed += super().settle(upto, ids[half:])
        self.pause.at("after settle")
        return removed


class PausingEngine(BatchEngine):
    """An engine that stops after it took the queue over, before COMMIT, and before it lets go."""

    pause: Pause

    def take_over(self, baseline: Callable[[], int]) -> Position:
        position = super().take_over(baseline)
        self.pause.at("after taking over")
        return position

    def apply(
        self,
        records: Sequence[Record | Malformed],
        *,
        move: Move | None = None,
        judge: Callable[[BatchResult], None] | None = None,
    ) -> BatchResult:
        def judge_and_pause(result: BatchResult) -> None:
            if judge is not None:
                judge(result)
            self.pause.at("before commit")

        return super().apply(records, move=move, judge=judge_and_pause)

    def release(self) -> None:
        self.pause.at("before release")
        super().release()


def memory() -> int:
    """Return the most memory in KiB that this process had at any moment."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(report: BatchReport) -> None:
    """Say how much memory ten batches took."""
    if report.number == 10:
        say(str(memory()))


def main(postgres: str, redis: str, point: str, spared: str) -> None:
    """Drain the queue."""
    lab = Lab(postgres, redis, redis_of(redis))
    pause = Pause(point, int(spared))
    queue = PausingQueue(lab.client, KEY)
    engine: Any = lab.engine(name="child", idle_timeout=1.0)
    engine.__class__ = PausingEngine
    queue.pause = engine.pause = pause
    try:
        with engine:
            if point == "memory":
                outcome = drain(queue, engine, observer=Notes(measure, keep=False))
                say(str(memory()))
            else:
                outcome = drain(queue, engine, limits=QUICK)
        say(outcome.ending)
    except BatchdrainError as error:
        say(type(error).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
