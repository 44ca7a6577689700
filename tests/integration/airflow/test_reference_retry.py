"""Later drains try records again that a foreign key has refused."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_drain_dag import insert, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:flights"


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE airports (id integer PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE flights "
        "(id integer PRIMARY KEY CHECK (id <> 5), dest integer REFERENCES airports)"
    )


def drain(times: int | None) -> dict[str, Any]:
    operator = DrainQueueOperator(task_id="drain", queue_key=KEY, reference_retries=times)
    return operator.execute(drain_context())


def rows(connection: psycopg.Connection[Any]) -> list[Any]:
    """Return what became of each refused record, and how often it was tried."""
    query = "SELECT record_id, resolution, attempts FROM flights_errors ORDER BY id"
    return connection.execute(query).fetchall()


def test_a_record_is_applied_once_what_it_refers_to_is_there(redis_client, connection, capsys):
    """Other refused records are left to people."""
    push(redis_client, KEY, *(insert(id=n, dest=n) for n in (1, 2)), insert(id=5, dest=None))
    assert drain(3)["refused"] == 3
    connection.execute("INSERT INTO airports VALUES (1)")
    push(redis_client, KEY, insert(id=3, dest=1))
    assert drain(3)["applied"] == 1
    assert rows(connection) == [("1", "applied", 2), ("2", None, 2), ("5", None, 1)]
    assert connection.execute("SELECT id FROM flights ORDER BY id").fetchall() == [(1,), (3,)]
    log = capsys.readouterr().out
    assert "records that a foreign key had refused: 1 applied, 1 refused again" in log


def test_after_so_many_times_a_record_is_final(redis_client, connection):
    push(redis_client, KEY, insert(id=1, dest=1))
    for _ in range(5):
        drain(2)
    assert rows(connection) == [("1", None, 3)]


def test_unless_it_is_switched_on_nothing_is_tried_again(redis_client, connection):
    push(redis_client, KEY, insert(id=1, dest=1))
    drain(None)
    drain(None)
    assert rows(connection) == [("1", None, 1)]


def test_a_table_of_refused_records_that_can_not_tell_keeps_nobody_from_draining(
    redis_client, connection, capsys
):
    """One with the nine columns of the contract alone can't note what became of a record."""
    connection.execute("CREATE TABLE flights_errors (record_id varchar, record_data jsonb)")
    push(redis_client, KEY, insert(id=1, dest=1), insert(id=2, dest=None))
    assert drain(2)["applied"] == 1
    push(redis_client, KEY, insert(id=3, dest=None))
    assert drain(2)["applied"] == 1
    assert "are not tried again: Table" in capsys.readouterr().out
