"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts of records and rounds.

    `slow_rounds` is for what takes seconds, `link_records` for one row at a time over the slow
    link, and `short_drains` counts the drains of `records` in each round of the long backlog.
    """

    records: int = 24_000
    batch: int = 1_000
    rounds: int = 5
    slow_rounds: int = 3
    backlog: int = 1_000_000
    backlog_rounds: int = 2
    short_drains: int = 3
    link_records: int = 400


FULL = Scale()
"""What the claims are judged by."""

QUICK = Scale(
    records=4_000,
    rounds=2,
    slow_rounds=1,
    backlog=40_000,
    backlog_rounds=1,
    short_drains=1,
    link_records=60,
)
"""For work on the benchmark itself; says nothing about the claims."""
