"""Style `recordset`: the records' own JSON, expanded by jsonb_to_recordset on the server.

One parameter, whatever the number of records, and a text that depends on the shape alone, so that
it is prepared once. The column types come from the catalog; PostgreSQL does all converting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batchdrain.engine.catalog import Column, Table
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.quoting import (
    definition,
    listed,
    qualified,
    quoted,
    unused_name,
)
from batchdrain.engine.statements.shape import UPDATED_AT, SetStatement, Shape


class Recordset:
    """The default style."""

    name = "recordset"

    def statement(self, table: Table, shape: Shape) -> SetStatement:
        """Write the statement for records of `shape`."""
        return expanding(table, shape, "$1::jsonb")

    def parameters(self, records: Sequence[bytes]) -> tuple[Any, ...]:
        """Join the records into one JSON array."""
        return (f"[{b','.join(records).decode()}]",)


def expanding(table: Table, shape: Shape, document: str, into: str = "") -> SetStatement:
    """Write the statement that expands the JSON array which the expression `document` gives.

    `into` is put behind the list of what a reporting statement returns (PL/pgSQL's INTO).
    """
    if shape.operation is Operation.INSERT:
        return _insert(table, shape, document)
    number = unused_name(table, "n")
    write = {
        Operation.UPDATE: _update,
        Operation.DELETE: _delete,
        Operation.UPSERT: _upsert,
    }[shape.operation]
    text = f"""WITH r AS MATERIALIZED ({_numbered(table, shape, document, number)}),
{write(table, shape, number, into)}"""
    return SetStatement(text, reports=True)


def _insert(table: Table, shape: Shape, document: str) -> SetStatement:
    text = f"""INSERT INTO {qualified(table)} ({listed(shape.insert)})
SELECT {listed(shape.insert)}
FROM jsonb_to_recordset({document}) AS r({_definitions(table, shape)})
{_key_order(table, shape)}"""
    return SetStatement(text, reports=False)


def _update(table: Table, shape: Shape, number: str, into: str) -> str:
    return f"""u AS ({_changed_rows(table, shape, number)})
{_report(table, number, into)}"""


def _delete(table: Table, _: Shape, number: str, into: str) -> str:
    return f"""u AS (DELETE FROM {qualified(table)} AS t USING r
  WHERE {_in_scope(table)} RETURNING r.{quoted(number)})
{_report(table, number, into)}"""


def _upsert(table: Table, shape: Shape, number: str, into: str) -> str:
    """Update what exists in scope, insert what does not exist at all.

    Both parts see the table as it was when the statement began, so a row is never touched twice.
    """
    return f"""u AS ({_changed_rows(table, shape, number)}),
i AS (INSERT INTO {qualified(table)} ({listed(shape.insert)})
  SELECT {listed(shape.insert)} FROM r
  WHERE NOT EXISTS (SELECT FROM {qualified(table)} AS t WHERE {_same_key(table)})
  RETURNING 1)
SELECT NULL::bigint[], array_agg(r.{quoted(number)}) {into}
FROM r WHERE NOT EXISTS (SELECT FROM u WHERE u.{quoted(number)} = r.{quoted(number)})
AND EXISTS (SELECT FROM {qualified(table)} AS t WHERE {_same_key(table)})"""


def _changed_rows(table: Table, shape: Shape, number: str) -> str:
    """An UPDATE that returns the numbers of the records it found; a look-up if it sets nothing."""
    assignments = [f"{quoted(name)} = r.{quoted(name)}" for name in shape.update]
    if shape.touch:
        assignments.append(f"{quoted(UPDATED_AT)} = CURRENT_TIMESTAMP")
    if not assignments:
        return (
            f"SELECT r.{quoted(number)} FROM {qualified(table)} AS t JOIN r ON {_in_scope(table)}"
        )
    return f"""UPDATE {qualified(table)} AS t SET {", ".join(assignments)}
  FROM r WHERE {_in_scope(table)} RETURNING r.{quoted(number)}"""


def _numbered(table: Table, shape: Shape, document: str, number: str) -> str:
    """Every record converted and numbered from 1, in key order so that locks are taken in it."""
    return f"""SELECT * FROM ROWS FROM (jsonb_to_recordset({document}) AS (
  {_definitions(table, shape)})) WITH ORDINALITY AS r({listed(shape.carried)}, {quoted(number)})
  ORDER BY {", ".join(f"r.{quoted(name)}" for name in table.key)}"""


def _report(table: Table, number: str, into: str) -> str:
    n = quoted(number)
    return f"""SELECT array_agg({n}) FILTER (WHERE NOT present),
  array_agg({n}) FILTER (WHERE present) {into}
FROM (SELECT r.{n},
    EXISTS (SELECT FROM {qualified(table)} AS t WHERE {_same_key(table)}) AS present
  FROM r WHERE NOT EXISTS (SELECT FROM u WHERE u.{n} = r.{n})) AS missing"""


def _same_key(table: Table) -> str:
    return " AND ".join(f"t.{quoted(name)} = r.{quoted(name)}" for name in table.key)


def _in_scope(table: Table) -> str:
    names = dict.fromkeys([*table.key, *(scope.column for scope in table.scope)])
    return " AND ".join(f"t.{quoted(name)} = r.{quoted(name)}" for name in names)


def _key_order(table: Table, shape: Shape) -> str:
    names = [name for name in table.key if name in shape.carried]
    return f"ORDER BY {listed(names)}" if names else ""


def _definitions(table: Table, shape: Shape) -> str:
    return ", ".join(definition(column) for column in _columns(table, shape.carried))


def _columns(table: Table, names: tuple[str, ...]) -> list[Column]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in names]
