"""An Airflow DAG made by the factory: tables, connections and schedule of its own."""

from __future__ import annotations

from batchdrain.dags.factory import build_drain_dag

dag = build_drain_dag(
    "example_drain_dag",
    tables=["airports", "airlines", "flights"],
    postgres_conn_id="postgres_default",
    redis_conn_id="redis_default",
    schedule=None,
    max_active_runs=1,
    tags=["example"],
)
