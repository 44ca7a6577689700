"""An Airflow DAG made by the factory: it looks whether the drains of some tables can run."""

from __future__ import annotations

from batchdrain.dags.preflight import build_preflight_dag

dag = build_preflight_dag(
    "example_preflight_dag",
    tables=["airports", "airlines", "flights"],
    postgres_conn_id="postgres_default",
    redis_conn_id="redis_default",
    tags=["example"],
)
