"""The table that is written to: its definition, its content before, and the proof afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

from benchmarks.records import CLIENT_ID, VER, Record

CANOTA = "canota"
CANOTA_UNIQUE = "canota_unique"
"""The same with a unique index besides the primary key's."""

COLUMNS = (
    "_id",
    "_client_id",
    "_ver",
    "quantity",
    "note",
    "amount",
    "active",
    "noted_at",
    "details",
)

_CREATE = """
CREATE TABLE {table} (
    _id        uuid PRIMARY KEY,
    _client_id varchar(50) NOT NULL,
    _ver       varchar(20) NOT NULL,
    quantity   integer,
    note       text NOT NULL,
    amount     numeric(14, 2),
    active     boolean,
    noted_at   timestamptz,
    details    jsonb
);
CREATE INDEX ON {table} (noted_at)"""

_EXPECTED = "canota_expected"

_FINGERPRINT = """
SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} AS t"""

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class WrongContentError(Exception):
    """A table does not hold what it should after a measurement."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How many rows a table has, and a sum over their hashes, whatever their order."""

    rows: int
    checksum: Decimal


def create(connection: psycopg.Connection[Any]) -> None:
    """Create the tables."""
    for table in (CANOTA, CANOTA_UNIQUE, _EXPECTED):
        connection.execute(_CREATE.format(table=table).encode())
    connection.execute(f"CREATE UNIQUE INDEX ON {CANOTA_UNIQUE} (quantity)".encode())


def copy_block(records: Iterable[Record]) -> bytes:
    """Return rows in the format of COPY."""
    return b"".join(map(_copy_line, records))


def copy_statement(table: str) -> bytes:
    """Return the COPY command that takes blocks."""
    return f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN".encode()


def fill(connection: psycopg.Connection[Any], table: str, block: bytes) -> None:
    """Let a table hold a block of rows, and no refused records; PostgreSQL knows its statistics."""
    connection.execute(f"TRUNCATE {table}".encode())
    if _exists(connection, f"{table}_errors"):
        connection.execute(f"TRUNCATE {table}_errors".encode())
    if block:
        with connection.cursor().copy(copy_statement(table)) as copy:
            copy.write(block)
    connection.execute(f"VACUUM ANALYZE {table}".encode())


def fingerprint(connection: psycopg.Connection[Any], table: str) -> Fingerprint:
    """Return what identifies a table's content."""
    row = connection.execute(_FINGERPRINT.format(table=table).encode()).fetchone()
    assert row is not None
    return Fingerprint(*row)


def expected(connection: psycopg.Connection[Any], records: Sequence[Record]) -> Fingerprint:
    """Return the fingerprint of a table with these rows, from a table of its own."""
    fill(connection, _EXPECTED, copy_block(records))
    return fingerprint(connection, _EXPECTED)


def check(
    connection: psycopg.Connection[Any], table: str, after: Fingerprint, refused: int
) -> None:
    """Compare a table, and the refused records beside it, with what they should be.

    Raises WrongContentError.
    """
    found = fingerprint(connection, table)
    if found != after:
        raise WrongContentError(f"{table} has {found.rows} rows, not the {after.rows} expected")
    errors = 0
    if _exists(connection, f"{table}_errors"):
        (errors,) = connection.execute(
            f"SELECT count(*) FROM {table}_errors".encode()
        ).fetchone() or (0,)
    if errors != refused:
        raise WrongContentError(f"{table}_errors has {errors} rows, not {refused}")


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    (found,) = connection.execute(b"SELECT to_regclass(%s)", (table,)).fetchone() or (None,)
    return found is not None


def _copy_line(record: Record) -> bytes:
    values = (
        record["_id"],
        CLIENT_ID,
        VER,
        str(record["quantity"]),
        record["note"].translate(_ESCAPES),
        str(record["amount"]),
        "t" if record["active"] else "f",
        record["noted_at"],
        msgspec.json.encode(record["details"]).decode().translate(_ESCAPES),
    )
    return "\t".join(values).encode() + b"\n"
