"""Builds a DAG that looks at queues, holds and releases them, and removes messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import DAG

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.dags.by_hand import dag_by_hand
from batchdrain.dags.control_form import control_form
from batchdrain.operators.control_queues import ControlQueuesOperator

_DOCS = """
Does one thing to queues, and shows in its log how they stand afterwards. Trigger it by hand.

- **look** shows the oldest messages: id, age, operation and columns, never values.
- **hold** keeps drains from applying anything of a queue; one that is at it ends at its next batch.
  The queue goes on taking messages.
- **release** lets drains apply a held queue again.
- **remove** deletes the oldest messages of one queue for good, unapplied. It wants their number,
  and the queue's key to confirm.

A queue that a drain refuses because Redis went back is accepted in the form of the drain DAG.
"""


def build_control_dag(
    dag_id: str,
    *,
    tables: str | Sequence[str] | AllowList | None = None,
    prefix: str | None = None,
    postgres_conn_id: str | None = None,
    redis_conn_id: str | None = None,
    left_push: bool | str | Sequence[str] | None = None,
    tags: Sequence[str] = (),
    **dag_arguments: Any,
) -> DAG:
    """Return a DAG without schedule that controls the queues of some tables.

    What is left out comes from section `[batchdrain]`. Further arguments go to Airflow's DAG. Opens
    no connection. Raises ConfigurationError naming the option or the argument that is bad.
    """
    allowed = options.TABLES.read(tables) if options.TABLES.is_set(tables) else None
    description = "Looks at queues, holds and releases them, removes messages"
    with dag_by_hand(dag_id, description, _DOCS, control_form(allowed), tags, dag_arguments) as dag:
        ControlQueuesOperator(
            task_id="control",
            tables=tables,
            prefix=prefix,
            postgres_conn_id=postgres_conn_id,
            redis_conn_id=redis_conn_id,
            left_push=left_push,
            retries=0,
        )
    return dag
