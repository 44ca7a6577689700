"""Builds a DAG that looks whether drains can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import DAG

from batchdrain.allow_list import AllowList
from batchdrain.dags.by_hand import dag_by_hand
from batchdrain.operators.preflight import PreflightOperator

_DOCS = """
Looks at everything that a drain relies on, and changes nothing: options, Airflow's settings, the
servers, the role's privileges, the tables and their error tables, and the queues. Trigger it by
hand after an installation or a change.

The log of its task shows a line for each finding, with what to do about it. The task fails when a
drain would fail, and succeeds otherwise, warnings or not. A task can't ask Airflow for its pools;
`python -m batchdrain preflight`, run beside the scheduler, can.
"""


def build_preflight_dag(
    dag_id: str,
    *,
    tables: str | Sequence[str] | AllowList | None = None,
    prefix: str | None = None,
    postgres_conn_id: str | None = None,
    redis_conn_id: str | None = None,
    pool: str | None = None,
    left_push: bool | str | Sequence[str] | None = None,
    scope: Mapping[str, str] | str | None = None,
    tags: Sequence[str] = (),
    **dag_arguments: Any,
) -> DAG:
    """Return a DAG without schedule that looks whether the drains of some tables can run.

    Give it what `build_drain_dag` is given; what is left out comes from section `[batchdrain]`.
    `pool` is the one of the drains. Further arguments go to Airflow's DAG. Opens no connection, and
    reads no option before its task runs.
    """
    description = "Looks whether drains can run, and what to do if not"
    with dag_by_hand(dag_id, description, _DOCS, {}, tags, dag_arguments) as dag:
        PreflightOperator(
            task_id="look",
            tables=tables,
            prefix=prefix,
            postgres_conn_id=postgres_conn_id,
            redis_conn_id=redis_conn_id,
            drain_pool=pool,
            left_push=left_push,
            scope=scope,
            retries=0,
        )
    return dag
