"""Lets a queue's drain wait until the queues of the tables it refers to have been applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from batchdrain.drain import StopSignal
from batchdrain.engine.position import Position, positions
from batchdrain.queues.message_ids import as_numbers

POLL_SECONDS = 0.25

Positions = Callable[[Sequence[str]], Mapping[str, Position]]


def read_positions(connection: psycopg.Connection[Any]) -> Positions:
    """Return what `wait_for_parents` reads positions with."""
    return lambda queues: positions(connection, queues)


def wait_for_parents(
    parents: Mapping[str, str],
    read: Positions,
    *,
    seconds: float,
    stop: StopSignal,
    note: Callable[[str], None],
) -> bool:
    """Wait until the parents' queues have passed these ids, at most `seconds` without progress.

    A queue that is held or rewound is not awaited. Returns whether all have passed; `note` is told
    when the wait starts, and what is missing when it was in vain.
    """
    reached = read(list(parents))
    behind = _behind(parents, reached)
    if behind:
        note(f"waiting for {', '.join(behind)}: this table refers to theirs")
    deadline = time.monotonic() + seconds
    while behind and not stop.is_set():
        if time.monotonic() >= deadline:
            note(f"{', '.join(behind)} made no progress for {seconds:g} s")
            return False
        stop.wait(POLL_SECONDS)
        before, reached = reached, read(list(parents))
        behind = _behind(parents, reached)
        if _moved(before, reached):
            deadline = time.monotonic() + seconds
    return not behind


def _behind(parents: Mapping[str, str], reached: Mapping[str, Position]) -> list[str]:
    return [
        queue
        for queue, awaited in parents.items()
        if queue not in reached
        or not (_stands_still(reached[queue]) or _order(reached[queue]) >= as_numbers(awaited))
    ]


def _moved(before: Mapping[str, Position], reached: Mapping[str, Position]) -> bool:
    """Whether a queue has another position; one whose row was removed has made no progress."""
    return any(
        queue in reached and reached[queue].position != position.position
        for queue, position in before.items()
    )


def _stands_still(position: Position) -> bool:
    return position.held or position.rewound


def _order(position: Position) -> tuple[int, int]:
    return as_numbers(position.position)
