"""Queues that are Redis streams."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import redis
from redis import exceptions

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.queues.blocking import longest_block
from batchdrain.queues.chunks import ChunkSize
from batchdrain.queues.consumer_groups import ConsumerGroups, GroupsNow, is_no_such_key
from batchdrain.queues.failures import address, translated
from batchdrain.queues.message_ids import as_numbers
from batchdrain.queues.queue import MAX_CLAIM_BYTES, START, Message, Standing

_DATA = b"data"
_IDS_PER_COMMAND = 1_000
_CENSUS_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class _Facts:
    """What XINFO STREAM tells: entries ever added, entries now, newest id added and deleted."""

    added: int
    length: int
    last_id: str
    deleted_id: str
    first_id: str | None

    @property
    def gone(self) -> int:
        """How many entries were added and are no longer there."""
        return self.added - self.length


@dataclass(frozen=True, slots=True)
class _Census:
    """How many entries are at or below a position, and the newest of these."""

    facts: _Facts
    upto: int
    newest: str | None


class StreamQueue:
    """A Redis stream as a queue; a key that doesn't exist is an empty one.

    Rests on three things that Redis (from 7.0) and Valkey keep for each stream. Ids only grow, so
    nothing new appears at or below the position. `last-generated-id` survives deletion of every
    entry. `entries-added` counts each XADD, also one with an id of its own, and goes on counting
    when entries are deleted or trimmed; so what is missing from it was lost. Only XSETID with
    ENTRIESADDED, or deleting the key, breaks the count: a lower one shows as a queue that holds
    less than was applied, a higher one as lost messages.

    Entries are read with XRANGE and removed with XDEL, each by its id. Other programs may have
    consumer groups on the stream: what they have not read and acknowledged stays. A group named
    `batchdrain` is optional; if there is one it is moved along, so that XINFO GROUPS shows the lag.

    Methods raise TransientError when Redis is away, ConfigurationError when the login, the rights,
    the version or the key's type are wrong, and SystemicError for anything else Redis refuses.
    """

    kind = "stream"

    def __init__(self, client: redis.Redis, key: str, *, max_bytes: int = MAX_CLAIM_BYTES) -> None:
        self._client = client
        self._reader = _reader_of(client)
        self._key = key
        self._max_bytes = max_bytes
        self._chunk = ChunkSize()
        self._groups = ConsumerGroups(client, key)

    @property
    def key(self) -> str:
        """The queue's key in Redis."""
        return self._key

    def depth(self) -> int:
        """How many messages Redis holds for this queue, applied ones not yet settled included."""
        with self._errors():
            return int(self._client.xlen(self._key))

    def baseline(self) -> int:
        """How many messages had left the queue before batchdrain first saw it."""
        with self._errors():
            facts = self._facts()
        return facts.gone if facts else 0

    def standing(self, position: str, accounted: int) -> Standing:
        """Compare Redis with the position; `accounted` = messages applied, lost, or before us.

        A missing key has nothing to consume, so it is no reason to stop: whether it was deleted
        behind our back shows as soon as it exists again. Raises TransientError, beside the others,
        when entries at or below the position are deleted faster than they can be counted.
        """
        with self._errors():
            census = self._census(position)
        if census is None:
            return Standing(unread=0, unsettled=0, lost=0)
        unread = census.facts.length - census.upto
        lost = census.facts.added - accounted - unread
        why = _contradiction(census, position)
        if why is None and lost < 0:
            why = (
                f"{census.facts.added - unread} of its messages are not unread, "
                f"but {accounted} are accounted for"
            )
        if why is None:
            return Standing(unread, census.upto, lost)
        return Standing(unread, census.upto, lost=0, rewound=_rewound(self._key, why, census.upto))

    def accepted(self, position: str) -> tuple[str, int]:
        """Return position and accounted messages that take the queue as it is, nothing lost.

        The position is `position`, or lower if the stream never had such an entry: a stream that
        was restored holds up to there what had been applied before.
        """
        with self._errors():
            census = self._census(position)
        if census is None:
            return START, 0
        facts = census.facts
        position = min(position, facts.last_id, key=as_numbers)
        if _contradiction(census, position) is not None:
            position = census.newest or START
        return position, facts.added - (facts.length - census.upto)

    def accepted_from(self, position: str) -> str:
        """Return the position from which an accepted queue goes on; accepting changes no entry."""
        return self.accepted(position)[0]

    def take(self, owner: str) -> None:
        """Do nothing: entries are read where they are, whoever reads them."""

    def give_back(self, position: str) -> None:
        """Do nothing: entries that were read are still where they were."""

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        """Read at most `limit` messages behind the position `after`, oldest first.

        Stops early when the messages' bytes reach the queue's `max_bytes`.
        """
        messages: list[Message] = []
        room = self._max_bytes
        with self._errors():
            while len(messages) < limit and room > 0:
                wanted = min(limit - len(messages), self._chunk.most(room))
                found = self._range(f"({after}", "+", wanted)
                room -= self._learn(found)
                messages.extend(found)
                if len(found) < wanted:
                    break
                after = messages[-1].id
        return messages

    def peek(self, limit: int, after: str) -> Sequence[Message]:
        """Show at most `limit` messages behind the position `after`: claiming takes none away."""
        return self.claim(limit, after)

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        """Remove applied messages from Redis; `upto` is the committed position.

        Returns how many were removed: fewer than given where another consumer group still needs
        them, or somebody else has deleted them.
        """
        with self._errors():
            groups = self._groups.look()
            removed = self._remove(ids, groups)
            if groups.ours:
                self._move_group(upto)
        return removed

    def settle_leftovers(self, position: str) -> int:
        """Remove what an earlier drain applied but did not settle; return how many.

        Only for a queue whose standing is not rewound: everything at or below the position counts
        as applied.
        """
        removed = 0
        with self._errors():
            groups = self._groups.look()
            for found in self._upto(groups.horizon(position)):
                removed += self._remove([message.id for message in found], groups)
                groups = self._groups.look()
            if groups.ours:
                self._move_group(position)
        return removed

    def wait(self, after: str, seconds: float) -> bool:
        """Block until a message behind `after` is there, at most `seconds`; tell whether one is."""
        deadline = time.monotonic() + seconds
        with self._errors():
            while True:
                left = deadline - time.monotonic()
                block = (
                    max(1, int(min(left, longest_block(self._client)) * 1000)) if left > 0 else None
                )
                if self._client.xread({self._key: after}, count=1, block=block):
                    return True
                if block is None:
                    return False

    def _errors(self) -> AbstractContextManager[None]:
        return translated(self._client, self._key)

    def _range(self, start: str, end: str, count: int) -> list[Message]:
        answer: Any = self._reader.xrange(self._key, start, end, count)
        return [_message(*entry) for entry in answer]

    def _upto(self, position: str) -> Iterator[list[Message]]:
        """Yield what Redis still holds at or below a position, in chunks."""
        start = "-"
        while True:
            wanted = self._chunk.most(self._max_bytes)
            found = self._range(start, position, wanted)
            if found:
                self._learn(found)
                yield found
            if len(found) < wanted:
                return
            start = f"({found[-1].id}"

    def _learn(self, messages: Sequence[Message]) -> int:
        """Take note of the messages' sizes, and return their sum in bytes."""
        sizes = [_size(message) for message in messages]
        self._chunk.learn(sizes)
        return sum(sizes)

    def _census(self, position: str) -> _Census | None:
        """Count the entries at or below a position; None for a key that doesn't exist.

        Facts and count belong together: each step is a transaction, and the steps count only if
        nothing was deleted between them.
        """
        for _ in range(_CENSUS_ATTEMPTS):
            start, counted = "-", 0
            gone: int | None = None
            newest: str | None = None
            while True:
                wanted = self._chunk.most(self._max_bytes)
                facts, found = self._look(start, position, wanted)
                if facts is None:
                    return None
                if gone not in (None, facts.gone):
                    break
                counted += len(found)
                newest = found[-1].id if found else newest
                if len(found) < wanted:
                    return _Census(facts, counted, newest)
                self._learn(found)
                start, gone = f"({newest}", facts.gone
        raise TransientError(
            f"the applied messages of {self._key} are being deleted by somebody else faster than "
            "they can be counted; try again"
        )

    def _look(self, start: str, end: str, count: int) -> tuple[_Facts | None, list[Message]]:
        with self._client.pipeline(transaction=True) as transaction:
            transaction.xinfo_stream(self._key)
            transaction.xrange(self._key, start, end, count)
            info, entries = transaction.execute(raise_on_error=False)
        if isinstance(info, exceptions.ResponseError) and is_no_such_key(info):
            return None, []
        for answer in (info, entries):
            if isinstance(answer, Exception):
                raise answer
        return self._facts_of(info), [_message(*entry) for entry in entries]

    def _facts(self) -> _Facts | None:
        try:
            return self._facts_of(self._client.xinfo_stream(self._key))
        except exceptions.ResponseError as error:
            if is_no_such_key(error):
                return None
            raise

    def _facts_of(self, answer: Any) -> _Facts:
        info = _named(answer)
        if "entries-added" not in info:
            raise ConfigurationError(
                f"Redis at {address(self._client)} is too old: its streams do not count "
                "entries-added; batchdrain needs Redis 7.0 or Valkey"
            )
        first = info["first-entry"]
        return _Facts(
            int(info["entries-added"]),
            int(info["length"]),
            info["last-generated-id"].decode(),
            info["max-deleted-entry-id"].decode(),
            first[0].decode() if first else None,
        )

    def _remove(self, ids: Sequence[str], groups: GroupsNow) -> int:
        removable = self._groups.done_by_others(ids, groups)
        with self._client.pipeline(transaction=False) as pipeline:
            for begin in range(0, len(removable), _IDS_PER_COMMAND):
                pipeline.xdel(self._key, *removable[begin : begin + _IDS_PER_COMMAND])
            return sum(pipeline.execute())

    def _move_group(self, position: str) -> None:
        """Move our consumer group along, for those who watch its lag."""
        facts = self._facts()
        if facts is None:
            return
        nothing_kept = facts.first_id is None or as_numbers(facts.first_id) > as_numbers(position)
        self._groups.move_ours(position, facts.gone if nothing_kept else None)


def _reader_of(client: redis.Redis) -> redis.Redis:
    """Return a client on the same connections that leaves answers to XRANGE as they came.

    redis-py makes a dict of every entry, which takes longer than all else that a claim does.
    """
    if type(client) is not redis.Redis:
        return client
    reader = redis.Redis(connection_pool=client.connection_pool)
    reader.response_callbacks.pop("XRANGE", None)
    return reader


def _named(answer: Any) -> Mapping[str, Any]:
    """Return a stream's facts by name; redis-py leaves those of a cluster's transaction raw."""
    if not isinstance(answer, Mapping):
        answer = dict(zip(answer[::2], answer[1::2], strict=True))
    return {
        name.decode() if isinstance(name, bytes) else name: value for name, value in answer.items()
    }


def _message(entry_id: bytes, fields: list[bytes] | dict[bytes, bytes]) -> Message:
    if isinstance(fields, list):
        if len(fields) == 2 and fields[0] == _DATA:
            return Message(entry_id.decode(), fields[1])
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    body = fields.get(_DATA)
    return Message(entry_id.decode(), body, fields if body is None else None)


def _size(message: Message) -> int:
    if message.fields is None:
        return len(_DATA) + len(message.body or b"")
    return sum(map(len, message.fields)) + sum(map(len, message.fields.values()))


def _contradiction(census: _Census, position: str) -> str | None:
    """Return why these can't be the entries of which those up to the position were applied."""
    applied = as_numbers(position)
    if as_numbers(census.facts.last_id) < applied:
        return f"its newest id ever is {census.facts.last_id}, but {position} has been applied"
    # The entry at the position is there, or was deleted; trimming takes everything before it, too.
    if census.newest in (None, position) or as_numbers(census.facts.deleted_id) >= applied:
        return None
    return f"it has older messages, but never had the one at {position}, which has been applied"


def _rewound(key: str, why: str, upto: int) -> str:
    taken = f" Its {upto} messages up to there will then count as applied." if upto else ""
    return (
        f"Queue {key} holds less than PostgreSQL has applied: {why}; it was restored, failed over "
        "or recreated. Accept the queue as it is now (Param accept_rewound of the drain DAG) once "
        f"you know why.{taken}"
    )
