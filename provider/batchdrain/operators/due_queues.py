"""Sorts queues out: what a run drains, what it leaves to others, and where its drains linger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from batchdrain.engine.position import Position
from batchdrain.hooks.queue import Backlog
from batchdrain.operators.linger_choice import Resident, choose_lingering
from batchdrain.operators.owners import LeftOut

QUEUE_TYPES = ("stream", "list")
"""Redis' names for the types that can be queues."""


@dataclass(frozen=True, slots=True)
class Found:
    """A queue of a table; `left` tells why it is left out, `position` is None before the first."""

    backlog: Backlog
    table: str
    left: LeftOut | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class Due:
    """The queues of a run, in the order in which they were found.

    `drained` by this run, `left_out` with a backlog, and the keys of those on which drains linger.
    """

    drained: tuple[Found, ...]
    left_out: tuple[tuple[Found, LeftOut], ...]
    lingering: frozenset[str]


def is_empty(backlog: Backlog) -> bool:
    """Tell whether nobody has to see to it: it holds no message, and is no wrong type either."""
    return not backlog.depth and backlog.kind in (*QUEUE_TYPES, "none")


def sort_out(
    found: Sequence[Found],
    parents_of: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    linger_slots: int,
) -> Due:
    """Decide about each queue; `parents_of` tells which of the tables refer to which of them.

    A queue with a backlog is drained unless it is left out. One that lingers is drained whether or
    not it has a backlog, and taken over from the drain that is at it. An empty one at which a drain
    still is, and which is not to linger, is drained, too: that ends the lingering.
    """
    lingering = _lingering(found, parents_of, linger_slots) if linger_slots else frozenset()
    drained: list[Found] = []
    left_out: list[tuple[Found, LeftOut]] = []
    for queue in found:
        key, left, empty = queue.backlog.key, queue.left, is_empty(queue.backlog)
        taken_over = left is not None and left.draining and empty and linger_slots > 0
        if key in lingering or taken_over or (left is None and not empty):
            drained.append(queue)
        elif left is not None and not empty:
            left_out.append((queue, left))
    return Due(tuple(drained), tuple(left_out), lingering)


def _lingering(
    found: Sequence[Found],
    parents_of: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    slots: int,
) -> frozenset[str]:
    residents = [
        _resident(queue)
        for queue in found
        if queue.backlog.kind in QUEUE_TYPES
        and (queue.left is None or queue.left.draining)
        and not (queue.position and queue.position.rewound)
    ]
    tables = list(dict.fromkeys(queue.table for queue in found))
    return frozenset(choose_lingering(residents, parents_of(tables), slots))


def _resident(queue: Found) -> Resident:
    idle = queue.position.idle if queue.position else None
    return Resident(queue.backlog.key, queue.table, queue.backlog.depth, idle)
