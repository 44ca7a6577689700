"""An Airflow DAG that holds a queue while something else changes its table."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from batchdrain.operators.control_queues import ControlQueuesOperator

with DAG(
    "example_control_queues",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    hold = ControlQueuesOperator(
        task_id="hold_flights", tables=["flights"], params={"action": "hold"}
    )
    correct = SQLExecuteQueryOperator(
        task_id="correct_flights",
        conn_id="postgres_default",
        sql="UPDATE flights SET tailnum = NULL WHERE tailnum = ''",
    )
    release = ControlQueuesOperator(
        task_id="release_flights", tables=["flights"], params={"action": "release"}
    )
    # Released whatever becomes of the work between, whose state is the run's.
    hold >> correct >> release.as_teardown(setups=hold)
