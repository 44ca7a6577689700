"""Which tables a DAG drains, as its serialized tasks tell it to the pages."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from batchdrain.allow_list import parse_allow_list
from batchdrain.dags.factory import build_drain_dag
from batchdrain.dags.redrive import build_redrive_dag
from batchdrain.errors import ConfigurationError
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.plugins.reach import Reach, chosen, reach_of


class OwnDrainOperator(DrainQueueOperator):
    """A class that somebody has made from ours."""


def serialized_tasks(dag: DAG) -> list[Any]:
    """Return the tasks as the API server knows them."""
    return list(DagSerialization.from_dict(DagSerialization.to_dict(dag)).tasks)


def queue_dag(operator: type[DrainQueueOperator] = DrainQueueOperator, **arguments: Any) -> DAG:
    with DAG("one_queue", schedule=None) as dag:
        operator(task_id="drain", **{"queue_key": "batchdrain:orders:1", **arguments})
        EmptyOperator(task_id="other")
    return dag


def test_a_drain_dag_reaches_its_allow_list_by_its_connection():
    dag = build_drain_dag("d", tables=["orders", "s.items:4"], postgres_conn_id="shop")
    expected = Reach("shop", frozenset({"orders", "s.items"}))
    assert reach_of(serialized_tasks(dag)) == {"shop": expected}


@pytest.mark.parametrize("text", ["orders, s.items:4", "*"])
def test_a_list_that_has_been_read_before_reaches_the_same(text):
    allowed = parse_allow_list(text)
    found = reach_of(serialized_tasks(build_drain_dag("d", tables=allowed)))
    assert found == reach_of(serialized_tasks(build_drain_dag("d", tables=text)))
    assert found["postgres_default"].covers("s.items")


def test_what_a_dag_leaves_out_comes_from_the_section(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "customers")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__POSTGRES_CONN_ID", "shop")
    for dag in (build_drain_dag("d"), build_redrive_dag("r")):
        found = reach_of(serialized_tasks(dag))
        assert found == {"shop": Reach("shop", frozenset({"customers"}))}
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "*")
    assert reach_of(serialized_tasks(build_drain_dag("d")))["shop"].covers("anything")


def test_a_missing_list_is_said(monkeypatch):
    with pytest.raises(ConfigurationError, match="The option tables has no value"):
        reach_of(serialized_tasks(build_drain_dag("d")))


@pytest.mark.parametrize("operator", [DrainQueueOperator, OwnDrainOperator])
def test_a_task_of_its_own_reaches_the_table_of_its_queue(operator):
    found = reach_of(serialized_tasks(queue_dag(operator)))
    assert found == {"postgres_default": Reach("postgres_default", frozenset({"orders"}))}
    found = reach_of(serialized_tasks(queue_dag(operator, table="elsewhere")))
    assert found["postgres_default"].tables == {"elsewhere"}


def test_what_only_a_running_task_knows_is_left_out():
    for arguments in ({"queue_key": "{{ params.q }}"}, {"postgres_conn_id": "{{ params.c }}"}):
        assert reach_of(serialized_tasks(queue_dag(**arguments))) == {}


def test_a_request_means_a_connection_and_a_table_of_the_dag_alone():
    one, two = Reach("one", frozenset({"a"})), Reach("two", frozenset({"b"}))
    reaches = {"one": one, "two": two}
    assert chosen(reaches, None, None) is one
    assert chosen(reaches, None, "b") is two
    assert chosen(reaches, "two", "b") is two
    for connection, table in (("three", None), ("one", "b"), (None, "c")):
        with pytest.raises(ConfigurationError, match="This DAG d"):
            chosen(reaches, connection, table)
    with pytest.raises(ConfigurationError, match="no task that tells"):
        chosen({}, None, None)
