"""The Airflow DAG `control_queues`: looks at queues, holds and releases them, removes messages."""

from __future__ import annotations

from batchdrain.dags.control import build_control_dag

control_queues = build_control_dag("control_queues")
