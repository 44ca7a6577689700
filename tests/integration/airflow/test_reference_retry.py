"""Later drains try records again that a foreign key has refused."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException

from batchdrain.engine.position import hold, unhold
from batchdrain.operators.assets import tables_alias
from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_drain_dag import insert, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:flights"
SHARDS = f"{KEY}:1", f"{KEY}:2"


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE airports (id integer PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE flights "
        "(id integer PRIMARY KEY CHECK (id <> 5), dest integer REFERENCES airports)"
    )


def drain(times: int | None, key: str = KEY, context: Any = None) -> dict[str, Any]:
    operator = DrainQueueOperator(task_id="drain", queue_key=key, reference_retries=times)
    return operator.execute(context or drain_context())


def refuse_one_of_each_shard(redis_client: Any) -> None:
    for number, key in enumerate(SHARDS, 1):
        push(redis_client, key, insert(id=number, dest=1))
        assert drain(1, key)["refused"] == 1


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
    assert "records that a foreign key had refused: 1 applied, 1 refused again, 0 left alone" in log


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


def test_nothing_of_a_queue_on_hold_is_applied_until_it_is_released(
    redis_client, connection, capsys
):
    push(redis_client, KEY, insert(id=1, dest=1))
    drain(3)
    connection.execute("INSERT INTO airports VALUES (1)")
    hold(connection, KEY, lambda: 0)
    assert drain(3)["ending"] == "held"
    assert rows(connection) == [("1", None, 1)]
    assert "not tried again" not in capsys.readouterr().out
    unhold(connection, KEY)
    drain(3)
    assert rows(connection) == [("1", "applied", 2)]


def test_nothing_of_a_shard_on_hold_is_applied_by_another_shard(redis_client, connection):
    refuse_one_of_each_shard(redis_client)
    connection.execute("INSERT INTO airports VALUES (1)")
    hold(connection, SHARDS[0], lambda: 0)
    drain(1, SHARDS[1])
    assert rows(connection) == [("1", None, 1), ("2", "applied", 2)]


def test_a_shard_leaves_the_tries_of_others_to_them(redis_client, connection):
    refuse_one_of_each_shard(redis_client)
    for _ in range(3):
        drain(1, SHARDS[1])
    assert rows(connection) == [("1", None, 1), ("2", None, 2)]
    connection.execute("INSERT INTO airports VALUES (1)")
    drain(1, SHARDS[0])
    assert rows(connection) == [("1", "applied", 2), ("2", None, 2)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP COLUMN queue", "ADD COLUMN queue text"),
        ("ALTER queue TYPE varchar(18)", "Column queue of table"),
    ],
)
def test_where_the_rows_may_be_of_another_queue_nothing_is_tried_again(
    redis_client, connection, capsys, change, told
):
    """They don't tell their queue, or the column is so narrow that it may have been clipped."""
    push(redis_client, KEY, insert(id=1, dest=1))
    drain(3)
    connection.execute("INSERT INTO airports VALUES (1)")
    connection.execute(f"ALTER TABLE flights_errors {change}")
    push(redis_client, KEY, insert(id=2, dest=1))
    assert drain(3)["applied"] == 1
    assert rows(connection) == [("1", None, 1)]
    log = capsys.readouterr().out
    assert "are not tried again" in log
    assert told in log


def test_what_is_applied_again_is_told_in_a_line_of_its_own_and_announced_to_nobody(
    redis_client, connection, capsys
):
    push(redis_client, KEY, insert(id=1, dest=1))
    drain(3)
    connection.execute("INSERT INTO airports VALUES (1)")
    context = drain_context()
    counts = drain(3, context=context)
    assert (counts["records"], counts["applied"], counts["refused"]) == (0, 0, 0)
    assert context["outlet_events"][tables_alias()].added == []
    assert "1 applied, 0 refused again, 0 left alone" in capsys.readouterr().out


@pytest.mark.parametrize("locked", ["flights", "flights_errors"])
def test_sigterm_cancels_the_statement_that_tries_records_again(
    redis_client, connection, database, capsys, locked
):
    """A lock holds up what applies the records, or what looks for them."""
    push(redis_client, KEY, insert(id=1, dest=1))
    drain(3)
    connection.execute("INSERT INTO airports VALUES (1)")
    push(redis_client, KEY, insert(id=2, dest=1))
    operator = DrainQueueOperator(task_id="drain", queue_key=KEY, reference_retries=3)
    before = signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        with psycopg.connect(database) as other:
            other.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
            started = time.monotonic()
            timer.start()
            with pytest.raises(AirflowException, match="stopped from outside, 1 left"):
                operator.execute(drain_context())
            assert time.monotonic() - started < 4.0
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, before)
    assert "are not tried again" in capsys.readouterr().out
    assert rows(connection) == [("1", None, 1)]
    drain(3)
    assert rows(connection) == [("1", "applied", 2)]
