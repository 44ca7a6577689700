"""The wait for the queues of parent tables."""

from __future__ import annotations

import threading
import time

from batchdrain.drain import StopSignal
from batchdrain.engine.position import Position
from batchdrain.operators.parent_wait import wait_for_parents


def at(entry_id: str, held: bool = False) -> Position:
    return Position(entry_id, 0, 0, 0, held, None, None, None)


def waited(answers, parents=None, seconds=0.4, stop=None):
    """Wait for `q:p` to pass 10-5 with these answers, the last of them for ever."""
    told: list[str] = []
    remaining = list(answers)

    def read(queues):
        assert queues == list(parents or {"q:p": "10-5"})
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    started = time.monotonic()
    passed = wait_for_parents(
        parents or {"q:p": "10-5"},
        read,
        seconds=seconds,
        stop=stop or StopSignal(),
        note=told.append,
    )
    return passed, told, time.monotonic() - started


def test_a_queue_that_has_passed_is_not_awaited():
    assert waited([{"q:p": at("10-5")}])[:2] == (True, [])
    assert waited([{"q:p": at("11-0")}])[:2] == (True, [])


def test_the_wait_ends_when_the_position_has_passed():
    passed, told, _ = waited([{}, {"q:p": at("9-0")}, {"q:p": at("10-6")}])
    assert passed
    assert told == ["waiting for q:p: this table refers to theirs"]


def test_the_wait_is_bounded_when_nothing_moves():
    passed, told, seconds = waited([{"q:p": at("9-99")}])
    assert not passed
    assert told[-1] == "q:p made no progress for 0.4 s"
    assert seconds < 2


def test_progress_extends_the_wait():
    steps = [{"q:p": at(f"9-{n}")} for n in range(5)]
    passed, _, seconds = waited([*steps, {"q:p": at("10-5")}])
    assert passed
    assert seconds > 1.0


def test_a_held_queue_is_not_awaited():
    assert waited([{"q:p": at("1-0", held=True)}])[0]


def test_a_stop_ends_the_wait():
    stop = StopSignal()
    threading.Timer(0.1, stop.set).start()
    passed, _, seconds = waited([{}], seconds=30, stop=stop)
    assert not passed
    assert seconds < 2


def test_a_queue_whose_position_is_removed_meanwhile_is_awaited_as_one_without():
    passed, told, _ = waited([{"q:p": at("9-0")}, {}, {"q:p": at("10-5")}])
    assert passed
    assert not waited([{"q:p": at("9-0")}, {}])[0]
    assert told == ["waiting for q:p: this table refers to theirs"]
