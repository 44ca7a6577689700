"""The protocol that every kind of queue follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

START = "0-0"
"""The position of a queue of which nothing has been applied."""


MAX_CLAIM_BYTES = 32 * 1024 * 1024
"""How many bytes of messages a claim holds; it stops at the first message beyond."""


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

    `unread` counts the messages behind the position, claimed or not; `unsettled` those at or below
    it that Redis still holds (applied, but not yet settled). `lost` counts messages that Redis
    dropped before they were read; `rewound` holds a sentence when Redis has less than PostgreSQL
    has applied, or otherwise doesn't go on where the position ends.
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

    def accepted_from(self, position: str) -> str:
        """Return the position that `accepted` would return, and accept nothing."""
        ...

    def take(self, owner: str) -> None:
        """Let only the drain with this token claim, settle, give back and accept from now on.

        Where reading changes nothing in Redis this does nothing. Elsewhere those methods raise
        HandedOverError once another drain has taken the queue. Called before `standing` is asked
        for, by a drain that owns the queue's position; it then looks whether it still does.
        """
        ...

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        """Read at most `limit` messages behind the position `after`, oldest first.

        Claiming again with the same `after` returns the same messages. Raises QueueRewoundError if
        Redis doesn't go on where the position ends.
        """
        ...

    def peek(self, limit: int, after: str) -> Sequence[Message]:
        """Show at most `limit` messages behind the position `after`, oldest first, and claim none.

        Stops early as a claim does. A message that has no id before it is claimed has the empty
        one.
        """
        ...

    def give_back(self, position: str) -> None:
        """Leave what was claimed behind `position` as if it had not been."""
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
