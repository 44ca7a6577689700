"""Whether the DAG that redrive_dag names can apply the rows of a page again."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from batchdrain.dags.redrive import build_redrive_dag
from batchdrain.operators.redrive_errors import RedriveErrorsOperator
from batchdrain.plugins.replay import misfit


def said(dag: DAG, connection: str = "shop", table: str = "orders") -> str | None:
    """Ask about a DAG as the API server knows it."""
    tasks: list[Any] = list(DagSerialization.from_dict(DagSerialization.to_dict(dag)).tasks)
    return misfit("redrive_errors", tasks, connection, table)


def redrive_dag(**arguments: Any) -> DAG:
    return build_redrive_dag("redrive_errors", postgres_conn_id="shop", **arguments)


def test_a_dag_that_covers_the_table_by_the_same_connection_fits():
    """Its table comes from its form; the list says which ones it takes."""
    assert said(redrive_dag(tables=["orders", "s.items:4"])) is None
    assert said(redrive_dag(tables="orders, s.items:4"), table="s.items") is None
    assert said(redrive_dag(tables="*")) is None


def test_a_dag_of_another_connection_or_of_other_tables_does_not():
    other = said(redrive_dag(tables="orders"), connection="warehouse") or ""
    assert "redrive_errors, which the option redrive_dag names" in other
    assert "does not work by the connection warehouse" in other
    tables = said(redrive_dag(tables="customers")) or ""
    assert "does not cover the table orders" in tables
    assert "build_redrive_dag makes one that does" in tables


def test_a_dag_that_does_not_tell_its_tables_is_not_offered():
    assert "The option tables has no value" in (said(redrive_dag()) or "")
    with DAG("redrive_errors", schedule=None) as dag:
        RedriveErrorsOperator(task_id="r", tables="{{ var.value.t }}", postgres_conn_id="shop")
    assert "before it runs" in (said(dag) or "")
