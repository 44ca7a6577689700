"""The keys beside a list: its counter, its in-flight lists, and who may touch them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchdrain.queues.keys import derived, glob_of

_COUNTER = "seq"
_IN_FLIGHT = "inflight:"


@dataclass(frozen=True, slots=True)
class ListKeys:
    """The keys of one list queue; a Redis Cluster keeps all of them in the queue's slot."""

    queue: str

    @property
    def counter(self) -> str:
        """Holds the number of the newest in-flight list.

        That it exists tells that a queue is a list, also while the list is empty and has no key.
        """
        return derived(self.queue, _COUNTER)

    @property
    def owner(self) -> str:
        """Holds the token of the drain that may claim, settle and give back."""
        return derived(self.queue, "owner")

    @property
    def settled(self) -> str:
        """Holds a number up to which all in-flight lists have been removed; may lag."""
        return derived(self.queue, "settled")

    def in_flight(self, number: int) -> str:
        """Return the key of the in-flight list with this number, which holds the oldest first."""
        return derived(self.queue, f"{_IN_FLIGHT}{number}")

    @property
    def all_in_flight(self) -> str:
        """Return the pattern that the keys of all in-flight lists match."""
        return f"{glob_of(derived(self.queue, _IN_FLIGHT))}*"

    def number_in(self, key: bytes) -> int | None:
        """Return the number in an in-flight list's key, None for another key."""
        return number_of(key.removeprefix(derived(self.queue, _IN_FLIGHT).encode()))


def queue_of(counter: bytes) -> bytes:
    """Return the key of the queue whose counter has this key."""
    before, after = derived("*", _COUNTER).encode().split(b"*")
    return counter.removeprefix(before).removesuffix(after)


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A list queue at one moment.

    `length` counts the elements that nobody has claimed, `counter` is None where its key is
    missing, `in_flight` maps numbers of in-flight lists to how many elements they hold.
    """

    length: int
    counter: int | None
    in_flight: Mapping[int, int]

    @property
    def newest(self) -> int:
        """The counter, 0 where it is missing."""
        return self.counter or 0

    @property
    def depth(self) -> int:
        """How many elements Redis holds."""
        return self.length + sum(self.in_flight.values())

    def held(self, number: int) -> int:
        """Return how many elements an in-flight list holds."""
        return self.in_flight.get(number, 0)


def number_of(value: bytes | None) -> int | None:
    """Return what a counter's key holds; None for a missing key or one that holds no number."""
    return int(value) if value is not None and value.isdigit() else None
