"""Counts what one run had refused, table by table, from `<table>_errors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from batchdrain.engine.catalog import Table
from batchdrain.engine.error_table import error_table_name
from batchdrain.errors import ConfigurationError

MOST_GROUPS = 100
"""Rows of a summary per table; clients may be many, and a log is no place for all of them."""

_COLUMNS = """
SELECT a.attname::text,
       CASE WHEN t.typcategory = 'S' THEN 'text'
            ELSE pg_catalog.format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL) END
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
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

# Casting would fail at the first text that is no time, so texts are compared as far as they go.
_IN_WRITTEN_TIME = SQL("""
{moment} BETWEEN left(to_char(timezone('UTC', %(begin)s::timestamptz), {written}), length({moment}))
             AND left(to_char(timezone('UTC', %(end)s::timestamptz), {written}), length({moment}))
""")

_WRITTEN = "YYYY-MM-DD HH24:MI:SS"

_ISO = "^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}(:[0-9]{2}){0,2})?)([.][0-9]*)?(Z|[+]00(:?00)?)?$"
"""A date or time in UTC to the second, as ISO 8601 and PostgreSQL write it; others are not read."""

_MOMENTS = {
    "timestamp without time zone": SQL("{created_at}"),
    "timestamp with time zone": SQL("timezone('UTC', {created_at})"),
    "date": SQL("{created_at}::timestamp"),
    "text": SQL("translate(substring({created_at}::text, {iso}), 'T', ' ') COLLATE \"C\""),
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
    where there is no error table, or the role may read none of its columns. Raises
    ConfigurationError when neither run nor time is to be known, psycopg.Error when the server
    can't count the rows.
    """
    name = error_table_name(table.name)
    with connection.cursor(row_factory=tuple_row) as cursor:
        present: dict[str, str] = dict(cursor.execute(_COLUMNS, (table.schema, name)).fetchall())
        if not present:
            return []
        query = _query(table, name, present)
        parameters = {
            "dag_id": period.dag_id,
            "run_id": period.run_id,
            "begin": period.begin,
            "end": period.end,
        }
        return [
            ErrorGroup(error_type, field, client_id, count, _moment(first), _moment(last), example)
            for error_type, field, client_id, count, first, last, example in cursor.execute(
                query, parameters
            )
        ]


def _query(table: Table, name: str, present: Mapping[str, str]) -> Composed:
    columns = {
        column: Identifier(column) if column in present else SQL("NULL") for column in _NEEDED
    }
    kind = present.get("created_at", "")
    of_run = {"dag_id", "run_id"} <= present.keys()
    if kind in _MOMENTS:
        moment = _MOMENTS[kind].format(created_at=columns["created_at"], iso=Literal(_ISO))
    elif of_run:
        moment = Composed([SQL("NULL::timestamp")])
    else:
        raise ConfigurationError(
            f'table "{table.schema}.{name}" has no columns dag_id and run_id, and no created_at '
            "that holds a time, so its rows can't be told apart by run; "
            f'ALTER TABLE "{table.schema}"."{name}" to have a created_at of type timestamp'
        )
    in_time = _IN_WRITTEN_TIME if kind == "text" else _IN_TIME
    unit = Literal("day" if kind == "date" else "second")
    return _GROUPS.format(
        **columns,
        table=Identifier(table.schema, name),
        moment=moment,
        condition=_OF_RUN
        if of_run
        else in_time.format(moment=moment, unit=unit, written=Literal(_WRITTEN)),
        most=Literal(MOST_GROUPS),
    )


def _moment(told: datetime | str | None) -> datetime | None:
    if not isinstance(told, str):
        return told
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return None
