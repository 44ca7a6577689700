"""A drain in a process of its own, which stops at a point to be killed, frozen or let go on.

Arguments: PostgreSQL's URL, Redis' URL, the point, how many times it is passed before, and the
kind of the queue. Writes `paused` at the point and reads a line there; at its end writes the
ending, or the error's class. Where the point is about giving back, the drain stops after its second
batch; with `lagging` before the point it can't settle anything. With the point `memory` it writes,
before the ending, the most memory in KiB that it had needed after ten batches and at its end. With
the point `rehearsal` it writes `begins`, and tries what it would do instead of doing it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

from batchdrain.drain import BatchReport, StopSignal, drain, rehearse
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import DEFAULT_WAIT, Move, Position
from batchdrain.engine.records import BatchResult, Malformed, Record
from batchdrain.engine.target import PreparedBatch
from batchdrain.errors import BatchdrainError, TransientError
from batchdrain.queues.queue import Message, Queue
from drain_lab import QUICK, Lab, Notes, redis_of


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


class PausingQueue:
    """A queue that stops around take, claim, settle and give back."""

    def __init__(self, queue: Queue, pause: Pause, lagging: bool) -> None:
        self._queue = queue
        self._pause = pause
        self._lagging = lagging

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def take(self, owner: str) -> None:
        self._queue.take(owner)
        self._pause.at("after take")

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        claimed = self._queue.claim(limit, after)
        self._pause.at("after claim")
        return claimed

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        if self._lagging:
            raise TransientError("away")
        self._pause.at("before settle")
        half = len(ids) // 2
        removed = self._queue.settle(upto, ids[:half])
        self._pause.at("during settle")
        removed += self._queue.settle(upto, ids[half:])
        self._pause.at("after settle")
        return removed

    def settle_leftovers(self, position: str) -> int:
        if self._lagging:
            raise TransientError("away")
        return self._queue.settle_leftovers(position)

    def give_back(self, position: str) -> None:
        self._pause.at("before giving back")
        self._queue.give_back(position)
        self._pause.at("after giving back")


class PausingEngine(BatchEngine):
    """An engine that stops after it took the queue over, before COMMIT, and before it lets go."""

    pause: Pause

    def take_over(self, baseline: Callable[[], int]) -> Position:
        position = super().take_over(baseline)
        self.pause.at("after taking over")
        return position

    def apply(
        self,
        batch: Sequence[Record | Malformed] | PreparedBatch,
        *,
        move: Move | None = None,
        judge: Callable[[BatchResult], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> BatchResult:
        def judge_and_pause(result: BatchResult) -> None:
            if judge is not None:
                judge(result)
            self.pause.at("before commit")

        return super().apply(batch, move=move, judge=judge_and_pause, meanwhile=meanwhile)

    def release(self, wait: float = DEFAULT_WAIT) -> None:
        self.pause.at("before release")
        super().release(wait)


def memory() -> int:
    """Return the most memory in KiB that this process had at any moment."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(report: BatchReport) -> None:
    """Say how much memory ten batches took."""
    if report.number == 10:
        say(str(memory()))


def main(postgres: str, redis: str, point: str, spared: str, kind: str) -> None:
    """Drain the queue."""
    lab = Lab(postgres, redis, redis_of(redis), kind)
    lagging = point.startswith("lagging ")
    pause = Pause(point.removeprefix("lagging "), int(spared))
    queue: Any = PausingQueue(lab.queue(), pause, lagging)
    engine: Any = lab.engine(name="child", idle_timeout=1.0)
    engine.__class__ = PausingEngine
    engine.pause = pause
    stop = StopSignal()

    def stop_after_two(report: BatchReport) -> None:
        if report.number == 2:
            stop.set()

    try:
        with engine:
            if point == "memory":
                outcome = drain(queue, engine, observer=Notes(measure, keep=False))
                say(str(memory()))
            elif point == "rehearsal":
                say("begins")
                say(rehearse(queue, engine).sentence())
                return
            elif point.endswith("giving back"):
                outcome = drain(
                    queue, engine, limits=QUICK, stop=stop, observer=Notes(stop_after_two)
                )
            else:
                outcome = drain(queue, engine, limits=QUICK)
        say(outcome.ending)
    except BatchdrainError as error:
        say(type(error).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
