"""The protocol that every kind of queue follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

START = "0-0"
"""The position of a queue of which nothing has been applied."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One stream entry or list element, its bytes untouched.

    `id` is the position of the queue once this message has been applied. `body` is None for a
    stream entry without a `data` field; then `fields` holds what it has.
    """

    id: str
    body: bytes | None
    fields: Mapping[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a queue compares with its position, read in one atomic step.

    `unread` counts the messages behind the position, `unsettled` those at or below it that Redis
    still holds (applied, but not yet settled). `lost` counts messages that Redis dropped before
    they were read; `rewound` holds a sentence when Redis has less than PostgreSQL has applied.
    """

    unread: int
    unsettled: int
    lost: int
    rewound: str | None = None


class Queue(Protocol):
    """One Redis stream or list that carries the records of one table, or of one shard of it."""

    @property
    def key(self) -> str:
        """The queue's key in Redis."""
        ...

    @property
    def kind(self) -> str:
        """`stream` or `list`."""
        ...

    def depth(self) -> int:
        """How many messages Redis holds for this queue."""
        ...

    def baseline(self) -> int:
        """How many messages had left the queue before batchdrain first saw it."""
        ...

    def standing(self, position: str, accounted: int) -> Standing:
        """Compare Redis with the position; `accounted` = messages applied, lost, or before us."""
        ...

    def accepted(self, position: str) -> tuple[str, int]:
        """Return position and accounted messages that take the queue as it is, nothing lost.

        For a queue that holds less than was applied up to `position`, once an operator accepts
        that: what is at or below the returned position counts as applied, the rest as unread.
        """
        ...

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        """Read at most `limit` messages behind the position `after`, oldest first."""
        ...

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        """Remove applied messages from Redis; `upto` is the committed position."""
        ...

    def settle_leftovers(self, position: str) -> int:
        """Remove what an earlier drain applied but did not settle."""
        ...

    def wait(self, after: str, seconds: float) -> bool:
        """Block until a message behind `after` is there, at most `seconds`."""
        ...
