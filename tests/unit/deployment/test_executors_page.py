"""What docs/how-to/executors.md says of the DAG itself."""

from __future__ import annotations

from batchdrain.dags.factory import build_drain_dag


def test_default_arguments_choose_executor_and_queue_for_every_task() -> None:
    """The mapped drains included."""
    chosen = {"executor": "LocalExecutor", "queue": "drains"}
    dag = build_drain_dag("elsewhere", tables="orders", pool="orders", default_args=chosen)
    assert {"list_queues", "drain", "watch_pool"} < set(dag.task_ids)
    for name in dag.task_ids:
        task = dag.get_task(name)
        assert (task.executor, task.queue) == ("LocalExecutor", "drains"), name
