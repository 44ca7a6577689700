"""Bad input: one clear sentence, nothing consumed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException
from psycopg import sql

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from fix_drain_dag import insert, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:things"


@pytest.fixture
def things(connection: psycopg.Connection[Any], redis_client) -> None:
    """A table, and a queue with one good message for it."""
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    push(redis_client, KEY, insert(id=1))


def failure(operator, **params: Any) -> str:
    """Run an operator that must fail for good, and return the sentence."""
    with pytest.raises(AirflowFailException) as caught:
        operator.execute(drain_context(**params))
    assert caught.value.__cause__ is None
    return str(caught.value)


def drain(**arguments: Any) -> DrainQueueOperator:
    return DrainQueueOperator(task_id="drain", **{"queue_key": KEY, **arguments})


def test_an_unknown_table(redis_client):
    push(redis_client, KEY, insert(id=1))
    sentence = failure(drain())
    assert '"things"' in sentence
    assert redis_client.xlen(KEY) == 1


def test_a_table_without_a_primary_key(connection, redis_client):
    connection.execute("CREATE TABLE things (id integer)")
    push(redis_client, KEY, insert(id=1))
    assert "primary key" in failure(drain())
    assert redis_client.xlen(KEY) == 1


@pytest.fixture
def stranger(connection: psycopg.Connection[Any], database: str, monkeypatch, things):
    """The default connection's role may not write the table."""
    name = f"stranger_{id(connection)}"
    role = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(role))
    connection.execute(
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
            sql.Identifier(connection.info.dbname), role
        )
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_POSTGRES_DEFAULT",
        f"postgresql://{name}:pw@{connection.info.host}:{connection.info.port}"
        f"/{connection.info.dbname}",
    )
    yield name
    connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_no_permission_for_the_table(stranger, connection, redis_client):
    sentence = failure(drain())
    assert stranger in sentence
    assert "GRANT" in sentence
    assert redis_client.xlen(KEY) == 1


@pytest.mark.usefixtures("things")
def test_a_missing_connection(redis_client):
    sentence = failure(drain(postgres_conn_id="nowhere"))
    assert "'nowhere'" in sentence
    assert "AIRFLOW_CONN_NOWHERE" in sentence
    assert "'nowhere'" in failure(drain(redis_conn_id="nowhere"))
    assert redis_client.xlen(KEY) == 1


@pytest.mark.usefixtures("things")
def test_a_batch_size_of_zero(redis_client, monkeypatch):
    assert "argument batch_size is 0" in failure(drain(batch_size=0))
    assert "Param batch_size is 0" in failure(drain(), batch_size=0)
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__BATCH_SIZE", "0")
    assert "option batch_size of section [batchdrain] is '0'" in failure(drain())
    assert redis_client.xlen(KEY) == 1


def test_a_key_that_is_neither_stream_nor_list(connection, redis_client):
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    redis_client.set(KEY, "text")
    assert "neither stream nor list" in failure(drain())
    assert redis_client.get(KEY) == b"text"


@pytest.mark.usefixtures("things")
def test_a_key_that_names_no_table():
    assert "shard" in failure(drain(queue_key="batchdrain:things:first"))
    assert "begin with batchdrain:" in failure(drain(queue_key="things"))


@pytest.mark.usefixtures("things")
def test_a_pool_that_does_not_exist(redis_client):
    operator = ListQueuesOperator(task_id="list_queues", tables="things", drain_pool="nowhere")
    sentence = failure(operator)
    assert "pool 'nowhere' does not exist" in sentence
    assert "airflow pools set nowhere" in sentence
    assert redis_client.xlen(KEY) == 1


@pytest.mark.usefixtures("things")
def test_tables_that_are_not_allowed_or_not_set():
    listing = ListQueuesOperator(task_id="list_queues")
    assert "AIRFLOW__BATCHDRAIN__TABLES" in failure(listing)
    listing = ListQueuesOperator(task_id="list_queues", tables="other")
    assert "'things' may not be drained; these tables may: other" in failure(
        listing, tables=["things"]
    )
    listing = ListQueuesOperator(task_id="list_queues", tables="*")
    assert "only queues for: things" in failure(listing, tables=["planes"])
