"""What only Airflow's real components show: pools, slots, and tasks stopped from outside."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest
from redis import Redis

from fix_airflow import RunningAirflow

Target = psycopg.Connection[Any]

_DAG = """
from batchdrain.dags.factory import build_drain_dag

dag = build_drain_dag({arguments})  # an Airflow DAG of one test
"""


def serve(airflow: RunningAirflow, dag_id: str, **arguments: Any) -> None:
    """Serve a drain DAG made with these arguments."""
    listed = {"dag_id": dag_id, "schedule": None, **arguments}
    text = ", ".join(f"{name}={value!r}" for name, value in listed.items())
    airflow.add_dag(dag_id, _DAG.format(arguments=text))


def push(airflow: RunningAirflow, table: str, *records: dict[str, Any]) -> None:
    """Append a message for each record to the table's stream."""
    with Redis.from_url(airflow.redis_url) as redis:
        for record in records:
            message = {"operation": "INSERT", "client_id": "JFK", "ver": "1", "record": record}
            redis.xadd(f"batchdrain:{table}", {"data": json.dumps(message)})


def states(airflow: RunningAirflow, dag_id: str, run_id: str) -> dict[str, str | None]:
    """Return the states of a run's tasks, by id and map index."""
    return {
        task["task_id"]
        if task["map_index"] < 0
        else f"{task['task_id']}[{task['map_index']}]": task["state"]
        for task in airflow.client.task_instances(dag_id, run_id)
    }


def wait_for_state(
    airflow: RunningAirflow, dag_id: str, run_id: str, task: str, state: str, seconds: float = 30
) -> None:
    """Return when a task of a run has reached the state."""
    deadline = time.monotonic() + seconds
    while (found := states(airflow, dag_id, run_id)).get(task) != state:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_a_pool_that_does_not_exist_is_told_and_costs_nothing(
    airflow: RunningAirflow, demo_tables: Target
) -> None:
    """Airflow leaves the drains scheduled, silently; the run itself and the next one say why."""
    dag_id = "drain_in_missing_pool"
    demo_tables.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    push(airflow, "things", {"id": 1})
    serve(airflow, dag_id, pool="pool_of_test", tables="things")
    first = airflow.client.trigger(dag_id)
    wait_for_state(airflow, dag_id, first, "drain[0]", "scheduled")
    wait_for_state(airflow, dag_id, first, "watch_pool", "failed", seconds=60)
    log = airflow.client.task_log(dag_id, first, "watch_pool")
    assert "1 drains wait for a slot of the pool 'pool_of_test' and none runs" in log
    second = airflow.client.trigger(dag_id)
    assert airflow.client.wait_for_run(dag_id, second, 60)["state"] == "failed"
    log = airflow.client.task_log(dag_id, second, "list_queues")
    assert "drains wait for a slot of the pool 'pool_of_test' and none runs" in log
    assert demo_tables.execute("SELECT count(*) FROM things").fetchone() == (0,)
    airflow.client.request("POST", "/pools", {"name": "pool_of_test", "slots": 1})
    airflow.client.wait_for_run(dag_id, first, 60)
    assert states(airflow, dag_id, first)["drain[0]"] == "success"
    assert demo_tables.execute("SELECT count(*) FROM things").fetchone() == (1,)
    third = airflow.client.trigger(dag_id)
    assert airflow.client.wait_for_run(dag_id, third, 60)["state"] == "success"


@pytest.mark.parametrize("slots", [1, 2])
def test_parents_come_before_their_children_with_one_slot_and_with_two(
    airflow: RunningAirflow, demo_tables: Target, slots: int
) -> None:
    """The child is named first and has the lower queue; yet none of its rows is refused."""
    dag_id = f"drain_with_{slots}_slots"
    demo_tables.execute("CREATE TABLE parents (id integer PRIMARY KEY)")
    demo_tables.execute("CREATE TABLE children (id integer PRIMARY KEY REFERENCES parents)")
    push(airflow, "children", *({"id": n} for n in range(200)))
    push(airflow, "parents", *({"id": n} for n in range(200)))
    airflow.client.request("POST", "/pools", {"name": dag_id, "slots": slots})
    serve(airflow, dag_id, pool=dag_id, tables="children, parents", batch_size=20)
    run_id = airflow.client.trigger(dag_id)
    assert airflow.client.wait_for_run(dag_id, run_id, 90)["state"] == "success"
    assert demo_tables.execute("SELECT count(*) FROM children").fetchone() == (200,)
    assert demo_tables.execute("SELECT count(*) FROM children_errors").fetchone() == (0,)
    names = {
        task["map_index"]: task["rendered_map_index"]
        for task in airflow.client.task_instances(dag_id, run_id)
        if task["task_id"] == "drain"
    }
    assert names == {0: "batchdrain:parents", 1: "batchdrain:children"}


def test_a_run_marked_failed_stops_its_drain_at_a_batch_boundary(
    airflow: RunningAirflow, demo_tables: Target
) -> None:
    """Airflow tells the task with its next heartbeat; the drain's last line tells the outcome."""
    dag_id = "drain_marked_failed"
    demo_tables.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    push(airflow, "things", *({"id": n} for n in range(10)))
    serve(airflow, dag_id, tables="things")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s "
        "AND wait_event_type = 'Lock'",
        (f"{dag_id} %",),
    )
    with psycopg.connect(airflow.target_url) as other:
        other.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
        run_id = airflow.client.trigger(dag_id)
        wait_for_state(airflow, dag_id, run_id, "drain[0]", "running")
        deadline = time.monotonic() + 30
        while demo_tables.execute(*waiting).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        airflow.client.set_run_state(dag_id, run_id, "failed")
        told = wait_for_log(airflow, dag_id, run_id, "batchdrain:things: failed for now: stopped")
    assert "10 left" in told
    with Redis.from_url(airflow.redis_url) as redis:
        assert redis.xlen("batchdrain:things") == 10
    assert demo_tables.execute("SELECT count(*) FROM things").fetchone() == (0,)


def wait_for_log(
    airflow: RunningAirflow, dag_id: str, run_id: str, sentence: str, seconds: float = 30
) -> str:
    """Return a drain's log once it holds the sentence."""
    deadline = time.monotonic() + seconds
    while sentence not in (log := airflow.client.task_log(dag_id, run_id, "drain", 0)):
        assert time.monotonic() < deadline, log
        time.sleep(0.2)
    return log
