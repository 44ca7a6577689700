"""Which try of which task is at work, as PostgreSQL is told."""

from __future__ import annotations

from airflow.sdk import Context

from batchdrain.engine.run import Run


def run_of(context: Context) -> Run:
    """Return the try of the task at hand."""
    task = context["ti"]
    map_index = task.map_index if task.map_index is not None and task.map_index >= 0 else None
    return Run(task.dag_id, task.run_id, task.task_id, task.try_number, map_index)
