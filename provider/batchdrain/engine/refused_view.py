"""Looks at the rows of `<table>_errors`, resolved ones too, page by page and without a change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from batchdrain.engine.catalog import Table
from batchdrain.engine.error_table import error_table_name
from batchdrain.errors import ConfigurationError, TransientError

MOST_GROUPS = 50
"""Kinds of errors that a page counts."""

_SECONDS = 5
"""How long PostgreSQL may work on one page: an error table may be large, and has no index."""

_LISTED = (
    "id",
    "created_at",
    "operation",
    "error_type",
    "field_id",
    "client_id",
    "record_id",
    "attempts",
    "resolution",
    "run_id",
)
_WHOLE = (
    *_LISTED,
    "ver",
    "error_message",
    "sqlstate",
    "constraint_name",
    "queue",
    "message_id",
    "dag_id",
    "resolved_at",
    "record_data",
)
"""All that a row may tell; `error_message` and `record_data` hold the record's values."""

_ORDER = ("id", "created_at", "record_id")
"""The newest come first, by the first of these columns that there is."""

_COLUMNS = """
SELECT a.attname::text
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
 WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
   AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')"""

_TABLES = r"""
SELECT n.nspname::text, c.relname::text, pg_catalog.pg_table_is_visible(c.oid)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
 ORDER BY 1, 2"""

_GROUPS = SQL("""
SELECT {error_type}, {field_id}, count(*) FROM {table} WHERE {condition}
 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {most}""")

_ROWS = SQL("""
SELECT {columns} FROM {table} AS e WHERE {condition} ORDER BY {order}
 LIMIT {most} OFFSET {skipped}""")

_IDS = SQL("SELECT id::text FROM {table} WHERE {condition} LIMIT {most}")

_ROW = SQL("SELECT {columns} FROM {table} WHERE id::text = %(id)s")


_SETTINGS = SQL(
    "SET LOCAL statement_timeout = {}; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'"
).format(_SECONDS * 1000)


@dataclass(frozen=True, slots=True)
class Shown:
    """Which rows are shown; None stands for all."""

    error_type: str | None = None
    run_id: str | None = None
    unresolved: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """How many rows have this error type and field."""

    error_type: str | None
    field: str | None
    count: int


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row without the record's values, each column as text; None where there is none."""

    id: str | None
    created_at: str | None
    operation: str | None
    error_type: str | None
    field: str | None
    client_id: str | None
    record_id: str | None
    attempts: str | None
    resolution: str | None
    run_id: str | None


class RefusedView:
    """The error table of one table, as far as the role may read it."""

    def __init__(self, connection: psycopg.Connection[Any], table: Table) -> None:
        self._connection = connection
        name = error_table_name(table.name)
        self.name = f"{table.schema}.{name}"
        self._table = Identifier(table.schema, name)
        with connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_COLUMNS, (table.schema, name))
            self._columns = frozenset(column for (column,) in cursor)

    @property
    def exists(self) -> bool:
        """Whether there is an error table that the role may read."""
        return bool(self._columns)

    @property
    def knows_runs(self) -> bool:
        """Whether rows tell their run."""
        return "run_id" in self._columns

    @property
    def knows_resolutions(self) -> bool:
        """Whether rows tell what became of their records."""
        return "resolved_at" in self._columns

    @property
    def has_ids(self) -> bool:
        """Whether one row can be named."""
        return "id" in self._columns

    def kinds(self, shown: Shown) -> list[Kind]:
        """Count the rows by error type and field, the most frequent of MOST_GROUPS first.

        Raises TransientError when that takes too long, as `rows` and `row` do.
        """
        query = _GROUPS.format(
            error_type=self._text("error_type"),
            field_id=self._text("field_id"),
            table=self._table,
            condition=self._condition(shown),
            most=Literal(MOST_GROUPS),
        )
        return [Kind(*row) for row in self._read(query, shown)]

    def rows(self, shown: Shown, skipped: int, most: int) -> list[ListedRow]:
        """Return at most `most` rows, the newest first, without the first `skipped`."""
        # Without e. it would be the text in the list of columns, where 10 comes before 9.
        order = [SQL("e.{} DESC NULLS LAST").format(Identifier(name)) for name in self._order()]
        query = _ROWS.format(
            columns=SQL(", ").join(self._text(name) for name in _LISTED),
            table=self._table,
            condition=self._condition(shown),
            order=SQL(", ").join(order) if order else SQL("1"),
            most=Literal(most),
            skipped=Literal(skipped),
        )
        return [ListedRow(*row) for row in self._read(query, shown)]

    def ids(self, shown: Shown, most: int) -> list[int] | None:
        """Return the ids of all the rows, as a replay takes them.

        None where they are more than `most`, or have none that is a number.
        """
        if not self.has_ids:
            return None
        query = _IDS.format(
            table=self._table, condition=self._condition(shown), most=Literal(most + 1)
        )
        found = [row_id for (row_id,) in self._read(query, shown)]
        if len(found) > most or not all(map(_is_number, found)):
            return None
        return sorted(map(int, found))

    def row(self, row_id: str) -> dict[str, str | None] | None:
        """Return a whole row, the record's values included; None if there is none of this id."""
        if not self.has_ids:
            return None
        present = [name for name in _WHOLE if name in self._columns]
        query = _ROW.format(
            columns=SQL(", ").join(self._text(name) for name in present), table=self._table
        )
        found = self._read(query, Shown(), row_id)
        return dict(zip(present, found[0], strict=True)) if found else None

    def _order(self) -> list[str]:
        return [name for name in _ORDER if name in self._columns][:1]

    def _text(self, name: str) -> Composable:
        if name not in self._columns:
            return SQL("NULL::text")
        return SQL("{}::text").format(Identifier(name))

    def _condition(self, shown: Shown) -> Composable:
        conditions: list[Composable] = [SQL("true")]
        if shown.error_type is not None:
            conditions.append(SQL("{} = %(error_type)s").format(self._text("error_type")))
        if shown.run_id is not None and self.knows_runs:
            conditions.append(SQL("{} = %(run_id)s").format(self._text("run_id")))
        if shown.unresolved and self.knows_resolutions:
            conditions.append(SQL("resolved_at IS NULL"))
        return SQL(" AND ").join(conditions)

    def _read(
        self, query: Composed, shown: Shown, row_id: str | None = None
    ) -> Sequence[tuple[Any, ...]]:
        values = {"error_type": shown.error_type, "run_id": shown.run_id, "id": row_id}
        with (
            _bounded(self._connection, self.name),
            self._connection.cursor(row_factory=tuple_row) as cursor,
        ):
            return cursor.execute(query, values).fetchall()


def tables_with_errors(connection: psycopg.Connection[Any]) -> list[tuple[str, str, bool]]:
    """Return schema and name of each table that has an error table.

    The third says whether the search_path finds the table without its schema.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_TABLES).fetchall()
    names = {(schema, name) for schema, name, _ in found}
    return [
        (schema, name, visible)
        for schema, name, visible in found
        if (schema, error_table_name(name)) in names
    ]


def _is_number(row_id: str | None) -> bool:
    """Whether it is a whole number; a table of the user's own may have any type, and NULL."""
    return row_id is not None and re.fullmatch(r"-?[0-9]+", row_id) is not None


@contextmanager
def _bounded(connection: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Read only, and not for long."""
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(_SETTINGS)
            yield
    except psycopg.errors.QueryCanceled:
        raise TransientError(
            f'Reading table "{name}" took more than {_SECONDS} s: narrow it down by error type, '
            "or give the table an index."
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise ConfigurationError(f'The role may not read table "{name}".') from None
