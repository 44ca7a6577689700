"""Looks at the error table of a table before a drain relies on it; it creates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from batchdrain.engine import catalog_query
from batchdrain.engine import preflight_query as query
from batchdrain.engine.catalog import Table
from batchdrain.engine.error_table import ErrorTable, error_table_name, may_not_create
from batchdrain.engine.refused_records import RefusedRecords
from batchdrain.engine.statements.quoting import quoted
from batchdrain.errors import ConfigurationError
from batchdrain.finding import Finding, Level

_CONTRACT: dict[str, int | None] = {
    "record_id": None,
    "client_id": 50,
    "operation": 20,
    "error_type": 50,
    "error_message": None,
    "field_id": 50,
    "record_data": None,
    "ver": None,
    "created_at": None,
}
"""The columns of an error table and their most characters, None for any (CONTRACT)."""

_MORE = ("sqlstate", "constraint_name", "queue", "message_id", "dag_id", "run_id")
"""What is written, too, where a table has such columns; all of it may be NULL."""

_REPLAYING = ("SELECT", "UPDATE", "DELETE")
"""What replaying takes beside INSERT."""

_ALWAYS = ("error_type", "error_message", "record_data", "created_at")
"""What every refused record has; a stream entry without fields lacks record_data."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    most: int | None
    refuses_null: bool
    default: bool


def error_table_findings(
    connection: psycopg.Connection[Any], table: Table, retried: str | None = None
) -> list[Finding]:
    """Look at the error table of a table: does it exist, or may it be created; is it wide enough.

    `retried` is a queue of the table whose drains apply refused records again, by the option
    reference_retries. Raises psycopg.Error.
    """
    try:
        found = ErrorTable.existing(connection, table)
    except ConfigurationError as error:
        return [Finding.of_error(_subject(table), error)]
    names = {"schema": table.schema, "table": error_table_name(table.name)}
    if found is None:
        if query.rows(connection, query.MAY_CREATE, names)[0][0]:
            return [Finding(Level.OK, _subject(table), "created by the first drain")]
        return [Finding.of_error(_subject(table), ConfigurationError(may_not_create(table)))]
    columns = [_Column(*row) for row in query.rows(connection, query.ERROR_COLUMNS, names)]
    judged = [
        *_refusing(columns, table),
        *_narrow(columns, table),
        *_lacking(columns, table),
        *_replay(connection, table, retried),
    ]
    return judged or [Finding(Level.OK, _subject(table), "there, and as wide as it should be")]


def _refusing(columns: Sequence[_Column], table: Table) -> list[Finding]:
    """Find columns that would not take the NULL that they may get."""
    findings = []
    for column in columns:
        written = column.name in _CONTRACT or column.name in _MORE
        if not column.refuses_null or (column.name in _ALWAYS if written else column.default):
            continue
        if written:
            level = Level.WARNING
            what = f"{column.name} takes no NULL: a refused record without one stops the drain"
        else:
            level = Level.ERROR
            what = f"{column.name} takes no NULL and has no default, so no refused record fits in"
        do = f"ALTER TABLE {_quoted(table)} ALTER COLUMN {quoted(column.name)} DROP NOT NULL"
        findings.append(Finding(level, _subject(table), what, do))
    return findings


def _narrow(columns: Sequence[_Column], table: Table) -> list[Finding]:
    narrow = [
        column
        for column in columns
        if column.name in _CONTRACT
        and column.most is not None
        and column.most < (_CONTRACT[column.name] or column.most + 1)
    ]
    if not narrow:
        return []
    changes = ", ".join(f'ALTER COLUMN "{c.name}" TYPE {_wanted(c.name)}' for c in narrow)
    what = f"values are clipped in {', '.join(f'{c.name} {c.type}' for c in narrow)}"
    do = f"ALTER TABLE {_quoted(table)} {changes}, or live with it"
    return [Finding(Level.WARNING, _subject(table), what, do)]


def _lacking(columns: Sequence[_Column], table: Table) -> list[Finding]:
    present = {column.name for column in columns}
    lacking = [name for name in _CONTRACT if name not in present]
    if not lacking:
        return []
    what = f"it has no {', '.join(lacking)}, so this is not kept of a refused record"
    added = ", ".join(f'ADD COLUMN "{name}" {_wanted(name)}' for name in lacking)
    do = f"ALTER TABLE {_quoted(table)} {added}, or live with it"
    return [Finding(Level.INFO, _subject(table), what, do)]


def _replay(
    connection: psycopg.Connection[Any], table: Table, retried: str | None
) -> list[Finding]:
    level, what = Level.INFO, "refused records can't be applied again from it"
    if retried is not None:
        level, what = Level.WARNING, f"{what}, though reference_retries asks drains to"
    try:
        RefusedRecords(connection, table, retried)
    except ConfigurationError as error:
        _, _, statement = str(error).partition(": ")
        return [Finding(level, _subject(table), what, statement or str(error))]
    names = {"schema": table.schema, "table": error_table_name(table.name)}
    *_, privileges = query.rows(connection, catalog_query.RELATION, names)[0]
    lacking = [right for right in _REPLAYING if right not in privileges]
    if lacking:
        what += f": the role may not {', '.join(lacking)}"
        do = f"GRANT {', '.join(lacking)} ON {_quoted(table)} TO the role, if it is to replay"
        return [Finding(level, _subject(table), what, do)]
    return []


def _subject(table: Table) -> str:
    return f"table {table.schema}.{error_table_name(table.name)}"


def _quoted(table: Table) -> str:
    return f"{quoted(table.schema)}.{quoted(error_table_name(table.name))}"


def _wanted(name: str) -> str:
    if name == "created_at":
        return "timestamp"
    most = _CONTRACT[name]
    return "text" if most is None else f"varchar({most})"
