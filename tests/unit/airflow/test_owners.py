"""Which queues are left to the runs that work on them."""

from __future__ import annotations

import pytest

from batchdrain.engine.position import Position
from batchdrain.engine.run import Run
from batchdrain.operators.owners import leave_out

OTHER = Run("drain_tables", "manual__2025-01-01T00:00:00+00:00", "drain", 2, 3)


def position(run: Run | None, *, idle: float | None = 1.0, held: bool = False, owner="token"):
    return Position("1-0", 1, 0, 0, held, owner, run.label if run else None, idle)


def answering(state: str):
    """Return a stand-in for Airflow that knows the state of one mapped drain."""

    def states(dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        assert (dag_id, run_id, task_id) == (OTHER.dag_id, OTHER.run_id, OTHER.task_id)
        return {"drain_2": "failed", "drain_3": state}

    return states


@pytest.mark.parametrize(
    ("state", "idle", "owner", "reason"),
    [
        ("running", 1.0, "token", "is draining it"),
        ("running", 60.0, "token", None),
        ("running", None, "token", None),
        ("running", 1.0, None, None),
        ("up_for_retry", 60.0, "token", "will try it again"),
        ("queued", 60.0, "token", "will try it again"),
        ("failed", 1.0, "token", None),
        ("success", 1.0, "token", None),
    ],
)
def test_a_queue_is_left_to_an_owner_that_works_or_waits_for_its_retry(state, idle, owner, reason):
    left = leave_out(position(OTHER, idle=idle, owner=owner), "own_run", answering(state))
    assert (left is None) if reason is None else (reason in left.reason and left.awaited)


def test_a_held_queue_is_left_out_and_not_awaited():
    held = position(None, held=True)
    left = leave_out(held, "own_run", answering("failed"))
    assert "held" in left.reason
    assert not left.awaited


def test_the_own_run_and_drains_outside_airflow_are_not_asked_for():
    def states(*_: str) -> dict[str, str]:
        raise AssertionError

    assert leave_out(position(OTHER), OTHER.run_id, states) is None
    assert leave_out(position(Run()), "own_run", states) is None
    assert leave_out(position(None), "own_run", states) is None
