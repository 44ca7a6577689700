"""An Airflow DAG made by the factory: a form to look at, hold, release and empty some queues."""

from __future__ import annotations

from batchdrain.dags.control import build_control_dag

dag = build_control_dag(
    "example_control_dag",
    tables=["airports", "airlines", "flights"],
    postgres_conn_id="postgres_default",
    redis_conn_id="redis_default",
    tags=["example"],
)
