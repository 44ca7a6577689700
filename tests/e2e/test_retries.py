"""What Airflow tries again, and what it doesn't, on its real components."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from redis import Redis

from batchdrain.demo.embedded import free_port
from fix_airflow import RunningAirflow

DAG_ID = "drain_retried"
CONNECTION = "postgres_away"
_DAG = """
from airflow.sdk import DAG

from batchdrain.operators.drain_queue import DrainQueueOperator

with DAG("drain_retried", schedule=None):
    DrainQueueOperator(
        task_id="away", queue_key="batchdrain:things", postgres_conn_id="postgres_away"
    )
    DrainQueueOperator(task_id="missing", queue_key="batchdrain:nothing")
"""


@pytest.fixture
def away(airflow: RunningAirflow) -> Iterator[dict[str, Any]]:
    """A connection to the target database under a port where nobody listens."""
    where = urlsplit(airflow.target_url)
    body = {
        "connection_id": CONNECTION,
        "conn_type": "postgres",
        "host": where.hostname,
        "port": free_port(),
        "login": where.username,
        "password": where.password,
        "schema": where.path.strip("/"),
    }
    airflow.client.request("POST", "/connections", body)
    yield {**body, "port": where.port}
    airflow.client.request("DELETE", f"/connections/{CONNECTION}")


def tasks(airflow: RunningAirflow, run_id: str) -> dict[str, dict[str, Any]]:
    """Return the run's tasks by id."""
    return {task["task_id"]: task for task in airflow.client.task_instances(DAG_ID, run_id)}


def wait_for_state(airflow: RunningAirflow, run_id: str, task: str, state: str) -> None:
    """Return when a task has reached the state."""
    deadline = time.monotonic() + 90
    while (found := tasks(airflow, run_id)[task]["state"]) != state:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_an_outage_is_retried_until_it_is_over_and_a_missing_table_is_not(
    airflow: RunningAirflow, demo_tables: psycopg.Connection[Any], away: dict[str, Any]
) -> None:
    demo_tables.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    message = json.dumps({"operation": "INSERT", "record": {"id": 1}})
    with Redis.from_url(airflow.redis_url) as redis:
        for table in ("things", "nothing"):
            redis.xadd(f"batchdrain:{table}", {"data": message})
        airflow.add_dag(DAG_ID, _DAG)
        run_id = airflow.client.trigger(DAG_ID)
        wait_for_state(airflow, run_id, "away", "up_for_retry")
        airflow.client.request("PATCH", f"/connections/{CONNECTION}", away)
        assert airflow.client.wait_for_run(DAG_ID, run_id, 120)["state"] == "failed"
        assert redis.xlen("batchdrain:nothing") == 1
    found = tasks(airflow, run_id)
    assert (found["away"]["state"], found["missing"]["state"]) == ("success", "failed")
    assert found["missing"]["try_number"] == 1
    assert found["missing"]["max_tries"] > 1
    assert found["away"]["try_number"] > 1
    assert demo_tables.execute("SELECT count(*) FROM things").fetchone() == (1,)
    log = airflow.client.task_log(DAG_ID, run_id, "away")
    assert "batchdrain:things: failed for now: PostgreSQL at postgres_away" in log
    assert away["password"] not in log
    log = airflow.client.task_log(DAG_ID, run_id, "missing")
    assert "batchdrain:nothing: failed, trying again would not help: " in log
