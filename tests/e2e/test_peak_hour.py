"""The schedule with real components: how long records wait, how long queues get, who starves.

The figures that the tests saw are shown at the end of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest

from fix_airflow import RunningAirflow
from steady_load import TABLE, SteadyLoad

Target = psycopg.Connection[Any]
Measured = Callable[[str], None]

_DAG = """
from batchdrain.dags.factory import build_drain_dag

dag = build_drain_dag({arguments})  # an Airflow DAG of one test
"""


@contextmanager
def scheduled(airflow: RunningAirflow, dag_id: str, **arguments: Any) -> Iterator[None]:
    """Serve a drain DAG with these arguments, and pause it in the end."""
    listed = {"dag_id": dag_id, "peak_window": "none", **arguments}
    text = ", ".join(f"{name}={value!r}" for name, value in listed.items())
    airflow.add_dag(dag_id, _DAG.format(arguments=text))
    try:
        yield
    finally:
        airflow.client.pause(dag_id, paused=True)
        for run in airflow.client.runs(dag_id):
            if run["state"] in ("running", "queued"):
                airflow.client.set_run_state(dag_id, run["dag_run_id"], "failed")


def load(airflow: RunningAirflow, target: Target, table: str, rate: float) -> SteadyLoad:
    """Return a producer for a new table."""
    target.execute(TABLE.format(table=table))
    return SteadyLoad(airflow.redis_url, airflow.target_url, table, rate)


def wait_for_first(target: Target, table: str, seconds: float = 60) -> None:
    """Return when the first records of a table are there: the schedule has begun."""
    deadline = time.monotonic() + seconds
    while target.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("cadence", [10, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_with_linger_records_are_there_within_a_moment_also_at_hand_over(
    airflow: RunningAirflow, demo_tables: Target, measured: Measured, cadence: int
) -> None:
    """500 records/s over at least five hand-overs: 95 % are committed within 1.5 s of XADD."""
    dag_id = f"lingering_{cadence}"
    producer = load(airflow, demo_tables, "events", 1)
    with scheduled(airflow, dag_id, tables="events", cadence=cadence, linger="always"):
        with producer:
            wait_for_first(demo_tables, "events", 2 * cadence + 30)
        producer.wait_until_applied(2 * cadence)
        demo_tables.execute("TRUNCATE events")
        steady = SteadyLoad(airflow.redis_url, airflow.target_url, "events", 500)
        with steady:
            time.sleep(5.5 * cadence)
        steady.wait_until_applied(2 * cadence)
    query = "SELECT count(DISTINCT run_id) FROM batchdrain.batch_log WHERE dag_id = %s"
    (runs,) = demo_tables.execute(query, (dag_id,)).fetchone() or (0,)
    latencies = steady.latencies()
    measured(
        f"linger, every {cadence} s, 500 records/s, {runs - 1} hand-overs: {latencies}; at most "
        f"{steady.deepest()} messages in the queue"
    )
    assert runs - 1 >= 5
    assert demo_tables.execute("SELECT count(*) FROM events").fetchone() == (steady.pushed,)
    assert latencies.p95 <= 1.5


def test_the_default_cadence_at_the_peak_keeps_the_queue_bounded_and_lets_people_in(
    airflow: RunningAirflow, demo_tables: Target, measured: Measured
) -> None:
    """2,000 records/s, every 15 s, no linger; a run started by hand starts within 5 s."""
    dag_id = "peak_load"
    window = "00:00-24:00"
    producer = load(airflow, demo_tables, "events", 2000)
    with scheduled(airflow, dag_id, tables="events", peak_window=window):
        with producer:
            wait_for_first(demo_tables, "events")
            time.sleep(40)
            asked = time.monotonic()
            run_id = airflow.client.trigger(dag_id)
            started = wait_for_start(airflow, dag_id, run_id) - asked
            time.sleep(10)
        producer.wait_until_applied(45)
    deepest = [producer.deepest(begin, begin + 20) for begin in (0.0, 20.0, 40.0)]
    measured(f"2,000 records/s, every 15 s, no linger: {producer.latencies()}")
    measured(f"  at most {deepest} messages in the queue, in portions of 20 s")
    measured(f"  a run by hand started after {started:.1f} s")
    assert max(deepest) <= 2000 * 2 * 15
    assert started <= 5


@pytest.mark.long
def test_a_locked_table_does_not_hold_up_another_queue(
    airflow: RunningAirflow, demo_tables: Target, measured: Measured
) -> None:
    """The other queue is drained no later than twice the cadence."""
    cadence = 15
    free = load(airflow, demo_tables, "free", 100)
    locked = load(airflow, demo_tables, "locked", 100)
    with (
        scheduled(airflow, "one_locked", tables="free, locked", cadence=cadence),
        psycopg.connect(airflow.target_url) as other,
    ):
        other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        locked.only_push()
        with free:
            time.sleep(5 * cadence)
        locked.stop()
        free.wait_until_applied(2 * cadence)
        other.rollback()
    measured(
        f"one table locked, every {cadence} s, 100 records/s for another: {free.latencies()}; at "
        f"most {free.deepest()} messages in its queue"
    )
    assert free.latencies().longest <= 2 * cadence


@pytest.mark.long
def test_with_twice_as_many_queues_as_slots_none_starves(
    airflow: RunningAirflow, demo_tables: Target, measured: Measured
) -> None:
    """Although both slots are allowed to linger."""
    cadence, dag_id = 10, "few_slots"
    airflow.client.request("POST", "/pools", {"name": dag_id, "slots": 2})
    tables = [f"events_{number}" for number in range(4)]
    producers = [load(airflow, demo_tables, table, 50) for table in tables]
    arguments = {"pool": dag_id, "linger": "always", "linger_slots": 2, "cadence": cadence}
    with scheduled(airflow, dag_id, tables=tables, **arguments):
        with ExitStack() as stack:
            for producer in producers:
                stack.enter_context(producer)
            time.sleep(6 * cadence)
        for producer in producers:
            producer.wait_until_applied(4 * cadence)
    measured(f"4 queues of 50 records/s, 2 slots that linger, every {cadence} s:")
    for producer in producers:
        measured(f"  {producer.latencies()}; at most {producer.deepest()} messages in the queue")
    assert max(producer.latencies().longest for producer in producers) <= 4 * cadence


def wait_for_start(airflow: RunningAirflow, dag_id: str, run_id: str) -> float:
    """Return when (by the clock of time.monotonic) the first task of a run had started."""
    deadline = time.monotonic() + 60
    while True:
        for task in airflow.client.task_instances(dag_id, run_id):
            if task["start_date"] is not None:
                begun = datetime.fromisoformat(task["start_date"]).timestamp()
                return time.monotonic() - (time.time() - begun)
        assert time.monotonic() < deadline
        time.sleep(0.1)
