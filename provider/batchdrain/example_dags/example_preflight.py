"""An Airflow DAG that looks whether its drain can run, and drains only then."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.preflight import PreflightOperator

with DAG(
    "example_preflight",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    preflight = PreflightOperator(task_id="preflight", tables=["flights"])
    drained = DrainQueueOperator(task_id="drain_flights", queue_key="batchdrain:flights")
    preflight >> drained
