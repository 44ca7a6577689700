"""What the DAGs have in common that nothing but a form starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Param

from batchdrain.dags.form_params import merged_params


def dag_by_hand(
    dag_id: str,
    description: str,
    docs: str,
    form: Mapping[str, Param],
    tags: Sequence[str],
    arguments: Mapping[str, Any],
) -> DAG:
    """Return a DAG without schedule and tasks; `arguments` of Airflow's DAG come first.

    Among them may be `params`: other defaults of the form, and further Params.
    It is not paused: it does nothing by itself, and nobody should have to find the switch first.
    """
    given = {
        "description": description,
        "doc_md": docs,
        "start_date": datetime(2025, 1, 1, tzinfo=UTC),
        "is_paused_upon_creation": False,
        **arguments,
        "params": merged_params(form, arguments.get("params")),
    }
    return DAG(
        dag_id,
        schedule=None,
        catchup=False,
        tags=["batchdrain", *tags],
        **given,
    )
