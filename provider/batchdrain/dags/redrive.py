"""Builds a DAG that shows, applies again or discards refused records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import DAG

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.dags.by_hand import dag_by_hand
from batchdrain.dags.redrive_form import redrive_form
from batchdrain.operators.backoff import retry_arguments
from batchdrain.operators.redrive_errors import RedriveErrorsOperator

_DOCS = """
Works on the refused records of one table, those in `<table>_errors` that are not resolved yet.
Trigger it by hand.

- **inspect** shows the records that the form chooses: row, time, operation, error, id; no values.
- **redrive** applies them again, each once and with the scope that it had, after the columns in
  *Set columns* were set and those in *Leave columns out* were left out. A row tells what became of
  its record: `resolution` is `applied`, or the newest reason is in it and `attempts` has grown.
- **discard** sets `resolution` to `discarded`.
"""


def build_redrive_dag(
    dag_id: str,
    *,
    tables: str | Sequence[str] | AllowList | None = None,
    postgres_conn_id: str | None = None,
    scope: Mapping[str, str] | str | None = None,
    tags: Sequence[str] = (),
    **dag_arguments: Any,
) -> DAG:
    """Return a DAG without schedule that works on the refused records of some tables.

    What is left out comes from section `[batchdrain]`; `scope` has to be that of the drains.
    Further arguments go to Airflow's DAG. Opens no connection. Raises ConfigurationError naming the
    option or the argument that is bad.
    """
    allowed = options.TABLES.read(tables) if options.TABLES.is_set(tables) else None
    description = "Shows, applies again or discards refused records"
    with dag_by_hand(dag_id, description, _DOCS, redrive_form(allowed), tags, dag_arguments) as dag:
        RedriveErrorsOperator(
            task_id="redrive",
            tables=tables,
            postgres_conn_id=postgres_conn_id,
            scope=scope,
            **retry_arguments(2),
        )
    return dag
