"""Decides which queues linger. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resident:
    """A queue on which a drain could stay.

    `depth` counts its messages, `idle` the seconds since a batch of it was applied, None before
    the first.
    """

    key: str
    table: str
    depth: int
    idle: float | None


def choose_lingering(
    residents: Sequence[Resident], parents: Mapping[str, Sequence[str]], slots: int
) -> tuple[str, ...]:
    """Return the keys of at most `slots` queues that linger, the most active first.

    `parents` maps a table to those it refers to. Such a table doesn't linger: what has to come
    before its records is known only when a run begins.
    """
    free = [resident for resident in residents if not parents.get(resident.table)]
    return tuple(resident.key for resident in sorted(free, key=_activity)[:slots])


def _activity(resident: Resident) -> tuple[bool, float, str]:
    idle = math.inf if resident.idle is None else resident.idle
    return not resident.depth, idle, resident.key
