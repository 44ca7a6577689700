"""The rows of an error table, looked at page by page."""

from __future__ import annotations

import psycopg
import pytest

from batchdrain.engine.catalog import read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import Operation, Record
from batchdrain.engine.refused_view import Kind, RefusedView, Shown, tables_with_errors
from batchdrain.engine.run import Run
from batchdrain.errors import ConfigurationError, TransientError

NULL_NAME = ("not_null_violation", "name")
BAD_ID = ("invalid_text_representation", "id")


@pytest.fixture
def things(connection, database):
    """A table of which two runs had five records refused; the first of them is resolved."""
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
    for run, records in (("one", [1, 2, 3]), ("two", [4, "secret"])):
        with BatchEngine(
            lambda: psycopg.connect(database, autocommit=True), "things", run=Run("dag", run)
        ) as engine:
            engine.apply([record(each) for each in records])
    connection.execute("UPDATE things_errors SET resolved_at = now(), resolution = 'applied'")
    connection.execute("UPDATE things_errors SET resolved_at = NULL WHERE id > 1")
    return read_table(connection, "things")


def record(number: int | str) -> Record:
    shown = f'"{number}"' if isinstance(number, str) else number
    return Record(Operation.INSERT, f'{{"id": {shown}}}'.encode(), {"client_id": b'"c"'})


def test_the_newest_unresolved_rows_come_first_without_values(connection, things):
    view = RefusedView(connection, things)
    rows = view.rows(Shown(), 0, 10)
    assert [row.record_id for row in rows] == ["secret", "4", "3", "2"]
    newest = rows[0]
    assert (newest.error_type, newest.field) == BAD_ID
    assert (newest.operation, newest.client_id, newest.run_id) == ("INSERT", "c", "two")
    assert "invalid input syntax" not in str(newest)


def test_they_are_narrowed_by_type_and_run_and_turned_page_by_page(connection, things):
    view = RefusedView(connection, things)

    def ids(skipped: int = 0, most: int = 10, **shown) -> list[str | None]:
        return [row.record_id for row in view.rows(Shown(**shown), skipped, most)]

    assert ids(run_id="one") == ["3", "2"]
    assert ids(run_id="one", unresolved=False) == ["3", "2", "1"]
    assert ids(error_type=BAD_ID[0]) == ["secret"]
    assert ids(error_type="' OR true --") == []
    assert ids(2, 1) == ["3"]


def test_the_ids_of_what_is_shown_are_told_unless_they_are_too_many(connection, things):
    view = RefusedView(connection, things)
    assert view.ids(Shown(run_id="one"), 2) == [2, 3]
    assert view.ids(Shown(run_id="two", error_type=BAD_ID[0]), 2) == [5]
    assert view.ids(Shown(run_id="three"), 2) == []
    assert view.ids(Shown(), 3) is None


def test_the_tenth_row_is_newer_than_the_ninth(connection, things):
    connection.execute(
        "INSERT INTO things_errors (record_id) SELECT n FROM generate_series(6, 12) n"
    )
    newest = RefusedView(connection, things).rows(Shown(), 0, 4)
    assert [row.record_id for row in newest] == ["12", "11", "10", "9"]


def test_kinds_are_counted_the_most_frequent_first(connection, things):
    kinds = RefusedView(connection, things).kinds(Shown())
    assert kinds == [Kind(*NULL_NAME, 3), Kind(*BAD_ID, 1)]


def test_one_row_shows_the_record_and_postgresqls_words(connection, things):
    view = RefusedView(connection, things)
    row = view.row("5")
    assert row is not None
    assert row["record_data"] == '{"id": "secret"}'
    assert "secret" in (row["error_message"] or "")
    assert view.row("99") is None


def test_an_error_table_of_the_users_own_is_shown_as_far_as_it_goes(connection):
    """The nine columns, without id, run and resolution."""
    connection.execute("CREATE TABLE orders (id integer PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE orders_errors (record_id varchar, error_type varchar(50), created_at date)"
    )
    connection.execute(
        "INSERT INTO orders_errors VALUES ('old', 'a', '2025-03-06'), ('new', 'b', '2025-03-07')"
    )
    view = RefusedView(connection, read_table(connection, "orders"))
    assert (view.exists, view.has_ids, view.knows_runs, view.knows_resolutions) == (
        True,
        False,
        False,
        False,
    )
    rows = view.rows(Shown(run_id="any"), 0, 10)
    assert [(row.id, row.record_id, row.created_at) for row in rows] == [
        (None, "new", "2025-03-07"),
        (None, "old", "2025-03-06"),
    ]
    assert view.row("1") is None
    assert view.ids(Shown(), 10) is None
    connection.execute("ALTER TABLE orders_errors ADD id text DEFAULT 'x'")
    assert RefusedView(connection, read_table(connection, "orders")).ids(Shown(), 10) is None


def test_a_table_without_refused_records_has_none(connection):
    connection.execute("CREATE TABLE orders (id integer PRIMARY KEY)")
    assert not RefusedView(connection, read_table(connection, "orders")).exists
    assert tables_with_errors(connection) == []


def test_tables_with_errors_are_found_in_every_schema(connection, things):
    connection.execute("CREATE SCHEMA s")
    connection.execute("CREATE TABLE s.orders (id integer); CREATE TABLE s.orders_errors (id int)")
    connection.execute("CREATE TABLE s.items (id integer)")
    found = tables_with_errors(connection)
    assert found == [("public", "things", True), ("s", "orders", False)]


def test_nothing_is_changed_and_no_page_takes_long(connection, database, things):
    """Another has locked the table: that is said after some seconds, and the lock is left."""
    view = RefusedView(connection, things)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE things_errors IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TransientError, match="took more than 5 s"):
            view.rows(Shown(), 0, 10)
    assert len(view.rows(Shown(), 0, 10)) == 4


def test_a_role_that_may_not_read_it_sees_none(connection, database, things, make_role):
    role = make_role("GRANT SELECT, INSERT ON things TO {role}")
    with psycopg.connect(database, options=f"-c role={role}", autocommit=True) as as_role:
        assert not RefusedView(as_role, things).exists
        connection.execute(f"GRANT SELECT (error_type, id) ON things_errors TO {role}".encode())
        view = RefusedView(as_role, things)
        assert [row.record_id for row in view.rows(Shown(), 0, 1)] == [None]
        connection.execute(f"REVOKE ALL ON things_errors FROM {role}".encode())
        with pytest.raises(ConfigurationError, match="may not read table"):
            view.rows(Shown(), 0, 1)
