"""A lingering drain sees that others wait for its slot."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from batchdrain.operators import slot_watch
from batchdrain.operators.slot_watch import LOOKS, SlotWatch


class Airflow:
    """Stands in for the task instance; answers what it is told to."""

    dag_id, task_id = "dag", "drain"

    def __init__(self) -> None:
        self.asked = 0
        self.waiting = 0
        self.away = False

    def get_ti_count(self, *, dag_id: str, task_ids: list[str], states: list[str]) -> int:
        self.asked += 1
        assert (dag_id, task_ids, set(states)) == ("dag", ["drain"], {"scheduled", "queued"})
        if self.away:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        return self.waiting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the only element of a list."""
    now = [100.0]
    monkeypatch.setattr("batchdrain.operators.slot_watch.time.monotonic", lambda: now[0])
    return now


def looks(watch: SlotWatch, clock: list[float], times: int) -> list[bool]:
    seen = []
    for _ in range(times):
        clock[0] += slot_watch.LOOK_SECONDS
        seen.append(watch.somebody_waits())
    return seen


def test_drains_that_go_on_waiting_are_noticed(clock: list[float]):
    """Every drain waits a moment before it starts: only several looks in a row count."""
    airflow: Any = Airflow()
    watch = SlotWatch(airflow)
    airflow.waiting = 1
    assert looks(watch, clock, LOOKS) == [*[False] * (LOOKS - 1), True]
    airflow.waiting = 0
    assert looks(watch, clock, 1) == [False]
    airflow.waiting = 1
    assert not any(looks(watch, clock, LOOKS - 1))


def test_airflow_is_not_asked_more_often_than_every_two_seconds(clock: list[float]):
    airflow: Any = Airflow()
    watch = SlotWatch(airflow)
    for _ in range(10):
        watch.somebody_waits()
    assert airflow.asked == 1


def test_an_api_server_that_is_away_is_no_reason_to_leave(clock: list[float]):
    airflow: Any = Airflow()
    airflow.away = True
    assert not any(looks(SlotWatch(airflow), clock, 2 * LOOKS))
