"""Queues that are Redis lists."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import redis

from batchdrain.errors import HandedOverError, QueueRewoundError, TransientError
from batchdrain.queues import list_scripts as scripts
from batchdrain.queues.blocking import longest_block
from batchdrain.queues.chunks import ChunkSize
from batchdrain.queues.failures import translated
from batchdrain.queues.list_keys import ListFacts, ListKeys, number_of
from batchdrain.queues.list_standing import standing_of
from batchdrain.queues.message_ids import as_numbers
from batchdrain.queues.queue import MAX_CLAIM_BYTES, Message, Standing

_PER_SCRIPT = 2_000
"""The most elements that one script moves; Redis serves nobody else meanwhile."""

_LISTS_PER_SCRIPT = 1_000
_MOST_NUMBERS = 10_000
"""How many numbers of in-flight lists are gone through; a drain leaves two lists, rarely more. With
more numbers the lists are searched for: a position from another time may be far from the counter,
and that of a stream, whose numbers are milliseconds, is as soon as the key becomes a list."""

_KEYS_PER_STEP = 1_000
_LOOKS = 10


class ListQueue:
    """A Redis list as a queue; a key that doesn't exist is an empty one.

    Elements have no ids, so claiming gives them some: one script counts `{<key>}:seq` up to n and
    moves elements to the list `{<key>}:inflight:<n>`. The id `n-m` is the m-th element there, from
    1. What is at or below the position is removed when it is settled, whole in-flight lists at a
    time; what is behind it is claimed again, by whoever claims next, before anything new. Numbers
    at or below the position are never given out twice.

    Unlike reading a stream, claiming moves messages. So a drain has to take the queue, and claims,
    settles, gives back and accepts only until another one does.

    Producers append with RPUSH, or with LPUSH where `left_push` says so. Methods raise
    TransientError when Redis is away, HandedOverError when another drain has taken the queue,
    ConfigurationError when login, rights or the key's type are wrong, and SystemicError for
    anything else Redis refuses.
    """

    kind = "list"

    def __init__(
        self,
        client: redis.Redis,
        key: str,
        *,
        max_bytes: int = MAX_CLAIM_BYTES,
        left_push: bool = False,
    ) -> None:
        self._client = client
        self._keys = ListKeys(key)
        self._max_bytes = max_bytes
        self._oldest_end = "RIGHT" if left_push else "LEFT"
        self._chunk = ChunkSize()
        self._owner = ""

    @property
    def key(self) -> str:
        """The queue's key in Redis."""
        return self._keys.queue

    def depth(self) -> int:
        """How many messages Redis holds for this queue, in flight or not, until they are settled.

        An in-flight list is settled as a whole, so it counts as long as a part of it is unapplied.
        """
        with self._errors():
            return self._look().depth

    def baseline(self) -> int:
        """Return 0: nobody counts what has left a list."""
        return 0

    def standing(self, position: str, accounted: int) -> Standing:
        """Compare Redis with the position; `accounted` doesn't matter, for nobody counts elements.

        A list that is missing with its counter has nothing to consume, so it is no reason to stop.
        """
        del accounted
        with self._errors():
            return standing_of(self.key, self._look(as_numbers(position)[0]), position)

    def accepted(self, position: str) -> tuple[str, int]:
        """Take the queue as it is: go on from `position`, with all that is behind it as new.

        What is in flight behind the position goes back to the list, and the counter to the
        position's number, be it from above or from below.
        """
        with self._errors():
            self._give_back(position, accept=True)
        return position, 0

    def accepted_from(self, position: str) -> str:
        """Return `position`, from which an accepted queue goes on."""
        return position

    def take(self, owner: str) -> None:
        """Let only the drain with this token claim, settle, give back and accept from now on."""
        self._owner = owner
        with self._errors():
            self._run(scripts.TAKE, [self._keys.owner], [owner])

    def claim(self, limit: int, after: str) -> Sequence[Message]:
        """Claim at most `limit` messages behind the position `after`, oldest first.

        Stops early when the messages' bytes reach the queue's `max_bytes`. Raises
        QueueRewoundError if counter and in-flight lists don't follow the position.
        """
        messages: list[Message] = []
        room = self._max_bytes
        with self._errors():
            while len(messages) < limit and room > 0:
                wanted = min(limit - len(messages), _PER_SCRIPT)
                known, claimed = self._claim(wanted, room, after)
                messages.extend(claimed)
                if not claimed or not (known or len(claimed) == wanted):
                    break
                room -= sum(len(message.body or b"") for message in claimed)
                after = claimed[-1].id
        return messages

    def peek(self, limit: int, after: str) -> Sequence[Message]:
        """Show at most `limit` messages behind the position `after`, oldest first.

        Those in flight come first; the others have no ids yet. Stops early when the messages' bytes
        reach the queue's `max_bytes`.
        """
        with self._errors():
            for _ in range(_LOOKS):
                facts = self._look(as_numbers(after)[0])
                messages = self._behind(after, facts, limit)
                # Elements that were claimed meanwhile may be missing from what was read.
                if self._numbers()[0] == facts.counter:
                    return messages
        raise TransientError(f"{self.key} is claimed faster than it can be read; try again")

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        """Remove the in-flight lists of applied messages; `upto` is the committed position.

        Returns how many messages were removed: none for a list of which a part is not applied yet,
        all of its messages once that is done.
        """
        if not ids:
            return 0
        with self._errors():
            return self._settle(as_numbers(ids[0])[0], as_numbers(ids[-1])[0], upto)

    def settle_leftovers(self, position: str) -> int:
        """Remove what an earlier drain applied but did not settle; return how many.

        Only for a queue whose standing is not rewound: everything at or below the position counts
        as applied.
        """
        number, _ = as_numbers(position)
        with self._errors():
            _, settled = self._numbers()
            oldest = (settled or 0) + 1
            if number - oldest < _MOST_NUMBERS:
                return self._settle(oldest, number, position)
            older = [n for n in self._look(number).in_flight if n < number]
            removed = sum(self._settle(n, n, position) for n in older)
            return removed + self._settle(number, number, position, nothing_older=True)

    def give_back(self, position: str) -> None:
        """Put what is in flight behind `position` back to the oldest end of the list, in order.

        The position must be the committed one, and nothing may be claimed meanwhile.
        """
        with self._errors():
            self._give_back(position, accept=False)

    def wait(self, after: str, seconds: float) -> bool:
        """Block until a message behind `after` is there, at most `seconds`; tell whether one is."""
        deadline = time.monotonic() + seconds
        with self._errors():
            facts = self._look(as_numbers(after)[0])
            if standing_of(self.key, facts, after).unread:
                return True
            while (left := deadline - time.monotonic()) > 0:
                # From the oldest end to the oldest end: Redis waits for an element, and the
                # order stays as it is.
                block: Any = max(0.001, min(left, longest_block(self._client)))
                end = self._oldest_end
                if self._client.blmove(self.key, self.key, block, end, end) is not None:
                    return True
            return False

    def _errors(self) -> AbstractContextManager[None]:
        return translated(self._client, self.key)

    def _run(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> Any:
        return self._client.eval(script, len(keys), *keys, *map(str, values))

    def _behind(self, after: str, facts: ListFacts, limit: int) -> list[Message]:
        """Read what is behind a position: first what is in flight, then what nobody has claimed."""
        number, place = as_numbers(after)
        messages: list[Message] = []
        room = self._max_bytes
        for n in sorted(n for n in facts.in_flight if n >= number):
            begin = place if n == number else 0
            bodies = self._elements(self._keys.in_flight(n), begin, limit - len(messages), room)
            room -= sum(map(len, bodies))
            messages += [Message(f"{n}-{m}", body) for m, body in enumerate(bodies, begin + 1)]
        left, from_right = limit - len(messages), self._oldest_end == "RIGHT"
        waiting = self._elements(self.key, 0, left, room, from_right=from_right)
        return [*messages, *(Message("", body) for body in waiting)]

    def _elements(
        self, key: str, begin: int, count: int, room: int, *, from_right: bool = False
    ) -> list[bytes]:
        """Read at most `count` elements from place `begin` on, until they fill `room` bytes."""
        elements: list[bytes] = []
        while len(elements) < count and room > 0:
            wanted = min(count - len(elements), self._chunk.most(room))
            first, last = begin + len(elements), begin + len(elements) + wanted - 1
            if from_right:
                first, last = -last - 1, -first - 1
            answer: Any = self._client.lrange(key, first, last)
            sizes = [len(element) for element in answer]
            self._chunk.learn(sizes)
            room -= sum(sizes)
            elements += reversed(answer) if from_right else answer
            if len(answer) < wanted:
                break
        return elements

    def _numbers(self) -> tuple[int | None, int | None]:
        """Return the counter, and up to which number everything is settled."""
        answer: Any = self._client.mget(self._keys.counter, self._keys.settled)
        counter, settled = map(number_of, answer)
        return counter, settled

    def _look(self, number: int | None = None) -> ListFacts:
        """Return what is there, in one step, with the in-flight list `number` and later ones.

        Looks beyond the counter, too, where nothing should be in flight.
        """
        counter, settled = self._numbers()
        last = max(counter or 0, number or 0) + 1
        oldest = min((settled or 0) + 1, last if number is None else number)
        for attempt in range(_LOOKS):
            numbers = self._candidates(oldest, last)
            with self._client.pipeline(transaction=True) as transaction:
                transaction.get(self._keys.counter)
                transaction.llen(self.key)
                for n in numbers:
                    transaction.llen(self._keys.in_flight(n))
                answer, length, *held = transaction.execute()
            counter = number_of(answer)
            if held[-1]:
                last = max(last, counter or 0) + 2**attempt
            elif (counter or 0) >= last:
                last = (counter or 0) + 1
            else:
                in_flight = {n: many for n, many in zip(numbers, held, strict=True) if many}
                return ListFacts(length, counter, in_flight)
        raise TransientError(f"{self.key} is claimed faster than it can be counted; try again")

    def _candidates(self, oldest: int, last: int) -> Sequence[int]:
        """Return the numbers, ascending, of lists that may be in flight; `last` is one of them."""
        if last - oldest < _MOST_NUMBERS:
            return range(oldest, last + 1)
        pattern = self._keys.all_in_flight
        keys = self._client.scan_iter(match=pattern, count=_KEYS_PER_STEP, _type="LIST")
        found = {self._keys.number_in(key) for key in keys}
        return [*sorted(n for n in found if n is not None and oldest <= n < last), last]

    def _claim(self, limit: int, room: int, after: str) -> tuple[bool, list[Message]]:
        """Claim by one script; tell whether it was in flight already, so that more may follow."""
        number, place = as_numbers(after)
        keys = self._keys
        what, *answer = self._run(
            scripts.CLAIM,
            [keys.queue, keys.counter, keys.owner, *map(keys.in_flight, (number, number + 1))],
            [self._owner, number, place, limit, room, self._oldest_end],
        )
        if what == b"taken":
            raise self._taken()
        if what == b"apart":
            raise self._rewound(after)
        number, before, bodies = answer
        claimed = [
            Message(f"{number}-{n}", body) for n, body in enumerate(bodies, start=before + 1)
        ]
        return what == b"in flight", claimed

    def _settle(self, first: int, last: int, upto: str, *, nothing_older: bool = False) -> int:
        number, place = as_numbers(upto)
        removed = 0
        for begin in range(max(1, first), last + 1, _LISTS_PER_SCRIPT):
            numbers = range(begin, min(begin + _LISTS_PER_SCRIPT, last + 1))
            keys = [self._keys.owner, self._keys.settled, *map(self._keys.in_flight, numbers)]
            removed += self._done(
                self._run(
                    scripts.SETTLE,
                    keys,
                    [self._owner, begin, number, place, int(nothing_older)],
                )
            )
        return removed

    def _give_back(self, position: str, *, accept: bool) -> None:
        number, place = as_numbers(position)
        keys = self._keys
        for _ in range(_LOOKS):
            facts = self._look(number)
            counter = "" if facts.counter is None else facts.counter
            behind = [n for n in facts.in_flight if n > number and (accept or n <= facts.newest)]
            moved = self._run(
                scripts.GIVE_BACK,
                [
                    *(keys.queue, keys.counter, keys.owner, keys.settled),
                    *map(keys.in_flight, (number, *behind)),
                ],
                [self._owner, counter, number, place, self._oldest_end, int(accept)],
            )
            if moved != scripts.MOVED_ON:
                self._done(moved)
                return
        raise TransientError(f"{self.key} is claimed while it is to be given back; try again")

    def _done(self, answer: int) -> int:
        if answer == scripts.TAKEN:
            raise self._taken()
        return answer

    def _taken(self) -> HandedOverError:
        return HandedOverError(f"queue {self.key} was taken by another drain")

    def _rewound(self, after: str) -> QueueRewoundError | TransientError:
        """Say why there is nothing to claim behind a position although it can't be the end."""
        why = standing_of(self.key, self._look(as_numbers(after)[0]), after).rewound
        if why is None:
            return TransientError(f"the in-flight lists of {self.key} have changed; try again")
        return QueueRewoundError(why)
