"""What one run had refused, counted from the error table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from batchdrain.engine.batch_log import totals
from batchdrain.engine.catalog import read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.error_summary import Period, refused_groups
from batchdrain.engine.error_table import error_table_name
from batchdrain.engine.position import create_state
from batchdrain.engine.records import Operation, Record
from batchdrain.engine.run import Run
from batchdrain.errors import ConfigurationError

NOW = datetime.now(UTC)
PERIOD = Period("dag", "run", NOW - timedelta(hours=1), NOW + timedelta(hours=1))

NINE = """CREATE TABLE things_errors (
  record_id VARCHAR, client_id VARCHAR(50), operation VARCHAR(20), error_type VARCHAR(50),
  error_message TEXT, field_id VARCHAR(50), record_data JSONB, ver VARCHAR, created_at TIMESTAMP)"""


@pytest.fixture
def things(connection):
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
    return read_table(connection, "things")


def refuse(database, run: Run, *records: bytes) -> None:
    """Have the engine refuse records, on behalf of a run."""
    members = {"client_id": b'"c-1"'}
    with BatchEngine(
        lambda: psycopg.connect(database, autocommit=True), "things", run=run
    ) as engine:
        engine.apply([Record(Operation.INSERT, record, members) for record in records])


BAD = (b'{"id": 1}', b'{"id": 2}', b'{"id": "x", "name": "n"}')


def test_groups_are_counted_for_the_run_alone(connection, database, things):
    refuse(database, Run("dag", "run"), *BAD)
    refuse(database, Run("dag", "other run"), *BAD)
    first, second = refused_groups(connection, things, PERIOD)
    assert (first.error_type, first.field, first.client_id, first.count, first.example) == (
        "not_null_violation",
        "name",
        "c-1",
        2,
        "1",
    )
    assert (second.error_type, second.field, second.count, second.example) == (
        "invalid_text_representation",
        "id",
        1,
        "x",
    )
    assert first.last_seen is not None
    assert abs(first.last_seen - NOW.replace(tzinfo=None)) < timedelta(hours=1)


def test_an_error_table_of_nine_columns_is_counted_by_time(connection, database, things):
    connection.execute(NINE)
    refuse(database, Run("dag", "run"), *BAD)
    assert [group.count for group in refused_groups(connection, things, PERIOD)] == [2, 1]
    later = Period("dag", "run", PERIOD.end, PERIOD.end)
    assert refused_groups(connection, things, later) == []


def test_an_error_table_that_lacks_columns_is_counted_as_far_as_it_goes(connection, things):
    connection.execute(
        "CREATE TABLE things_errors (error_type text, created_at timestamp, record_data jsonb)"
    )
    connection.execute("INSERT INTO things_errors VALUES ('a', timezone('UTC', now()))")
    (group,) = refused_groups(connection, things, PERIOD)
    assert (group.error_type, group.field, group.client_id, group.example) == (
        "a",
        None,
        None,
        None,
    )


def test_without_an_error_table_there_is_nothing_to_count(connection, things):
    assert refused_groups(connection, things, PERIOD) == []
    create_state(connection)
    assert totals(connection, "dag", "run") == []
    assert error_table_name("things") == "things_errors"


@pytest.mark.parametrize(
    "created_at",
    [
        *("TIMESTAMP", "TIMESTAMP(0)", "DATE", "TIMESTAMPTZ", "TIMESTAMPTZ(0)", "moment"),
        *("TEXT", "VARCHAR(10)", "VARCHAR(16)", "CHAR(40)"),
    ],
)
def test_older_error_tables_are_counted_by_whatever_time_they_tell(
    connection, database, things, created_at
):
    """In any session's time zone, and rows of another time are left out."""
    connection.execute("CREATE DOMAIN moment AS timestamp(3)")
    connection.execute(NINE.replace("created_at TIMESTAMP", f"created_at {created_at}"))
    connection.execute("SET timezone = 'America/Mexico_City'")
    began = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    refuse(database, Run("dag", "run"), *BAD)
    ended = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    connection.execute(
        "INSERT INTO things_errors (error_type, created_at) VALUES ('other', '2001-02-03')"
    )
    groups = refused_groups(connection, things, Period("dag", "run", began, ended))
    assert [group.count for group in groups] == [2, 1]
    seen = groups[0].first_seen
    assert seen is not None
    assert abs(seen - NOW.replace(tzinfo=None)) < timedelta(days=1)


def test_texts_that_tell_no_time_are_left_out(connection, things):
    """None of them is cast, so none fails the count; those in UTC count to the second."""
    connection.execute(NINE.replace("created_at TIMESTAMP", "created_at TEXT"))
    moment = NOW.replace(microsecond=0)
    texts = [
        *(f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M:%S}.123+00", "yesterday", ""),
        *(f"{moment:%Y-%m-%d %H:%M:%S}+09", "2026-99-99 99:99:99", None, "infinity"),
    ]
    for text in texts:
        connection.execute("INSERT INTO things_errors (created_at) VALUES (%s)", (text,))
    (group,) = refused_groups(connection, things, PERIOD)
    plain = moment.replace(tzinfo=None)
    assert (group.count, group.first_seen, group.last_seen) == (2, plain, plain)


def test_a_written_time_that_no_calendar_has_is_shown_as_none(connection, things):
    connection.execute(NINE.replace("created_at TIMESTAMP", "created_at TEXT"))
    connection.execute("INSERT INTO things_errors (created_at) VALUES ('2026-02-31 10:00:00')")
    whole = Period("dag", "run", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    (group,) = refused_groups(connection, things, whole)
    assert (group.count, group.first_seen, group.last_seen) == (1, None, None)


@pytest.mark.parametrize("created_at", ["created_at BIGINT", "created_at TIME", "mine TEXT"])
def test_an_error_table_that_tells_neither_run_nor_time_is_named(connection, things, created_at):
    connection.execute(NINE.replace("created_at TIMESTAMP", created_at))
    with pytest.raises(ConfigurationError, match=r'"public.things_errors" has no columns dag_id'):
        refused_groups(connection, things, PERIOD)
