"""Removes messages from a queue that nobody shall apply."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg

from batchdrain.engine.position import Ledger, Move
from batchdrain.errors import ConfigurationError, QueueRewoundError
from batchdrain.queues.queue import Queue

_AT_A_TIME = 1_000
"""Messages between two commits; Redis and PostgreSQL then agree, whatever crashes."""


def discard(
    queue: Queue,
    connection: psycopg.Connection[Any],
    ledger: Ledger,
    count: int,
    note: Callable[[str], None],
) -> int:
    """Remove the oldest `count` messages that have not been applied; return how many were removed.

    Takes the queue over as a drain does, so a drain that is at it ends at its next batch. `note`
    gets a sentence for each part that is gone for good. Raises ConfigurationError, and removes
    nothing, if the queue has fewer messages; QueueRewoundError if it holds less than was applied;
    HandedOverError when a drain takes the queue meanwhile.
    """
    start = ledger.take(connection, queue.baseline)
    position = start.position
    queue.take(uuid.uuid4().hex)
    ledger.committed(connection, Move(position, position, 0))
    standing = queue.standing(position, start.accounted)
    why = standing.rewound or _too_few(queue.key, standing.unread, count)
    if why:
        ledger.release(connection)
        raise (QueueRewoundError if standing.rewound else ConfigurationError)(why)
    if standing.lost:
        ledger.record_loss(connection, standing.lost)
    removed = 0
    while removed < count:
        messages = queue.claim(min(_AT_A_TIME, count - removed), position)
        if not messages:
            break
        ids = [message.id for message in messages]
        # PostgreSQL first: what is removed from Redis must never be missed there.
        ledger.discard(connection, Move(position, ids[-1], len(ids)))
        position = ids[-1]
        queue.settle(position, ids)
        removed += len(ids)
        note(f"{queue.key}: {len(ids)} messages removed, from {ids[0]} to {ids[-1]}")
    queue.settle_leftovers(position)
    # Not after an error: the position may be another one than it seems. The next drain sees to it.
    queue.give_back(position)
    ledger.release(connection)
    return removed


def _too_few(key: str, unread: int, count: int) -> str | None:
    if unread >= count:
        return None
    return (
        f"Queue {key} has {unread} messages that have not been applied, so {count} can't be "
        "removed; nothing was."
    )
