"""How much of list queues is in flight, asked for many of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchdrain.queues.list_keys import ListKeys, number_of
from batchdrain.queues.round_trips import Questions

_MOST_LISTS = 1_000
"""How many in-flight lists of a queue are looked at, the newest of them; a drain leaves two."""


def in_flight(queues: Sequence[str]) -> Questions[Mapping[str, int]]:
    """Ask how many messages of each queue are in flight or not settled yet.

    Queues that have never been drained as lists are left out. Takes two round trips.
    """
    every = [ListKeys(queue) for queue in queues]
    marks = yield [("GET", key) for keys in every for key in (keys.counter, keys.settled)]
    numbers: dict[ListKeys, range] = {}
    for keys, counter, settled in zip(every, marks[::2], marks[1::2], strict=True):
        newest = number_of(counter)
        if newest is not None:
            oldest = max((number_of(settled) or 0) + 1, newest - _MOST_LISTS + 1)
            numbers[keys] = range(oldest, newest + 1)
    held = iter((yield [("LLEN", k.in_flight(n)) for k, some in numbers.items() for n in some]))
    return {keys.queue: sum(next(held) for _ in some) for keys, some in numbers.items()}
