"""Reconciling tells every way in which the database can differ from the expectation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import batchdrain
from batchdrain.demo.expectation import ExpectedTable, expected_tables, reconcile

Target = psycopg.Connection[Any]
ERRORS = ("record_id", "operation", "error_type", "client_id", "ver")


@cache
def expected() -> dict[str, ExpectedTable]:
    return expected_tables()


def copy(connection: Target, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(query) as target:
        for row in rows:
            target.write_row(row)


@pytest.fixture(scope="module")
def drained(postgres_url: str) -> Iterator[Target]:
    """A database that holds exactly what is expected, in a transaction that is never committed."""
    with psycopg.connect(postgres_url, options="-c timezone=UTC") as connection:
        connection.execute("CREATE SCHEMA reconciled")
        connection.execute("SET search_path = reconciled")
        connection.execute((Path(batchdrain.__path__[0]) / "demo" / "schema.sql").read_bytes())
        for table, wanted in expected().items():
            rows = [
                tuple(
                    ("now" if cell else None) if column == "_updated_at" else cell
                    for column, cell in zip(wanted.columns, row, strict=True)
                )
                for row in wanted.rows.values()
            ]
            copy(connection, table, wanted.columns, rows)
        connection.execute(
            "CREATE TABLE flights_errors "
            "(record_id text, operation text, error_type text, client_id text, ver text)"
        )
        errors = expected()["flights"].errors
        copy(
            connection,
            "flights_errors",
            ERRORS,
            [tuple(getattr(error, name) for name in ERRORS) for error in errors],
        )
        yield connection
        connection.rollback()


@pytest.fixture
def changed(drained: Target) -> Iterator[Target]:
    """The same database; what the test changes is undone."""
    with drained.transaction(force_rollback=True):
        yield drained


def test_a_database_as_expected_has_no_differences(drained: Target) -> None:
    assert reconcile(drained, expected()) == []


def test_one_other_cell_is_told_with_its_row_and_column(changed: Target) -> None:
    changed.execute("UPDATE airports SET alt = alt + 1 WHERE faa = 'JFK'")

    assert reconcile(changed, expected()) == ["airports JFK: alt is 14, expected 13."]


def test_a_null_instead_of_a_value_is_told(changed: Target) -> None:
    changed.execute(
        "UPDATE flights SET tailnum = NULL WHERE (carrier, flight) = ('UA', 1545) "
        "AND time_hour = '2013-01-01T10:00:00Z'"
    )

    assert reconcile(changed, expected()) == [
        "flights UA, 1545, 2013-01-01 10:00:00+00:00: tailnum is None, expected 'N14228'."
    ]


def test_a_missing_row_and_a_surplus_row_are_told(changed: Target) -> None:
    """One key changed is both: a row that is missing and one that should not be there."""
    changed.execute("UPDATE airports SET faa = 'XXX' WHERE faa = '04G'")

    assert reconcile(changed, expected()) == [
        "airports: 1 rows are missing, such as 04G.",
        "airports: 1 rows should not be there, such as XXX.",
    ]


def test_a_record_applied_twice_shows_as_a_surplus_error(changed: Target) -> None:
    """An error row that is there twice differs from one that is there once."""
    changed.execute(
        "INSERT INTO flights_errors SELECT * FROM flights_errors "
        "ORDER BY record_id, operation LIMIT 1"
    )

    (difference,) = reconcile(changed, expected())
    assert difference.startswith("flights_errors: [")
    assert difference.endswith("isn't expected.")


def test_a_lost_error_row_is_told(changed: Target) -> None:
    changed.execute("DELETE FROM flights_errors WHERE operation = 'DELETE'")

    (difference,) = reconcile(changed, expected())
    assert "DELETE, not_found" in difference
    assert difference.endswith("is missing.")


def test_many_differences_are_counted_and_a_few_are_shown(changed: Target) -> None:
    changed.execute("UPDATE airlines SET _ver = '2'")

    differences = reconcile(changed, expected())
    assert len(differences) == 6
    assert differences[-1] == "airlines: 16 cells differ in all."
