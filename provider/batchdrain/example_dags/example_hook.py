"""An Airflow DAG that applies records without a queue, in a task of its own, and tells of each."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task

from batchdrain.hooks.postgres import BatchPostgresHook


@task
def rename_airlines() -> list[str]:
    """Give airlines other names; return the keys of those that PostgreSQL would not take."""
    results = BatchPostgresHook("postgres_default").batch_update(
        [
            {"carrier": "9E", "name": "Pinnacle Airlines"},
            {"carrier": "US", "name": "American Airlines"},
        ],
        "airlines",
        client_id="IATA",
        ver="1",
    )
    return [str(result.record_id) for result in results if not result.applied]


with DAG(
    "example_hook",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["batchdrain", "example"],
) as dag:
    rename_airlines()
