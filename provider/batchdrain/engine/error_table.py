"""The table `<table>_errors`: created when missing, taken as it is otherwise, never in the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import psycopg
from psycopg import errors
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Identifier

from batchdrain.engine.catalog import Table
from batchdrain.engine.creation import create_missing
from batchdrain.engine.error_data import storable, storable_text, stream_fields
from batchdrain.engine.failures import FailureClass, condition_name, failure_of
from batchdrain.engine.records import Refusal
from batchdrain.engine.run import Run
from batchdrain.engine.transaction import Command, send
from batchdrain.errors import ConfigurationError, SystemicError

_SUFFIX = "_errors"

_NAME_BYTES = 63
"""Longest identifier (NAMEDATALEN - 1); PostgreSQL would cut the suffix off silently."""

_LARGE = 100_000_000
"""Bytes from which a record may exceed jsonb's limit, at worst encoded and with many members."""

_CREATE = SQL("""
CREATE TABLE IF NOT EXISTS {table} (
    record_id       varchar,
    client_id       varchar(50),
    operation       varchar(20),
    error_type      varchar(50),
    error_message   text,
    field_id        varchar(50),
    record_data     jsonb,
    ver             varchar,
    created_at      timestamp,
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sqlstate        text,
    constraint_name text,
    queue           text,
    message_id      text,
    dag_id          text,
    run_id          text,
    attempts        integer NOT NULL DEFAULT 1,
    resolved_at     timestamptz,
    resolution      text
)""")

_COLUMNS = """
SELECT a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       t.typcategory = 'S',
       (WITH RECURSIVE base AS (
            SELECT a.atttypid AS type, a.atttypmod AS modifier
            UNION ALL
            SELECT d.typbasetype, d.typtypmod
              FROM base JOIN pg_catalog.pg_type AS d ON d.oid = base.type AND d.typtype = 'd')
        SELECT bool_or(base.modifier >= 0 OR b.typlen > 0)
          FROM base JOIN pg_catalog.pg_type AS b ON b.oid = base.type),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT')
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attgenerated = '' AND a.attidentity <> 'a'
 ORDER BY a.attnum"""

_WRITTEN = (
    "record_id",
    "client_id",
    "operation",
    "error_type",
    "error_message",
    "field_id",
    "record_data",
    "ver",
    "sqlstate",
    "constraint_name",
    "queue",
    "message_id",
    "dag_id",
    "run_id",
)
"""The columns that take a value of the row's; `created_at` takes the server's time in UTC."""

_INSERT = SQL("""
INSERT INTO {table} ({targets}) SELECT {sources} FROM json_to_recordset($1::json) AS r({given})""")

_SAVEPOINT = Command("SAVEPOINT refused", prepare=False)
_RELEASE = Command("RELEASE SAVEPOINT refused", prepare=False)
_BACK = Command("ROLLBACK TO SAVEPOINT refused", prepare=False)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One refused record, or one message that is malformed as a whole.

    `data` is what arrived; a stream entry without a message has `fields` instead. The texts are
    as jsonb shows the values. `queue` and `message_id` are None where there is no queue.
    """

    record_id: str | None
    client_id: str | None
    ver: str | None
    operation: str | None
    refusal: Refusal
    data: bytes | None
    fields: Mapping[bytes, bytes] | None
    queue: str | None
    message_id: str | None
    run: Run


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    text: bool
    bounded: bool

    @property
    def sure(self) -> bool:
        """Whether every value fits: texts are cut to size by the cast."""
        return (
            self.text
            or (self.name == "record_data" and self.type in ("jsonb", "json"))
            or (self.name == "created_at" and self.type.startswith("timestamp"))
        )

    @property
    def source(self) -> Composable:
        """The expression that an INSERT takes the value from."""
        if self.name != "created_at":
            value: Composable = SQL("r.{}").format(Identifier(self.name))
        elif self.type.endswith("with time zone"):
            value = SQL("now()")
        else:
            value = SQL("timezone('UTC', now())")
        return SQL("{}::{}").format(value, SQL(self.type))


def error_table_name(table: str) -> str:
    """Return the name of a table's error table; a name too long is cut and gets a hash."""
    name = table + _SUFFIX
    if len(name.encode()) <= _NAME_BYTES:
        return name
    tail = f"_{hashlib.sha256(table.encode()).hexdigest()[:8]}{_SUFFIX}"
    head = table.encode()[: _NAME_BYTES - len(tail)].decode(errors="ignore")
    return head + tail


class ErrorTable:
    """One table's error table, as far as the role may write it."""

    def __init__(self, table: Table, columns: Sequence[_Column]) -> None:
        self._table = table
        self._columns = columns
        self._statement = _insert_statement(table, columns)

    @classmethod
    def open(cls, connection: psycopg.Connection[Any], table: Table) -> Self:
        """Find or create the error table of `table`.

        Raises ConfigurationError when it can't be created, may not be written, or has no column
        that could keep a record whole.
        """
        found = cls.existing(connection, table)
        if found is not None:
            return found
        identifier = Identifier(table.schema, error_table_name(table.name))
        try:
            create_missing(connection, (_CREATE.format(table=identifier),))
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(may_not_create(table)) from error
        return cls(table, _usable(table, _columns(connection, table)))

    @classmethod
    def existing(cls, connection: psycopg.Connection[Any], table: Table) -> Self | None:
        """Find the error table of `table`, None where there is none.

        Raises ConfigurationError as `open` does, and changes nothing.
        """
        columns = _columns(connection, table)
        return cls(table, _usable(table, columns)) if columns else None

    @property
    def name(self) -> str:
        """The table's name with its schema, unquoted, for messages."""
        return f"{self._table.schema}.{error_table_name(self._table.name)}"

    def write(
        self,
        connection: psycopg.Connection[Any],
        rows: Sequence[ErrorRow],
        following: Sequence[Command] = (),
    ) -> None:
        """Insert the rows in the transaction at hand, in one round trip with what follows.

        A table that was changed or dropped since is looked at once more. Raises psycopg.Error when
        the failure is a transient one, SystemicError when the table doesn't take the rows.
        """
        values = _values(connection, rows)
        try:
            self._insert(connection, values, following)
        except psycopg.Error as error:
            _raise_transient(error)
        else:
            return
        send(connection, [_BACK])
        anew = ErrorTable.open(connection, self._table)
        sure = ErrorTable(self._table, [column for column in anew._columns if column.sure])
        self._statement = sure._statement
        try:
            self._insert(connection, values, following)
        except psycopg.Error as error:
            _raise_transient(error)
            of = error.diag.column_name or error.diag.constraint_name
            where = f' at "{of}"' if of else ""
            raise SystemicError(
                f'table "{self.name}" does not take refused records: '
                f"{condition_name(error.sqlstate or '')}{where}; nothing was consumed, "
                f"{_too_large(error, rows) or 'mend it'}"
            ) from None  # PostgreSQL's details quote the row.

    def _insert(
        self, connection: psycopg.Connection[Any], values: str, following: Sequence[Command]
    ) -> None:
        send(connection, [_SAVEPOINT, Command(self._statement, (values,)), _RELEASE, *following])


def _too_large(error: psycopg.Error, rows: Sequence[ErrorRow]) -> str | None:
    """Say which message is at fault where it is larger than what jsonb can keep."""
    largest = max(rows, key=lambda row: len(row.data or b""))
    size = len(largest.data or b"")
    if not isinstance(error, errors.ProgramLimitExceeded) or size < _LARGE:
        return None
    return (
        f"for message {largest.message_id} has {size} bytes, and a jsonb value ends at 256 MB: "
        "remove it from the queue by its id"
    )


def may_not_create(table: Table) -> str:
    """The sentence to fail with when the role may not create the error table of `table`."""
    return (
        f"the connection's role may not create table \"{table.schema}."
        f'{error_table_name(table.name)}" for refused records; create it, or GRANT CREATE ON '
        f'SCHEMA "{table.schema}" to the role'
    )


def _usable(table: Table, columns: Sequence[tuple[_Column, bool]]) -> list[_Column]:
    """Return the error table's columns that are written to."""
    name = error_table_name(table.name)
    shown = f"{table.schema}.{name}"
    writable = [column for column, may_insert in columns if may_insert]
    if not writable:
        raise ConfigurationError(
            f'the connection\'s role may not write refused records to table "{shown}"; '
            f'GRANT INSERT ON "{table.schema}"."{name}" to it'
        )
    known = [c for c in writable if c.name in _WRITTEN or c.name == "created_at"]
    if not any(c.name == "record_data" and (c.text or c.sure) for c in known):
        raise ConfigurationError(
            f'table "{shown}" has no column record_data of type jsonb that the role may '
            "write, so refused records could not be kept; add it, or rename the table"
        )
    if any(c.name == "record_data" and c.text and c.bounded for c in known):
        raise ConfigurationError(
            f'column record_data of table "{shown}" is too narrow to keep records whole; '
            f'ALTER TABLE "{table.schema}"."{name}" ALTER COLUMN record_data TYPE text'
        )
    return known


def _insert_statement(table: Table, columns: Sequence[_Column]) -> str:
    given = [column for column in columns if column.name in _WRITTEN]
    targets = [*given, *(column for column in columns if column.name == "created_at")]
    return _INSERT.format(
        table=Identifier(table.schema, error_table_name(table.name)),
        targets=SQL(", ").join(Identifier(column.name) for column in targets),
        sources=SQL(", ").join(column.source for column in targets),
        given=SQL(", ").join(SQL("{} text").format(Identifier(column.name)) for column in given),
    ).as_string()


def _columns(connection: psycopg.Connection[Any], table: Table) -> list[tuple[_Column, bool]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_COLUMNS, (table.schema, error_table_name(table.name)))
        return [(_Column(*column), may_insert) for *column, may_insert in cursor]


def _values(connection: psycopg.Connection[Any], rows: Sequence[ErrorRow]) -> str:
    """Return the rows as a JSON array of objects of texts, whose members _WRITTEN names."""
    every_character = connection.info.parameter_status("server_encoding") == "UTF8"
    bodies = iter(storable(connection, [row.data for row in rows if row.data is not None]))
    values: list[dict[str, str | None]] = []
    for row in rows:
        kept = {
            "record_id": row.record_id,
            "client_id": row.client_id,
            "operation": row.operation,
            "error_type": row.refusal.error_type,
            "error_message": row.refusal.message,
            "field_id": row.refusal.field,
            "ver": row.ver,
            "sqlstate": row.refusal.sqlstate,
            "constraint_name": row.refusal.constraint,
            "queue": row.queue,
            "message_id": row.message_id,
            "dag_id": row.run.dag_id or None,
            "run_id": row.run.run_id or None,
        }
        value = {name: storable_text(text, every_character) for name, text in kept.items()}
        if row.data is not None:
            value["record_data"] = next(bodies)
        else:
            fields = row.fields
            value["record_data"] = stream_fields(fields, every_character) if fields else None
        values.append(value)
    return msgspec.json.encode(values).decode()


def _raise_transient(error: psycopg.Error) -> None:
    if failure_of(error) in (FailureClass.TRANSIENT, FailureClass.TOO_SLOW):
        raise error
