"""What in-flight lists and counter tell of a list queue, without a server."""

from __future__ import annotations

import pytest

from batchdrain.queues.list_keys import ListFacts, number_of, queue_of
from batchdrain.queues.list_standing import standing_of
from batchdrain.queues.queue import START, Standing

KEY = "batchdrain:t"


@pytest.mark.parametrize(
    ("length", "counter", "in_flight", "position", "expected"),
    [
        (0, None, {}, START, Standing(0, 0, 0)),
        (5, None, {}, START, Standing(5, 0, 0)),
        (0, None, {}, "7-3", Standing(0, 0, 0)),
        (0, 7, {}, "7-3", Standing(0, 0, 0)),
        (5, 7, {7: 9}, "7-3", Standing(11, 3, 0)),
        (5, 9, {4: 2, 7: 3, 8: 1, 9: 1}, "7-3", Standing(7, 5, 0)),
        (0, 1, {1: 4}, START, Standing(4, 0, 0)),
    ],
)
def test_messages_are_unread_or_unsettled(
    length: int, counter: int | None, in_flight: dict[int, int], position: str, expected: Standing
) -> None:
    assert standing_of(KEY, ListFacts(length, counter, in_flight), position) == expected


@pytest.mark.parametrize(
    ("length", "counter", "in_flight", "position"),
    [
        (5, None, {}, "7-3"),
        (0, None, {8: 1}, "7-3"),
        (0, 6, {}, "7-3"),
        (0, 8, {}, "7-3"),
        (0, 9, {9: 1}, "7-3"),
        (0, 7, {7: 2}, "7-3"),
        (0, 7, {8: 1}, "7-3"),
        (0, 3, {1: 1, 3: 1}, START),
    ],
)
def test_every_contradiction_is_a_rewind(
    length: int, counter: int | None, in_flight: dict[int, int], position: str
) -> None:
    standing = standing_of(KEY, ListFacts(length, counter, in_flight), position)
    assert standing.lost == 0
    assert standing.rewound is not None
    assert "accept_rewound" in standing.rewound
    assert standing.unread + standing.unsettled == length + sum(in_flight.values())


def test_a_counter_s_key_leads_to_the_queue() -> None:
    assert queue_of(b"{batchdrain:s.t:3}:seq") == b"batchdrain:s.t:3"


@pytest.mark.parametrize(("value", "number"), [(b"12", 12), (None, None), (b"x", None)])
def test_a_counter_that_is_no_number_is_none(value: bytes | None, number: int | None) -> None:
    assert number_of(value) == number
