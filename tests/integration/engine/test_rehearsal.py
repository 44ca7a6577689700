"""The engine tries a batch, and a look at the state leaves none behind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.glance import passing_state
from batchdrain.engine.position import START, positions
from batchdrain.engine.records import Operation, Record
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import TransientError

Connection = psycopg.Connection[Any]

GOOD = Record(Operation.INSERT, b'{"id": 1, "name": "n"}', {})
BAD = Record(Operation.INSERT, b'{"id": 2}', {})

EXISTS = "SELECT to_regclass('{}') IS NOT NULL"


@pytest.fixture
def engine(connection: Connection, database: str) -> Any:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
    settings = EngineSettings(lock_timeout=0.3)
    with BatchEngine(
        lambda: psycopg.connect(database), "things", queue="q", settings=settings
    ) as opened:
        yield opened


def there(connection: Connection, relation: str) -> bool:
    return bool((connection.execute(EXISTS.format(relation).encode()).fetchone() or (None,))[0])


def rows(connection: Connection, table: str = "things") -> list[Any]:
    return connection.execute(f"SELECT * FROM {table}".encode()).fetchall()


def test_a_batch_is_tried_as_often_as_one_likes_and_then_applied(
    connection: Connection, engine: BatchEngine
) -> None:
    """Also by the same engine, whose error table was not there when it was tried."""
    for _ in range(2):
        tried = engine.rehearse([GOOD, BAD])
        assert (tried.applied, tried.refused) == (1, 1)
        assert not there(connection, "things_errors")
        assert rows(connection) == []
    assert engine.apply([GOOD]).applied == 1
    assert there(connection, "things_errors")
    assert engine.rehearse([GOOD, BAD]).refused == 2
    assert engine.apply([BAD]).refused == 1
    assert rows(connection) == [(1, "n")]
    assert len(rows(connection, "things_errors")) == 1


def test_an_error_table_that_takes_no_row_is_noticed_before_a_drain_fails_by_it(
    connection: Connection, engine: BatchEngine
) -> None:
    connection.execute("CREATE TABLE things_errors (record_data jsonb, more text NOT NULL)")
    with pytest.raises(Exception, match="does not take refused records: not_null_violation"):
        engine.rehearse([BAD])
    assert engine.rehearse([GOOD]).applied == 1


def test_a_table_that_changes_is_read_again(connection: Connection, engine: BatchEngine) -> None:
    new = Record(Operation.INSERT, b'{"id": 1, "name": "n", "more": 1}', {})
    assert engine.rehearse([new]).refused == 1
    connection.execute("ALTER TABLE things ADD more integer")
    assert engine.rehearse([new]).applied == 1
    assert rows(connection) == []


def test_a_look_at_the_state_tells_where_the_queue_is_and_leaves_nothing(
    connection: Connection, engine: BatchEngine
) -> None:
    assert engine.look() is None
    assert not there(connection, "batchdrain.position")
    engine.take_over(lambda: 0)
    seen = engine.look()
    assert seen is not None
    assert seen.position == START
    with passing_state(connection):
        connection.execute("UPDATE batchdrain.position SET position = '9-9'")
    assert positions(connection, ["q"])["q"].position == START


def test_a_look_waits_no_longer_than_the_lock_timeout(
    connection: Connection, engine: BatchEngine, database: str
) -> None:
    """Another session may be about to create the same schema."""
    with psycopg.connect(database) as other:
        other.execute("CREATE SCHEMA batchdrain")
        with pytest.raises(TransientError, match="lock_not_available"):
            engine.look()
        with pytest.raises(errors.LockNotAvailable), passing_state(connection, 0.2):
            pass
        other.rollback()
    assert engine.look() is None
