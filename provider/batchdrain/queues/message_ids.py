"""The ids of messages, which are the positions of queues."""

from __future__ import annotations


def as_numbers(message_id: str) -> tuple[int, int]:
    """Return an id as two numbers, which compare as the messages follow one another.

    A stream entry's id is `milliseconds-number`, a list element's `in-flight list-place in it`.
    """
    first, _, second = message_id.partition("-")
    return int(first), int(second or 0)
