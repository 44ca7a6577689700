"""How much of list queues is in flight, asked for many of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from batchdrain.queues.list_keys import ListKeys, number_of

_MOST_LISTS = 1_000
"""How many in-flight lists of a queue are looked at, the newest of them; a drain leaves two."""


def in_flight(client: redis.Redis, queues: Sequence[str]) -> Mapping[str, int]:
    """Return how many messages of each queue are in flight or not settled yet.

    Queues that have never been drained as lists are left out. Takes two round trips. Raises the
    errors of redis-py.
    """
    every = [ListKeys(queue) for queue in queues]
    marks = _pipelined(
        client, [("GET", key) for keys in every for key in (keys.counter, keys.settled)]
    )
    numbers: dict[ListKeys, range] = {}
    for keys, counter, settled in zip(every, marks[::2], marks[1::2], strict=True):
        newest = number_of(counter)
        if newest is not None:
            oldest = max((number_of(settled) or 0) + 1, newest - _MOST_LISTS + 1)
            numbers[keys] = range(oldest, newest + 1)
    held = iter(
        _pipelined(client, [("LLEN", k.in_flight(n)) for k, some in numbers.items() for n in some])
    )
    return {keys.queue: sum(next(held) for _ in some) for keys, some in numbers.items()}


def _pipelined(client: Any, commands: Sequence[tuple[str, str]]) -> list[Any]:
    if not commands:
        return []
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute())
