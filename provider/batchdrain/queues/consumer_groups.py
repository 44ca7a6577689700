"""Consumer groups on a queue's stream: other programs' must not miss anything, ours is a gauge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis import exceptions

from batchdrain.queues.message_ids import as_numbers

OUR_GROUP = b"batchdrain"
"""The group that is moved along with the position, if it exists; nothing is read through it."""

_PENDING_PER_COMMAND = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """Another program's group: what it has been given, and how much of that it still works on."""

    name: bytes
    last_delivered: str
    pending: int


@dataclass(frozen=True, slots=True)
class GroupsNow:
    """The groups of a stream at one moment: other programs', and whether there is ours."""

    others: tuple[Group, ...] = ()
    ours: bool = False

    def horizon(self, position: str) -> str:
        """Return the newest id, `position` at most, that every other group has been given."""
        delivered = (group.last_delivered for group in self.others)
        return min((position, *delivered), key=as_numbers)


class ConsumerGroups:
    """The consumer groups of one stream; a key that doesn't exist has none.

    They have to be looked at anew before entries are removed, for a program may create its group
    at any moment. A group that is created, or set back, in the very moment in which entries are
    removed misses these. Methods raise the errors of redis-py.
    """

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self._key = key

    def look(self) -> GroupsNow:
        """Return the groups as they are."""
        try:
            groups = self._client.xinfo_groups(self._key)
        except exceptions.ResponseError as error:
            if is_no_such_key(error):
                return GroupsNow()
            raise
        names = [group["name"] for group in groups]
        others = tuple(
            Group(group["name"], group["last-delivered-id"].decode(), int(group["pending"]))
            for group in groups
            if group["name"] != OUR_GROUP
        )
        return GroupsNow(others, OUR_GROUP in names)

    def done_by_others(self, ids: Sequence[str], now: GroupsNow) -> Sequence[str]:
        """Return those of the ids (ascending) that no other group has to read or acknowledge."""
        if not ids or not now.others:
            return ids
        horizon = as_numbers(now.horizon(ids[-1]))
        pending: set[str] = set()
        for group in now.others:
            if group.pending:
                pending |= self._pending(group.name, ids[0], ids[-1])
        return [one for one in ids if as_numbers(one) <= horizon and one not in pending]

    def move_ours(self, position: str, entries_read: int | None) -> None:
        """Let our group stand at a position.

        `entries_read` is how many entries were added up to it; None leaves it to Redis to estimate.
        """
        self._client.xgroup_setid(self._key, OUR_GROUP, position, entries_read=entries_read)

    def _pending(self, group: bytes, first: str, last: str) -> set[str]:
        """Return the ids from `first` to `last` that were delivered but not acknowledged."""
        found: set[str] = set()
        while True:
            page: Any = self._client.xpending_range(
                self._key, group, first, last, _PENDING_PER_COMMAND
            )
            found |= {entry["message_id"].decode() for entry in page}
            if len(page) < _PENDING_PER_COMMAND:
                return found
            first = f"({page[-1]['message_id'].decode()}"


def is_no_such_key(error: exceptions.ResponseError) -> bool:
    """Whether Redis says that the key it was asked about doesn't exist."""
    return "no such key" in str(error)
