"""Several drains on one queue: the newest owns it, and a zombie can't write."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from batchdrain.drain import BatchReport, DrainLimits, DrainOutcome, Ending
from batchdrain.errors import BrakeError, SystemicError
from drain_lab import QUICK, Lab, Notes, insert

pytestmark = pytest.mark.parametrize("kind", ["stream", "list"])

FEW = DrainLimits(batch_records=100, max_records=100)


def test_the_newest_drain_owns_the_queue_and_the_older_ends_with_success(lab: Lab) -> None:
    """It says who took over, and what it had claimed by then is applied by that one."""
    lab.push(map(insert, range(500)))

    def start_another(report: BatchReport) -> None:
        lab.drain(lab.engine(name="newer"), limits=FEW)

    outcome = lab.drain(lab.engine(name="older"), observer=Notes(start_another))
    assert outcome.ending is Ending.HANDED_OVER
    assert "handed over to dag newer drain" in outcome.sentence()
    assert (outcome.applied, outcome.left) == (100, 300)
    assert lab.drain().applied == 300
    lab.assert_all_applied_once(range(500))


def test_a_drain_that_ends_leaves_the_queue_to_its_new_owner(lab: Lab) -> None:
    """Giving back is for the owner only."""
    lab.push(map(insert, range(100)))
    newer = lab.engine(name="newer")

    def take_over(report: BatchReport) -> None:
        newer.take_over(lambda: 0)

    assert lab.drain(lab.engine(name="older"), observer=Notes(take_over)).ending is Ending.EMPTY
    newer.close()
    assert lab.position().owner is not None
    lab.drain()
    assert lab.position().owner is None


def test_a_drain_that_fails_gives_the_queue_back(lab: Lab) -> None:
    """Whoever looks at the queue sees that nobody drains it; who had it last stays known."""
    lab.push(insert("many") for _ in range(1000))
    with pytest.raises(BrakeError, match="would be refused"):
        lab.drain(limits=DrainLimits(batch_records=1000))
    assert lab.position().owner is None
    assert "first" in (lab.position().owner_run or "")
    assert lab.drain(limits=DrainLimits(max_refused_share=1.0)).refused == 1000


def test_a_failed_drain_takes_nothing_from_its_new_owner(lab: Lab) -> None:
    lab.push(map(insert, range(100)))
    newer = lab.engine(name="newer")

    def take_over_and_fail(report: BatchReport) -> None:
        newer.take_over(lambda: 0)
        raise SystemicError("the first reason")

    with pytest.raises(SystemicError, match="the first reason"):
        lab.drain(lab.engine(name="older"), observer=Notes(take_over_and_fail))
    newer.close()
    assert lab.position().owner is not None
    assert "newer" in (lab.position().owner_run or "")


def test_a_queue_that_cannot_be_given_back_does_not_hide_why_the_drain_failed(lab: Lab) -> None:
    """Another transaction has its row; nobody waits for that one for long."""
    lab.push(map(insert, range(100)))
    with psycopg.connect(lab.database) as other:

        def lock_and_fail(report: BatchReport) -> None:
            other.execute("SELECT FROM batchdrain.position FOR UPDATE")
            raise SystemicError("the first reason")

        notes = Notes(lock_and_fail)
        started = time.monotonic()
        with pytest.raises(SystemicError, match="the first reason"):
            lab.drain(observer=notes)
        assert time.monotonic() - started < 10
    assert "could not be given back" in notes.sentences[-1]


def test_what_is_no_error_of_ours_leaves_at_once(lab: Lab) -> None:
    """As Airflow's time-out does: the next drain takes the queue all the same."""
    lab.push(map(insert, range(100)))

    def time_out(report: BatchReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.drain(observer=Notes(time_out))
    assert lab.position().owner is not None
    lab.drain()
    lab.assert_all_applied_once(range(100))


def test_drains_that_all_start_at_once_share_nothing(lab: Lab) -> None:
    """One of them is the newest; together they apply each message once."""
    lab.push(map(insert, range(1000)))
    limits = DrainLimits(batch_records=20, first_pause=0.01)
    start = threading.Barrier(4)

    def run(number: int) -> DrainOutcome:
        start.wait()
        time.sleep(number * 0.05)
        return lab.drain(lab.engine(name=f"run{number}"), limits=limits)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(run, range(4)))
    assert {outcome.ending for outcome in outcomes} <= {Ending.EMPTY, Ending.HANDED_OVER}
    assert sum(outcome.applied for outcome in outcomes) == 1000
    lab.assert_all_applied_once(range(1000))


def test_a_zombie_frozen_in_its_transaction_cannot_commit_it(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """PostgreSQL ends its transaction after a while, and the position has a new owner then."""
    lab.push(map(insert, range(250)))
    zombie = child(lab.database, lab.redis_url, "before commit", 1)
    assert zombie.says() == "paused"
    zombie.signal(signal.SIGSTOP)
    outcome = lab.drain(lab.engine(name="newer"))
    assert (outcome.ending, outcome.applied) == (Ending.EMPTY, 150)
    lab.push(map(insert, range(250, 350)))
    zombie.signal(signal.SIGCONT)
    zombie.go_on()
    assert zombie.says() == "handed over"
    assert lab.depth() == 100
    lab.drain(limits=QUICK)
    lab.assert_all_applied_once(range(350))


def test_a_zombie_frozen_with_messages_in_hand_cannot_apply_them(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """What it had read was applied by another drain, which is long gone."""
    lab.push(map(insert, range(250)))
    zombie = child(lab.database, lab.redis_url, "after claim", 0)
    assert zombie.says() == "paused"
    zombie.signal(signal.SIGSTOP)
    assert lab.drain(lab.engine(name="newer")).applied == 250
    zombie.signal(signal.SIGCONT)
    zombie.go_on()
    assert zombie.says() == "handed over"
    lab.assert_all_applied_once(range(250))


def test_a_zombie_frozen_before_settling_removes_only_what_it_applied(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """Messages that came in the meantime stay."""
    lab.push(map(insert, range(100)))
    zombie = child(lab.database, lab.redis_url, "before settle", 0)
    assert zombie.says() == "paused"
    wait_for_rows(lab, 100)
    zombie.signal(signal.SIGSTOP)
    lab.push(map(insert, range(100, 250)))
    assert lab.drain(lab.engine(name="newer"), limits=FEW).applied == 100
    zombie.signal(signal.SIGCONT)
    zombie.go_on()
    assert zombie.says() == "handed over"
    assert lab.depth() == 50
    lab.drain()
    lab.assert_all_applied_once(range(250))


def wait_for_rows(lab: Lab, rows: int) -> None:
    while len(lab.payloads()) < rows:
        time.sleep(0.02)
