"""Style `recordset`: the records' own JSON, expanded by jsonb_to_recordset on the server.

One parameter, whatever the number of records, and a text that depends on the shape alone, so that
it is prepared once. The column types come from the catalog; PostgreSQL does all converting.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchdrain.engine.catalog import Column, KeyRule, Table
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.conditions import in_scope, report, same_key
from batchdrain.engine.statements.quoting import (
    definition,
    listed,
    qualified,
    quoted,
    unused_name,
)
from batchdrain.engine.statements.shape import (
    UPDATED_AT,
    BoundStatement,
    SetStatement,
    Shape,
)


class Recordset:
    """The default style, for one table."""

    name = "recordset"

    def __init__(self, table: Table) -> None:
        self._table = table
        self._statements: dict[Shape, SetStatement] = {}

    def bind(self, shape: Shape, records: Sequence[bytes]) -> list[BoundStatement]:
        """Hand over all the records as one JSON array."""
        statement = self._statements.get(shape)
        if statement is None:
            statement = expanding(self._table, shape, "$1::jsonb")
            self._statements[shape] = statement
        return [BoundStatement(statement, (array_of(records),), range(len(records)))]


def array_of(records: Sequence[bytes]) -> str:
    """Return records (JSON objects) as one JSON array."""
    return f"[{b','.join(records).decode()}]"


def expanding(table: Table, shape: Shape, document: str, into: str = "") -> SetStatement:
    """Write the statement that expands the JSON array which the expression `document` gives.

    `into` is put behind the list of what a reporting statement returns (PL/pgSQL's INTO).
    """
    if shape.operation is Operation.INSERT:
        return _insert(table, shape, document)
    number = unused_name(table, "n")
    if table.rules:
        return _in_parts(table, shape, document, number, into)
    write = {
        Operation.UPDATE: _update,
        Operation.DELETE: _delete,
        Operation.UPSERT: _upsert,
    }[shape.operation]
    text = f"""WITH r AS MATERIALIZED ({_numbered(table, shape, document, number)}),
{write(table, shape, number, into)}"""
    return SetStatement(text, reports=True)


def sifting(table: Table, shape: Shape) -> SetStatement:
    """Write the statement of a sifted set of records; $1 is their JSON array.

    An INSERT leaves out the records whose key exists, and reports them. Where that can't be asked,
    because the key is left to a default or the role may not read it, it is a plain one.
    """
    asked = shape.operation is Operation.INSERT and set(table.key) <= set(shape.carried)
    if not asked or not table.privileges & {"UPDATE", "DELETE"}:
        return expanding(table, shape, "$1::jsonb")
    number = unused_name(table, "n")
    rows = _numbered(table, shape, "$1::jsonb", number)
    names = listed(shape.insert)
    looked_up, taken = _taken_by_array(table, rows) or _taken_by_record(table, rows)
    text = f"""WITH {looked_up},
i AS (INSERT INTO {qualified(table)} ({names}) SELECT {names} FROM r WHERE ({taken}) IS NOT TRUE)
SELECT array_agg({quoted(number)}) FROM r WHERE {taken}"""
    return SetStatement(text, reports=False, leaves=True)


def _taken_by_array(table: Table, rows: str) -> tuple[str, str] | None:
    """Look all keys up in one walk through the index, which takes a third of their look-ups' time.

    Returns the parts of WITH, and the condition that a record's key is taken; None for keys of
    several columns, and of types for which `= ANY` might compare in another way than `=`.
    """
    key = [column for column in table.columns if column.name in table.key]
    if len(key) != 1 or key[0].key_rule is KeyRule.ASK:
        return None
    name = quoted(key[0].name)
    parts = f"""r AS MATERIALIZED ({rows}),
taken AS MATERIALIZED (SELECT t.{name} FROM {qualified(table)} AS t
  WHERE t.{name} = ANY (ARRAY(SELECT r.{name} FROM r)))"""
    return parts, f"r.{name} IN (SELECT x.{name} FROM taken AS x)"


def _taken_by_record(table: Table, rows: str) -> tuple[str, str]:
    """Look up one key after the other; returns the same."""
    taken = quoted(unused_name(table, "taken"))
    parts = f"""r AS MATERIALIZED (SELECT r.*,
  EXISTS (SELECT FROM {qualified(table)} AS t WHERE {same_key(table)}) AS {taken}
  FROM ({rows}) AS r)"""
    return parts, taken


def _insert(table: Table, shape: Shape, document: str) -> SetStatement:
    if shape.insert:
        text = f"""INSERT INTO {qualified(table)} ({listed(shape.insert)})
SELECT {listed(shape.insert)} FROM {_rows(table, shape, document)}
{_key_order(table, shape)}"""
    else:
        text = f"INSERT INTO {qualified(table)} SELECT FROM jsonb_array_elements({document})"
    return SetStatement(text, reports=False)


def _in_parts(table: Table, shape: Shape, document: str, number: str, into: str) -> SetStatement:
    """Write the parts of a statement on a table with rules (see SetStatement)."""
    rows = _rows(table, shape, document)
    insert = None
    if shape.operation is Operation.DELETE:
        text = f"DELETE FROM {qualified(table)} AS t USING {rows} WHERE {in_scope(table)}"
    else:
        text = _assigning(table, shape)
        text = text and f"{text} FROM {rows} WHERE {in_scope(table)}"
    if shape.operation is Operation.UPSERT:
        insert = _insert(table, shape, document).text
    question = f"""WITH r AS MATERIALIZED ({_numbered(table, shape, document, number)})
{report(table, number, into, "true")}"""
    return SetStatement(text, reports=True, question=question, insert=insert)


def _update(table: Table, shape: Shape, number: str, into: str) -> str:
    return f"""u AS ({_changed_rows(table, shape, number)})
{report(table, number, into, _unapplied(number))}"""


def _delete(table: Table, _: Shape, number: str, into: str) -> str:
    return f"""u AS (DELETE FROM {qualified(table)} AS t USING r
  WHERE {in_scope(table)} RETURNING r.{quoted(number)})
{report(table, number, into, _unapplied(number))}"""


def _upsert(table: Table, shape: Shape, number: str, into: str) -> str:
    """Update what exists in scope, insert what does not exist at all.

    Both parts see the table as it was when the statement began, so a row is never touched twice.
    """
    return f"""u AS ({_changed_rows(table, shape, number)}),
i AS (INSERT INTO {qualified(table)} ({listed(shape.insert)})
  SELECT {listed(shape.insert)} FROM r
  WHERE NOT EXISTS (SELECT FROM {qualified(table)} AS t WHERE {same_key(table)})
  RETURNING 1)
{report(table, number, into, _unapplied(number), missing="false")}"""


def _changed_rows(table: Table, shape: Shape, number: str) -> str:
    """An UPDATE that returns the numbers of the records it found; a look-up if it sets nothing."""
    update = _assigning(table, shape)
    if not update:
        return f"SELECT r.{quoted(number)} FROM {qualified(table)} AS t JOIN r ON {in_scope(table)}"
    return f"{update} FROM r WHERE {in_scope(table)} RETURNING r.{quoted(number)}"


def _assigning(table: Table, shape: Shape) -> str:
    """The beginning of an UPDATE; empty when it sets nothing."""
    assignments = [f"{quoted(name)} = r.{quoted(name)}" for name in shape.update]
    if shape.touch:
        assignments.append(f"{quoted(UPDATED_AT)} = CURRENT_TIMESTAMP")
    return f"UPDATE {qualified(table)} AS t SET {', '.join(assignments)}" if assignments else ""


def _rows(table: Table, shape: Shape, document: str) -> str:
    return f"jsonb_to_recordset({document}) AS r({_definitions(table, shape)})"


def _numbered(table: Table, shape: Shape, document: str, number: str) -> str:
    """Every record converted and numbered from 1, in key order so that locks are taken in it."""
    return f"""SELECT * FROM ROWS FROM (jsonb_to_recordset({document}) AS (
  {_definitions(table, shape)})) WITH ORDINALITY AS r({listed(shape.carried)}, {quoted(number)})
  ORDER BY {", ".join(f"r.{quoted(name)}" for name in table.key)}"""


def _unapplied(number: str) -> str:
    # Not by EXISTS: that makes it a join, and without hash joins one of all pairs.
    return f"r.{quoted(number)} NOT IN (SELECT u.{quoted(number)} FROM u)"


def _key_order(table: Table, shape: Shape) -> str:
    names = [name for name in table.key if name in shape.carried]
    return f"ORDER BY {listed(names)}" if names else ""


def _definitions(table: Table, shape: Shape) -> str:
    return ", ".join(definition(column) for column in _columns(table, shape.carried))


def _columns(table: Table, names: tuple[str, ...]) -> list[Column]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in names]
