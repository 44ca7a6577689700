"""What the engine asks PostgreSQL about records before it applies them."""

from __future__ import annotations

from batchdrain.engine.catalog import Column, Table
from batchdrain.engine.statements.quoting import definition, listed, quoted, unused_name

AS_JSONB = "SELECT $1::jsonb::text"
"""Returns a JSON text in jsonb's own words, or fails as jsonb fails."""

ALL_JSONB = "SELECT count(t::jsonb) FROM unnest($1::text[]) AS t"
"""Fails when one of the JSON texts in $1 is not jsonb."""


def same_keys(table: Table) -> str:
    """Return the statement that numbers keys so that equal ones, after the cast, share a number.

    $1 is a JSON array of objects with the key columns; the answer is one array, in their order.
    """
    number = unused_name(table, "n")
    names = listed(table.key)
    return f"""SELECT array_agg(rank ORDER BY {quoted(number)}) FROM (
SELECT {quoted(number)}, dense_rank() OVER (ORDER BY {names}) AS rank
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS ({_key_definitions(table)}))
WITH ORDINALITY AS r({names}, {quoted(number)})) AS ranked"""


def convertible_keys(table: Table) -> str:
    """Return the statement that fails when one of the keys in $1 does not convert."""
    values = " + ".join(f"count({quoted(name)})" for name in table.key)
    return f"SELECT {values} FROM jsonb_to_recordset($1::jsonb) AS r({_key_definitions(table)})"


def same_value(column: Column) -> str:
    """Return the statement that tells whether $1's two values of a column, `a` and `b`, are one."""
    values = ", ".join(definition(column, name) for name in ("a", "b"))
    return f"SELECT a = b FROM jsonb_to_record($1::jsonb) AS r({values})"


def conversion(column: Column, document: str = "$1::jsonb") -> str:
    """Return what, behind SELECT, fails when a record's value of the column does not convert.

    `document` is an expression for the record.
    """
    return (
        f"count({quoted(column.name)}) FROM jsonb_to_record({document}) AS r({definition(column)})"
    )


def _key_definitions(table: Table) -> str:
    columns = {column.name: column for column in table.columns}
    return ", ".join(definition(columns[name]) for name in table.key)
