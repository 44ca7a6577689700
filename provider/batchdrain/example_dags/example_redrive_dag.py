"""An Airflow DAG made by the factory: a form to show, apply again or discard refused records."""

from __future__ import annotations

from batchdrain.dags.redrive import build_redrive_dag

dag = build_redrive_dag(
    "example_redrive_dag",
    tables=["airports", "airlines", "flights"],
    postgres_conn_id="postgres_default",
    tags=["example"],
)
