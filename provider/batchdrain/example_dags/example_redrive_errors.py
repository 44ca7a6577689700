"""An Airflow DAG that drains airports and then applies again the flights that lacked theirs."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.redrive_errors import RedriveErrorsOperator

with DAG(
    "example_redrive_errors",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    airports = DrainQueueOperator(task_id="drain_airports", queue_key="batchdrain:airports")
    again = RedriveErrorsOperator(
        task_id="redrive_flights",
        tables=["flights"],
        params={
            "action": "redrive",
            "table": "flights",
            "error_types": ["foreign_key_violation"],
        },
    )
    airports >> again
