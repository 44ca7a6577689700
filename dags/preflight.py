"""The Airflow DAG `preflight`: looks whether drains can run, and what to do if not."""

from __future__ import annotations

from batchdrain.dags.preflight import build_preflight_dag

preflight = build_preflight_dag("preflight")
