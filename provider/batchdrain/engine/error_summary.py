"""Counts what one run had refused, table by table, from `<table>_errors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier, Literal

from batchdrain.engine.catalog import Table
from batchdrain.engine.error_table import error_table_name

MOST_GROUPS = 100
"""Rows of a summary per table; clients may be many, and a log is no place for all of them."""

_COLUMNS = """
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, NULL)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
 WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
   AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')"""

_GROUPS = SQL("""
SELECT {error_type}::text, {field_id}::text, {client_id}::text, count(*),
       min({moment}), max({moment}), min({record_id}::text)
  FROM {table}
 WHERE {condition}
 GROUP BY 1, 2, 3
 ORDER BY 4 DESC, 1, 2, 3
 LIMIT {most}""")

_NEEDED = ("error_type", "field_id", "client_id", "created_at", "record_id")

_OF_RUN = SQL("dag_id = %(dag_id)s AND run_id = %(run_id)s")

_IN_TIME = SQL("""
{moment} BETWEEN date_trunc({unit}, timezone('UTC', %(begin)s::timestamptz))
             AND timezone('UTC', %(end)s::timestamptz) + interval '1 second'
""")

_MOMENTS = {
    "timestamp without time zone": SQL("{}"),
    "timestamp with time zone": SQL("timezone('UTC', {})"),
    "date": SQL("{}::timestamp"),
}
"""How `created_at` becomes a time in UTC, by its type; other types tell no time."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Refused records of one type, field and client; times in UTC, `example` is a record id.

    A part is None where the records have none, or where the error table lacks its column.
    """

    error_type: str | None
    field: str | None
    client_id: str | None
    count: int
    first_seen: datetime | None
    last_seen: datetime | None
    example: str | None


@dataclass(frozen=True, slots=True)
class Period:
    """Which refused records count: those of a run, or for older error tables those of its time."""

    dag_id: str
    run_id: str
    begin: datetime
    end: datetime


def refused_groups(
    connection: psycopg.Connection[Any], table: Table, period: Period
) -> Sequence[ErrorGroup]:
    """Count the refused records of a table, the largest of at most MOST_GROUPS groups first.

    Error tables that batchdrain has created know the run; of others, everything that was written
    while the run applied batches counts, to the second or the day as `created_at` tells it. Empty
    where there is no error table, it can't be read, or neither run nor time is to be known.
    """
    name = error_table_name(table.name)
    with connection.cursor(row_factory=tuple_row) as cursor:
        present: dict[str, str] = dict(cursor.execute(_COLUMNS, (table.schema, name)).fetchall())
        if not present:
            return []
        columns = {
            column: Identifier(column) if column in present else SQL("NULL") for column in _NEEDED
        }
        of_run = {"dag_id", "run_id"} <= present.keys()
        moment = _MOMENTS.get(present.get("created_at", ""))
        if not of_run and moment is None:
            return []
        time = SQL("NULL::timestamp") if moment is None else moment.format(columns["created_at"])
        unit = Literal("day" if present.get("created_at") == "date" else "second")
        query = _GROUPS.format(
            **columns,
            table=Identifier(table.schema, name),
            moment=time,
            condition=_OF_RUN if of_run else _IN_TIME.format(moment=time, unit=unit),
            most=SQL(str(MOST_GROUPS)),
        )
        parameters = {
            "dag_id": period.dag_id,
            "run_id": period.run_id,
            "begin": period.begin,
            "end": period.end,
        }
        return [ErrorGroup(*row) for row in cursor.execute(query, parameters)]
