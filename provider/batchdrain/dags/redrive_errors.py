"""The Airflow DAG `redrive_errors`: shows, applies again or discards refused records."""

from __future__ import annotations

from batchdrain.dags.redrive import build_redrive_dag

redrive_errors = build_redrive_dag("redrive_errors")
