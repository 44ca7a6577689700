"""The brake: stops a drain that would refuse too large a share of its records (SEMANTICS §4)."""

from __future__ import annotations

from collections import Counter

from batchdrain.drain.report import DrainLimits
from batchdrain.engine.records import BatchResult
from batchdrain.errors import BrakeError


class Brake:
    """Counts what a drain refuses; a producer's bad deploy must not empty a queue into errors."""

    def __init__(self, max_refused_share: float, brake_after: int) -> None:
        self._max_share = max_refused_share
        self._after = brake_after
        self._records = 0
        self._refused = 0

    def judge(self, result: BatchResult) -> None:
        """Look at a batch before it is committed.

        Raises BrakeError when, with it, at least `brake_after` records were seen and more than
        `max_refused_share` of them refused.
        """
        records = self._records + len(result.results)
        refused = self._refused + result.refused
        if records < self._after or refused <= self._max_share * records:
            return
        kinds = Counter(
            (entry.refusal.error_type, entry.refusal.field)
            for entry in result.results
            if entry.refusal is not None
        )
        (error_type, field), count = kinds.most_common(1)[0]
        column = f" in column {field}" if field else ""
        raise BrakeError(
            f"the brake: {refused} of {records} records would be refused, more than "
            f"max_refused_share={self._max_share:g} allows; most often {error_type}{column} "
            f"({count} of the last {len(result.results)}); nothing of this batch was consumed: "
            "mend the producer or the table, or raise max_refused_share for one run"
        )

    def count(self, result: BatchResult) -> None:
        """Remember a committed batch."""
        self._records += len(result.results)
        self._refused += result.refused


def foreseen(limits: DrainLimits, result: BatchResult) -> str | None:
    """Say what the brake of a drain would say that begins with these records; None: nothing.

    They are looked at in batches as large as the drain's first.
    """
    brake = Brake(limits.max_refused_share, limits.brake_after)
    size = limits.batch_records
    for begin in range(0, len(result.results), size):
        part = result.results[begin : begin + size]
        batch = BatchResult(part, sum(not entry.applied for entry in part))
        try:
            brake.judge(batch)
        except BrakeError as error:
            return str(error)
        brake.count(batch)
    records = len(result.results)
    if records >= limits.brake_after or result.refused <= limits.max_refused_share * records:
        return None
    return (
        f"the brake: {result.refused} of {records} records would be refused, more than "
        f"max_refused_share={limits.max_refused_share:g} allows; it acts once a drain has seen "
        f"brake_after={limits.brake_after} records, so fewer would all be consumed"
    )
