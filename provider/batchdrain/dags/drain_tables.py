"""The Airflow DAG `drain_tables`: drains the tables that section [batchdrain] allows."""

from __future__ import annotations

from batchdrain.dags.factory import build_drain_dag

drain_tables = build_drain_dag("drain_tables")
