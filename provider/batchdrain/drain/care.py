"""Makes batches smaller when one of their records seems to be what fails, until it stands alone."""

from __future__ import annotations

from batchdrain.drain.intake import Batch
from batchdrain.errors import SystemicError, TransientError

_ROW_CODES = ("40", "53200", "53400")
"""Transient SQLSTATEs, or their beginnings, that a record can cause by itself: a trigger that
always reports a conflict, a value that takes more memory or temporary space than there is."""

_SHRINK = 32
"""By how much a batch shrinks that seems to fail by one of its records."""


class Care:
    """How many messages the next batch may have: None, all that there is room for."""

    def __init__(self) -> None:
        self.most: int | None = None

    def smaller(self, batch: Batch, attempt: int, error: TransientError) -> Batch | None:
        """Return the beginning of a batch that seems to fail by one of its records, or None."""
        known = self.most is not None
        if not _by_record(error) or len(batch.messages) == 1 or not (known or attempt > 1):
            return None
        return batch.first(max(1, len(batch.messages) // _SHRINK))

    def shrink(self, batch: Batch) -> None:
        """Keep later batches as small as this one for a while."""
        self.most = len(batch.messages)

    def relax(self, size: int) -> None:
        """After a batch that went well let the next be larger; `size` is that of a usual one."""
        if self.most is not None:
            self.most = None if 2 * self.most >= size else 2 * self.most


def require_more_than_one(queue: str, batch: Batch, attempts: int, error: TransientError) -> None:
    """Raise SystemicError, naming the message, where one alone has failed at every attempt."""
    if _by_record(error) and len(batch.messages) == 1:
        raise SystemicError(
            f"message {batch.messages[0].id} of {queue} fails by itself, "
            f"{attempts} times over: {error} (a trigger's doing? mend it, or remove the message)"
        ) from error


def _by_record(error: TransientError) -> bool:
    return error.sqlstate is not None and error.sqlstate.startswith(_ROW_CODES)
