"""What goes into the demo's queues, and what is still in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from redis import Redis

from batchdrain.demo.messages import Message

PREFIX = "batchdrain"
FIELD = b"data"
"""The field of a stream entry that holds the message."""
AT_A_TIME = 500
"""Messages per round trip."""


def push(
    redis: Redis,
    messages: Mapping[str, Sequence[Message]],
    on_pushed: Callable[[int], None] = lambda _: None,
) -> int:
    """Append each table's messages to its stream and return the number of records in them.

    `on_pushed` is told the number of records of each piece that has arrived.
    """
    pushed = 0
    for table, sent in messages.items():
        waiting = iter(sent)
        while piece := list(islice(waiting, AT_A_TIME)):
            pipeline = redis.pipeline(transaction=False)
            for message in piece:
                pipeline.xadd(f"{PREFIX}:{table}", {FIELD: message.body})
            pipeline.execute()
            records = sum(message.records for message in piece)
            on_pushed(records)
            pushed += records
    return pushed


def left(redis: Redis) -> int:
    """Return how many messages Redis still holds, in whatever key."""
    sizes: dict[bytes, Callable[[bytes], int]] = {b"stream": redis.xlen, b"list": redis.llen}
    keys: Iterable[bytes] = redis.scan_iter(count=1000)
    return sum(sizes[kind](key) for key in keys if (kind := redis.type(key)) in sizes)
