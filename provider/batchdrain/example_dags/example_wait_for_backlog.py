"""An Airflow DAG that waits until flights have been pushed, and then drains them."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.sensors.queue_backlog import QueueBacklogSensor

with DAG(
    "example_wait_for_backlog",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    waited = QueueBacklogSensor(
        task_id="wait_for_flights",
        tables=["flights"],
        threshold=10,
        timeout=3600,
    )
    drained = DrainQueueOperator(task_id="drain_flights", queue_key="batchdrain:flights")
    waited >> drained
