"""The shipped DAG on Airflow's real components, triggered over the REST API as the UI does."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import psycopg
from redis import Redis

from batchdrain.demo import traffic
from batchdrain.demo.expectation import expected_tables, reconcile
from batchdrain.demo.messages import all_messages
from batchdrain.engine.batch_log import totals
from fix_airflow import RunningAirflow

Target = psycopg.Connection[Any]
DAG = "drain_tables"


def applied(connection: Target) -> int:
    """Return how many records of flights have been committed."""
    known = connection.execute("SELECT to_regclass('batchdrain.batch_log') IS NOT NULL").fetchone()
    if known != (True,):
        return 0
    query = "SELECT coalesce(sum(records), 0) FROM batchdrain.batch_log WHERE queue LIKE '%flights'"
    return int((connection.execute(query).fetchone() or (0,))[0])


def test_a_drain_killed_in_the_middle_is_retried_and_the_totals_add_up(
    airflow: RunningAirflow, demo_tables: Target
) -> None:
    """SIGKILL of the task's process: the retry goes on after the last commit, nothing twice."""
    messages = all_messages()
    with Redis.from_url(airflow.redis_url) as redis:
        pushed = traffic.push(redis, messages)
        run_id = airflow.client.trigger(DAG)
        deadline = time.monotonic() + 60
        while not applied(demo_tables) and time.monotonic() < deadline:
            time.sleep(0.02)
        killed = kill_drain(airflow, run_id, "batchdrain:flights")
        assert 0 < applied(demo_tables) < 24_000
        run = airflow.client.wait_for_run(DAG, run_id, 120)
        assert traffic.left(redis) == 0
    assert run["state"] == "success"
    attempts = {
        task["rendered_fields"].get("queue_key"): task["try_number"]
        for task in airflow.client.task_instances(DAG, run_id)
    }
    assert attempts[killed] == 2
    assert reconcile(demo_tables, expected_tables()) == []
    found = totals(demo_tables, DAG, run_id)
    assert sum(queue.applied + queue.refused for queue in found) == pushed


def kill_drain(airflow: RunningAirflow, run_id: str, queue: str) -> str:
    """Kill the process that drains a queue, and return the queue."""
    tasks = airflow.client.task_instances(DAG, run_id)
    for task in tasks:
        if task["rendered_fields"].get("queue_key") == queue and task["state"] == "running":
            os.kill(task["pid"], signal.SIGKILL)
            return queue
    states = [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
    raise AssertionError(f"No drain of {queue} is running: {states}")
