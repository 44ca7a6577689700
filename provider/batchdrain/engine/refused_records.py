"""Finds refused records in `<table>_errors`, and records on their rows what became of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from batchdrain.engine.catalog import Table
from batchdrain.engine.error_data import ENCODED, FIELDS
from batchdrain.engine.error_table import error_table_name
from batchdrain.engine.records import Operation, Record
from batchdrain.errors import ConfigurationError

_NEEDED = {
    "id": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "message_id": "text",
    "attempts": "integer NOT NULL DEFAULT 1",
    "resolved_at": "timestamptz",
    "resolution": "text",
}
"""What replaying takes beside the nine columns; tables that batchdrain creates have it."""

_NEEDED_BY_QUEUE = {"queue": "text"}
"""What it takes to tell the records of one queue from those of others."""

_COPIED = ("error_type", "error_message", "field_id", "sqlstate", "constraint_name", "created_at")
"""What a record's row takes over from its newest refusal."""

_COLUMNS = """
SELECT column_name::text, data_type::text, character_maximum_length
  FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"""

_OF_SCOPE = ("scope_mismatch", "scope_missing")
_WHOLE_NUMBERS = ("bigint", "integer", "smallint")
_MARK_LENGTH = 64
"""At most so many characters has the message id of a record that is applied again."""

_MOMENTS = {
    "timestamp without time zone": SQL("created_at"),
    "timestamp with time zone": SQL("timezone('UTC', created_at)"),
    "date": SQL("created_at::timestamp"),
}
"""How `created_at` becomes a time in UTC, by its type; other types tell no time."""

_CONDITIONS = SQL("""resolved_at IS NULL
   AND (%(queue)s::text IS NULL OR {queue} = %(queue)s)
   AND (%(types)s::text[] IS NULL OR {error_type} = ANY(%(types)s))
   AND (%(clients)s::text[] IS NULL OR {client_id} = ANY(%(clients)s))
   AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
   AND (%(most_attempts)s::bigint IS NULL OR attempts <= %(most_attempts)s)
   AND (%(since)s::timestamptz IS NULL OR {moment} >= timezone('UTC', %(since)s::timestamptz))
   AND (%(until)s::timestamptz IS NULL OR {moment} < timezone('UTC', %(until)s::timestamptz))""")

_READ_BYTES = 16 * 1024 * 1024
"""About so much of records is read at once: applying them takes several times their size."""

_ROWS = SQL("""
WITH chosen AS (
    SELECT id, {record_id} AS record_id, {operation} AS operation, {error_type} AS error_type,
           {field_id} AS field_id, {client_id} AS client_id, {ver} AS ver, {record_data} AS data,
           {moment} AS moment, attempts
      FROM {table} WHERE id > %(after)s AND {conditions} ORDER BY id LIMIT %(most)s),
measured AS (
    SELECT *, sum(octet_length(data)) OVER (ORDER BY id) AS bytes, min(id) OVER () AS first
      FROM chosen)
SELECT id, record_id, operation, error_type, field_id, client_id, ver, data, moment, attempts
  FROM measured WHERE id = first OR bytes IS NULL OR bytes <= %(bytes)s ORDER BY id""")

_TEXTS = (
    "record_id",
    "operation",
    "error_type",
    "field_id",
    "client_id",
    "ver",
    "record_data",
    "queue",
)
"""Columns that are read as texts, whatever they are; NULL where an error table has none."""

_RESOLVE = SQL("""
UPDATE {table} SET resolved_at = now(), resolution = %(resolution)s,
       attempts = attempts + %(tries)s
 WHERE id = ANY(%(ids)s) AND resolved_at IS NULL""")

_AGAIN = SQL("""
UPDATE {table} AS old SET attempts = old.attempts + 1, {copied}
  FROM {table} AS new
 WHERE new.message_id = %(mark)s || old.id AND old.id = ANY(%(ids)s) AND old.resolved_at IS NULL""")

_FORGET = SQL("DELETE FROM {table} WHERE message_id = ANY(%(marks)s)")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which unresolved rows are meant; None stands for all. `until` is not included.

    `most_attempts` leaves out records that were tried more often than that.
    """

    types: Sequence[str] | None = None
    clients: Sequence[str] | None = None
    ids: Sequence[int] | None = None
    since: datetime | None = None
    until: datetime | None = None
    most_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """One row: a refused record as far as the error table knows it; `data` is its JSON text."""

    id: int
    record_id: str | None
    operation: str | None
    error_type: str | None
    field: str | None
    client_id: str | None
    ver: str | None
    data: str | None
    created_at: datetime | None
    attempts: int


class RefusedRecords:
    """The refused records of one table, with a `queue` those that came from it alone.

    Raises ConfigurationError where the error table can't tell what it takes to replay them.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], table: Table, queue: str | None = None
    ) -> None:
        self._queue = queue
        self.name = f"{table.schema}.{error_table_name(table.name)}"
        self._table = Identifier(table.schema, error_table_name(table.name))
        self._scoped = bool(table.scope)
        with connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_COLUMNS, (table.schema, error_table_name(table.name)))
            columns = cursor.fetchall()
        self._types: dict[str, str] = {name: kind for name, kind, _ in columns}
        self._widths: dict[str, int | None] = {name: width for name, _, width in columns}
        self._check()

    def _check(self) -> None:
        if not self._types:
            raise ConfigurationError(
                f'Nothing was ever refused: there is no table "{self.name}" that the role may read.'
            )
        needed = _NEEDED if self._queue is None else _NEEDED | _NEEDED_BY_QUEUE
        missing = [
            f"ADD COLUMN {name} {kind}" for name, kind in needed.items() if name not in self._types
        ]
        if missing:
            raise ConfigurationError(
                f'Table "{self.name}" can\'t tell what became of its records: '
                f"ALTER TABLE {self._table.as_string()} {', '.join(missing)}"
            )
        widths = {"message_id": _MARK_LENGTH, "resolution": 10}
        if self._queue is not None:
            # As wide as the key, it could hold the clipped key of another queue.
            widths["queue"] = len(self._queue) + 1
        narrow = [name for name, least in widths.items() if (self._widths[name] or least) < least]
        if self._types["id"] not in _WHOLE_NUMBERS:
            narrow.append("id")
        if narrow:
            raise ConfigurationError(
                f'Column {narrow[0]} of table "{self.name}" must be of type '
                f"{needed[narrow[0]].split()[0]} for records to be applied again."
            )

    def read(
        self, connection: psycopg.Connection[Any], choice: Choice, after: int, most: int
    ) -> list[RefusedRecord]:
        """Return at most `most` of the chosen rows that are not resolved, behind the id `after`.

        They are fewer where their records are large, but none only when there is none.
        """
        moment = _MOMENTS.get(self._types.get("created_at", ""))
        if moment is None and (choice.since or choice.until):
            raise ConfigurationError(
                f'Column created_at of table "{self.name}" tells no time; choose records by '
                "something else."
            )
        texts = {
            name: SQL("{}::text").format(Identifier(name)) if name in self._types else SQL("NULL")
            for name in _TEXTS
        }
        moment = moment or SQL("NULL::timestamp")
        conditions = _CONDITIONS.format(moment=moment, **texts)
        query = _ROWS.format(table=self._table, conditions=conditions, moment=moment, **texts)
        values = {
            "after": after,
            "most": most,
            "bytes": _READ_BYTES,
            "queue": self._queue,
            "types": None if choice.types is None else list(choice.types),
            "clients": None if choice.clients is None else list(choice.clients),
            "ids": None if choice.ids is None else list(choice.ids),
            "since": choice.since,
            "until": choice.until,
            "most_attempts": choice.most_attempts,
        }
        with self._privileged(), connection.cursor(row_factory=tuple_row) as cursor:
            return [RefusedRecord(*row) for row in cursor.execute(query, values)]

    def record(self, row: RefusedRecord, mark: str) -> Record | str:
        """Return the record that was refused, or why it can't be applied again.

        `mark` and the row's id are its message id.
        """
        if row.error_type == "malformed_message":
            return "it was malformed; push it again once it is mended, and discard the row"
        if row.error_type in _OF_SCOPE and not self._scoped:
            return (
                "it was refused for its scope, and now its table has no scope columns: give the "
                "replay the scope of the drains"
            )
        if row.operation is None or row.operation not in Operation.__members__:
            return "its operation is not known"
        members = {}
        for name, value in (("client_id", row.client_id), ("ver", row.ver)):
            width = self._widths.get(name)
            if value is not None and width is not None and len(value) >= width:
                return f"its {name} may have been clipped"
            if value is not None and "\\" in value:
                return f"its {name} may have been escaped"
            if value is not None:
                members[name] = json.dumps(value).encode()
        data = _bytes_of(row.data)
        if data is None:
            return "it was no message"
        return Record(Operation(row.operation), data, members, f"{mark}{row.id}")

    def resolve(
        self, connection: psycopg.Connection[Any], ids: Sequence[int], resolution: str, tries: int
    ) -> int:
        """Note on rows what became of them; return of how many that was not noted before."""
        values = {"ids": list(ids), "resolution": resolution, "tries": tries}
        return self._run(connection, _RESOLVE.format(table=self._table), values)

    def refused_again(
        self, connection: psycopg.Connection[Any], ids: Sequence[int], mark: str
    ) -> int:
        """Let rows take over the newest refusals of their records, whose own rows go.

        Returns how many rows were not resolved before.
        """
        present = [name for name in _COPIED if name in self._types]
        copied = SQL(", ").join(SQL("{0} = new.{0}").format(Identifier(name)) for name in present)
        query = _AGAIN.format(table=self._table, copied=copied)
        changed = self._run(connection, query, {"ids": list(ids), "mark": mark})
        marks = [f"{mark}{each}" for each in ids]
        self._run(connection, _FORGET.format(table=self._table), {"marks": marks})
        return changed

    def _run(
        self, connection: psycopg.Connection[Any], query: Composed, values: Mapping[str, Any]
    ) -> int:
        with self._privileged():
            return connection.execute(query, values).rowcount

    @contextmanager
    def _privileged(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f'The role may not read and change table "{self.name}": GRANT SELECT, UPDATE, '
                f"DELETE ON {self._table.as_string()} to it."
            ) from error


def error_table_exists(connection: psycopg.Connection[Any], table: Table) -> bool:
    """Tell whether a table has a table of refused records that the role may read."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_COLUMNS, (table.schema, error_table_name(table.name)))
        return cursor.fetchone() is not None


def _bytes_of(text: str | None) -> bytes | None:
    """Return the bytes that `record_data` keeps (see `error_data`)."""
    if text is None:
        return None
    try:
        kept = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text.encode()
    if isinstance(kept, dict) and kept.keys() == {ENCODED} and isinstance(kept[ENCODED], str):
        return base64.b64decode(kept[ENCODED])
    if isinstance(kept, dict) and kept.keys() == {FIELDS}:
        return None
    return text.encode()
