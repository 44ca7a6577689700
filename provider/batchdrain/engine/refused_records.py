"""Finds refused records in `<table>_errors`, and records on their rows what became of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
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

_COPIED = ("error_type", "error_message", "field_id", "sqlstate", "constraint_name", "created_at")
"""What a record's row takes over from its newest refusal."""

_WIDTHS = """
SELECT column_name::text, character_maximum_length
  FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"""

_CONDITIONS = SQL("""resolved_at IS NULL
   AND (%(types)s::text[] IS NULL OR error_type = ANY(%(types)s))
   AND (%(clients)s::text[] IS NULL OR client_id = ANY(%(clients)s))
   AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
   AND (%(since)s::timestamptz IS NULL OR created_at >= timezone('UTC', %(since)s::timestamptz))
   AND (%(until)s::timestamptz IS NULL OR created_at < timezone('UTC', %(until)s::timestamptz))""")

_ROWS = SQL("""
SELECT id, record_id, operation, error_type, field_id, client_id, ver, record_data::text,
       created_at, attempts
  FROM {table} WHERE id > %(after)s AND {conditions} ORDER BY id LIMIT %(most)s""")

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
    """Which unresolved rows are meant; None stands for all. `until` is not included."""

    types: Sequence[str] | None = None
    clients: Sequence[str] | None = None
    ids: Sequence[int] | None = None
    since: datetime | None = None
    until: datetime | None = None


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
    """The refused records of one table."""

    def __init__(self, connection: psycopg.Connection[Any], table: Table) -> None:
        self.name = f"{table.schema}.{error_table_name(table.name)}"
        self._table = Identifier(table.schema, error_table_name(table.name))
        with connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_WIDTHS, (table.schema, error_table_name(table.name)))
            self._widths: dict[str, int | None] = dict(cursor.fetchall())
        self._check()

    def _check(self) -> None:
        if not self._widths:
            raise ConfigurationError(
                f'Nothing was ever refused: there is no table "{self.name}" that the role may read.'
            )
        missing = [
            f"ADD COLUMN {name} {kind}"
            for name, kind in _NEEDED.items()
            if name not in self._widths
        ]
        if missing:
            raise ConfigurationError(
                f'Table "{self.name}" can\'t tell what became of its records: '
                f"ALTER TABLE {self._table.as_string()} {', '.join(missing)}"
            )

    def read(
        self, connection: psycopg.Connection[Any], choice: Choice, after: int, most: int
    ) -> list[RefusedRecord]:
        """Return at most `most` of the chosen rows that are not resolved, behind the id `after`."""
        query = _ROWS.format(table=self._table, conditions=_CONDITIONS)
        values = {
            "after": after,
            "most": most,
            "types": None if choice.types is None else list(choice.types),
            "clients": None if choice.clients is None else list(choice.clients),
            "ids": None if choice.ids is None else list(choice.ids),
            "since": choice.since,
            "until": choice.until,
        }
        with connection.cursor(row_factory=tuple_row) as cursor:
            return [RefusedRecord(*row) for row in cursor.execute(query, values)]

    def record(self, row: RefusedRecord, mark: str) -> Record | str:
        """Return the record that was refused, or why it can't be applied again.

        `mark` and the row's id are its message id.
        """
        if row.operation is None or row.operation not in Operation.__members__:
            return "its operation is not known"
        members = {}
        for name, value in (("client_id", row.client_id), ("ver", row.ver)):
            width = self._widths.get(name)
            if value is not None and width is not None and len(value) >= width:
                return f"its {name} may have been clipped"
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
        present = [name for name in _COPIED if name in self._widths]
        copied = SQL(", ").join(SQL("{0} = new.{0}").format(Identifier(name)) for name in present)
        query = _AGAIN.format(table=self._table, copied=copied)
        changed = self._run(connection, query, {"ids": list(ids), "mark": mark})
        marks = [f"{mark}{each}" for each in ids]
        self._run(connection, _FORGET.format(table=self._table), {"marks": marks})
        return changed

    def _run(
        self, connection: psycopg.Connection[Any], query: Composed, values: Mapping[str, Any]
    ) -> int:
        try:
            return connection.execute(query, values).rowcount
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f'The role may not change table "{self.name}": GRANT SELECT, UPDATE, DELETE ON '
                f"{self._table.as_string()} to it."
            ) from error


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
