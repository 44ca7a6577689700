"""Whether a list queue goes on where its position ends. Pure functions."""

from __future__ import annotations

from collections.abc import Collection

from batchdrain.queues.list_keys import ListFacts
from batchdrain.queues.message_ids import as_numbers
from batchdrain.queues.queue import Standing


def standing_of(key: str, facts: ListFacts, position: str) -> Standing:
    """Compare a list queue with its position.

    `facts` has every in-flight list, from the oldest to the one after the newest. Nothing counts
    what was pushed, so no loss can be counted either: it shows as in-flight lists that are missing.
    """
    number, place = as_numbers(position)
    unsettled = sum(
        held if n < number else min(held, place)
        for n, held in facts.in_flight.items()
        if n <= number
    )
    unread = facts.depth - unsettled
    why = _contradiction(facts, number, place)
    if why is None:
        return Standing(unread, unsettled, lost=0)
    return Standing(unread, unsettled, lost=0, rewound=_rewound(key, why, unread, unsettled))


def _contradiction(facts: ListFacts, number: int, place: int) -> str | None:
    """Return why what is there can't be what follows the position."""
    beyond = [n for n, held in facts.in_flight.items() if held and n > number]
    if facts.counter is None and not facts.length and not beyond:
        return None
    if facts.newest < number:
        counter = "gone" if facts.counter is None else f"at {facts.counter}"
        return f"its counter is {counter}, but {number}-{place} has been applied"
    if 0 < facts.held(number) < place:
        return (
            f"its in-flight list {number} holds {facts.held(number)} messages, but {place} of it "
            "have been applied"
        )
    following = range(number + 1, facts.newest + 1)
    missing = facts.newest - number - sum(n in following for n in beyond)
    if missing:
        return (
            f"{_lists(missing, following, beyond)} of it should be in flight behind "
            f"{number}-{place}, but {'is' if missing == 1 else 'are'} gone"
        )
    if beyond and max(beyond) > facts.newest:
        return f"it has list {max(beyond)} in flight, but its counter is at {facts.newest}"
    return None


def _lists(missing: int, following: range, there: Collection[int]) -> str:
    """Name the missing lists; there may be more of them than can be gone through."""
    first = next(n for n in following if n not in there)
    if missing == 1:
        return f"list {first}"
    last = next(n for n in reversed(following) if n not in there)
    return f"{missing} lists from {first} to {last}"


def _rewound(key: str, why: str, unread: int, unsettled: int) -> str:
    applied = f", and the {unsettled} in flight up to there as applied" if unsettled else ""
    return (
        f"Queue {key} does not go on where PostgreSQL stopped: {why}; Redis or PostgreSQL was "
        "restored or failed over, or keys were deleted. Accept the queue as it is now (Param "
        f"accept_rewound of the drain DAG) once you know why. Its {unread} other messages will "
        f"then count as new, whether they have been applied before or not{applied}."
    )
