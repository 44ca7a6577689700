"""Messages that an operator removes are gone for good, and nothing else is (SEMANTICS, §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batchdrain.drain import BatchReport, Ending
from batchdrain.drain.discard import discard
from batchdrain.engine.position import Ledger, create_state, hold, unhold
from batchdrain.engine.run import Run
from batchdrain.errors import ConfigurationError, QueueRewoundError
from batchdrain.queues.queue import Queue
from drain_lab import KEY, KINDS, Lab, Notes, insert

pytestmark = pytest.mark.parametrize("kind", KINDS)


class PowerCutError(Exception):
    """What a test breaks off with."""


def remove(lab: Lab, count: int, queue: Queue | None = None, owner: str = "operator") -> list[str]:
    """Remove messages as an operator does, and return what was told."""
    told: list[str] = []
    with psycopg.connect(lab.database, autocommit=True) as connection:
        create_state(connection)
        ledger = Ledger(KEY, owner, Run("control_queues", "r", "control"))
        assert discard(queue or lab.queue(), connection, ledger, count, told.append) == count
    return told


def payloads(lab: Lab) -> list[Any]:
    return lab.sql("SELECT payload FROM t ORDER BY id")


def test_the_oldest_go_and_the_others_are_applied(lab: Lab) -> None:
    lab.push(insert(n) for n in range(10))
    (told,) = remove(lab, 4)
    assert "4 messages removed" in told
    assert lab.standing().unread == 6
    outcome = lab.drain()
    assert (outcome.ending, outcome.applied, outcome.lost) == (Ending.EMPTY, 6, 0)
    assert payloads(lab) == [4, 5, 6, 7, 8, 9]


def test_between_drains_nothing_counts_as_lost(lab: Lab) -> None:
    lab.push(insert(n) for n in range(3))
    lab.drain()
    lab.push(insert(n) for n in range(3, 2503))
    remove(lab, 2400)
    lab.push([insert(9999)])
    outcome = lab.drain()
    assert (outcome.applied, outcome.lost, outcome.left) == (101, 0, 0)
    assert payloads(lab) == [*range(3), *range(2403, 2503), 9999]


def test_more_than_there_are_removes_nothing(lab: Lab) -> None:
    lab.push(insert(n) for n in range(3))
    with pytest.raises(ConfigurationError, match=f"{KEY} has 3 messages"):
        remove(lab, 4)
    assert lab.drain().applied == 3


@pytest.mark.parametrize("step", ["discard", "settle"])
def test_broken_off_anywhere_it_goes_on_where_it_stopped(
    lab: Lab, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.push(insert(n) for n in range(1500))
    queue = lab.queue()
    owner: Any = queue if step == "settle" else Ledger
    real: Callable[..., Any] = getattr(owner, step)
    calls = iter((False, True))

    def cut(*arguments: Any) -> Any:
        if next(calls):
            raise PowerCutError
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, cut)
        with pytest.raises(PowerCutError):
            remove(lab, 1400, queue)
    # The second part, of 400, is gone if PostgreSQL knows of it.
    gone = 1400 if step == "settle" else 1000
    outcome = lab.drain()
    assert (outcome.applied, outcome.lost, outcome.left) == (1500 - gone, 0, 0)
    assert payloads(lab) == list(range(gone, 1500))


def test_a_commit_whose_reply_is_lost_loses_and_revives_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed stays removed, and the next drain goes on behind it."""
    lab.push(insert(n) for n in range(10))
    commit: Callable[..., None] = Ledger.discard

    def unanswered(*arguments: Any) -> None:
        commit(*arguments)
        raise psycopg.OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "discard", unanswered)
        with pytest.raises(psycopg.OperationalError):
            remove(lab, 3)
    outcome = lab.drain()
    assert (outcome.applied, outcome.lost, outcome.left) == (7, 0, 0)
    assert payloads(lab) == list(range(3, 10))


def test_a_queue_that_went_back_is_left_as_it_is(lab: Lab) -> None:
    lab.push(insert(n) for n in range(3))
    lab.drain()
    lab.client.flushdb()
    lab.push([insert(7)])
    with pytest.raises(QueueRewoundError):
        remove(lab, 1)
    assert lab.standing().unread == 1


def test_a_drain_that_is_at_it_leaves_and_the_next_goes_on(lab: Lab) -> None:
    lab.push(insert(n) for n in range(500))

    def remove_once(report: BatchReport) -> None:
        remove(lab, 150)

    outcome = lab.drain(observer=Notes(remove_once))
    assert (outcome.ending, outcome.applied) == (Ending.HANDED_OVER, 100)
    assert lab.drain().applied == 250
    assert payloads(lab) == [*range(100), *range(250, 500)]


def test_a_queue_on_hold_keeps_its_messages_until_it_is_released(lab: Lab) -> None:
    """A drain that is at it ends with success at its next batch; later ones apply nothing."""
    lab.push(insert(n) for n in range(500))

    def hold_it(report: BatchReport) -> None:
        with psycopg.connect(lab.database, autocommit=True) as connection:
            assert hold(connection, KEY, lab.queue().baseline).held

    outcome = lab.drain(observer=Notes(hold_it))
    assert (outcome.ending, outcome.applied) == (Ending.HANDED_OVER, 100)
    assert "held by an operator" in outcome.sentence()
    assert lab.drain().ending is Ending.HELD
    assert lab.standing().unread == 400
    with psycopg.connect(lab.database, autocommit=True) as connection:
        unhold(connection, KEY)
    assert lab.drain().applied == 400
    lab.assert_all_applied_once(range(500))


def test_a_queue_can_be_held_before_it_was_ever_drained(lab: Lab) -> None:
    """What had left the stream before counts as before us, not as lost."""
    ids = lab.push(insert(n) for n in range(5))
    if ids:
        lab.client.xdel(KEY, *ids[:2])
    with psycopg.connect(lab.database, autocommit=True) as connection:
        create_state(connection)
        hold(connection, KEY, lab.queue().baseline)
        assert lab.drain().ending is Ending.HELD
        unhold(connection, KEY)
    outcome = lab.drain()
    assert (outcome.applied, outcome.lost) == (3 if ids else 5, 0)
