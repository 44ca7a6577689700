"""An Airflow DAG that drains one queue at the end of a load and then looks at what was refused."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator

with DAG(
    "example_drain_queue",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    drained = DrainQueueOperator(
        task_id="drain_flights",
        queue_key="batchdrain:flights",
        batch_size=500,
        max_seconds=120,
    )
    summary = SummarizeErrorsOperator(task_id="summarize_errors", trigger_rule="all_done")
    drained >> summary
