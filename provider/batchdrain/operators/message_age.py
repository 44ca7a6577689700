"""How long messages have waited, as far as their ids tell."""

from __future__ import annotations

from datetime import UTC, datetime

from batchdrain.queues.message_ids import as_numbers

_TIMES = range(1_000_000_000_000, 253_402_300_800_000)
"""Milliseconds from 2001 to the end of 9999. The ids of streams begin with such, by Redis' clock;
those of lists count in-flight lists, and a producer may choose others."""


def waited(message_id: str | None, now: datetime) -> float | None:
    """Return the seconds since a stream's message was added; None where its id is no time."""
    milliseconds = as_numbers(message_id)[0] if message_id else 0
    if milliseconds not in _TIMES:
        return None
    added = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return max(0.0, (now - added).total_seconds())
