"""An Airflow DAG of one's own around the drains: when they have changed a table, it goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator

TABLES = ["airlines", "airports", "flights"]


@task.short_circuit
def anything_applied(summary: Any) -> bool:
    """Tell whether this run has changed a row; if not, what comes after is skipped."""
    return any(queue["applied"] for queue in summary["totals"])


with DAG(
    "example_list_queues",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    queues = ListQueuesOperator(task_id="list_queues", tables=TABLES)
    drained = DrainQueueOperator.partial(
        task_id="drain", map_index_template="{{ task.queue_key | default('?') }}"
    ).expand_kwargs(queues.output)
    summary = SummarizeErrorsOperator(
        task_id="summarize_errors", tables=TABLES, trigger_rule="all_done"
    )
    analyze = SQLExecuteQueryOperator(
        task_id="analyze_flights", conn_id="postgres_default", sql="ANALYZE flights"
    )
    drained >> summary
    anything_applied(summary.output) >> analyze
    # The summary is written even if a drain fails; without this leaf the run would be green then.
    drained >> EmptyOperator(task_id="all_drained", trigger_rule="none_failed")
