"""A drain that stays on its empty queue: it applies what comes, and leaves without a gap."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from batchdrain.drain import DrainLimits, DrainOutcome, Ending, Linger, StopSignal
from batchdrain.engine.position import hold
from drain_lab import KEY, QUICK, Lab, Notes, insert

pytestmark = pytest.mark.parametrize("kind", ["stream", "list", "left list"])

LONG = Linger(60.0)


def start(pool: ThreadPoolExecutor, lab: Lab, name: str, **options: object) -> Future[DrainOutcome]:
    """Start a drain that lingers, unless told otherwise for a minute."""
    options.setdefault("linger", LONG)
    return pool.submit(lab.drain, lab.engine(name=name), **options)


def wait_for_rows(lab: Lab, rows: int) -> None:
    deadline = time.monotonic() + 20
    while len(lab.payloads()) < rows:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_applies_what_comes_and_leaves_when_its_time_is_over(lab: Lab) -> None:
    """What comes in small portions gathers, so that there are few transactions."""
    lab.push(map(insert, range(250)))
    notes = Notes()
    with ThreadPoolExecutor() as pool:
        drained = start(pool, lab, "lingering", linger=Linger(3.0), observer=notes)
        wait_for_rows(lab, 250)
        for number in range(250, 350):
            lab.push([insert(number)])
            time.sleep(0.01)
        outcome = drained.result()
    assert outcome.ending is Ending.EMPTY
    assert "after lingering for 3 s" in outcome.sentence()
    assert 3 <= outcome.seconds < 6
    assert 4 <= len(notes.batches) <= 8
    lab.assert_all_applied_once(range(350))


def test_a_newer_drain_takes_over_within_a_moment_although_nothing_comes(lab: Lab) -> None:
    lab.push([insert(1)])
    with ThreadPoolExecutor() as pool:
        older = start(pool, lab, "older")
        wait_for_rows(lab, 1)
        lab.drain(lab.engine(name="newer"))
        outcome = older.result(timeout=5)
    assert outcome.ending is Ending.HANDED_OVER
    lab.assert_all_applied_once([1])


def test_hand_over_after_hand_over_applies_each_message_once_and_soon(lab: Lab) -> None:
    """Each drain lingers until the next one takes the queue while messages keep coming."""
    over = threading.Event()
    pushed: list[int] = []

    def produce() -> None:
        while not over.is_set():
            numbers = range(len(pushed), len(pushed) + 5)
            lab.push(map(insert, numbers))
            pushed.extend(numbers)
            time.sleep(0.01)

    with ThreadPoolExecutor() as pool:
        producing = pool.submit(produce)
        drains = []
        for number in range(6):
            drains.append(start(pool, lab, f"run{number}", linger=Linger(4.0)))
            time.sleep(0.7)
        over.set()
        producing.result()
        endings = [drained.result().ending for drained in drains]
    assert endings == [*[Ending.HANDED_OVER] * 5, Ending.EMPTY]
    lab.assert_all_applied_once(pushed)


def test_a_full_batch_is_followed_by_the_next_without_a_pause(lab: Lab) -> None:
    """A burst while it lingers is drained at full speed: 40 batches take no 40 pauses."""
    with ThreadPoolExecutor() as pool:
        drained = start(pool, lab, "lingering", linger=Linger(5.0))
        lab.push([insert(0)])
        wait_for_rows(lab, 1)
        lab.push(map(insert, range(1, 4001)))
        began = time.monotonic()
        wait_for_rows(lab, 4001)
        assert time.monotonic() - began < 10
        drained.result()
    lab.assert_all_applied_once(range(4001))


def test_it_makes_way_for_those_who_wait_for_its_place(lab: Lab) -> None:
    waiting = iter([False, False, True])
    outcome = lab.drain(linger=Linger(60.0, lambda: next(waiting)))
    assert outcome.ending is Ending.EMPTY
    assert "other drains wait for a slot" in outcome.sentence()
    assert lab.position().owner is None


@pytest.mark.parametrize("how", ["stop", "hold", "limit"])
def test_it_leaves_when_somebody_wants_it_to(lab: Lab, how: str) -> None:
    """An operator stops or holds it, or its own limit of seconds is reached."""
    lab.push([insert(1)])
    stop = StopSignal()
    limits = DrainLimits(max_seconds=1.5) if how == "limit" else QUICK
    with ThreadPoolExecutor() as pool:
        drained = start(pool, lab, "lingering", stop=stop, limits=limits)
        wait_for_rows(lab, 1)
        if how == "stop":
            stop.set()
        elif how == "hold":
            with psycopg.connect(lab.database) as connection:
                hold(connection, KEY, lambda: 0)
        outcome = drained.result(timeout=5)
    endings = {"stop": Ending.STOPPED, "hold": Ending.HANDED_OVER, "limit": Ending.MAX_SECONDS}
    assert outcome.ending is endings[how]
    assert outcome.left == 0
    lab.assert_all_applied_once([1])
