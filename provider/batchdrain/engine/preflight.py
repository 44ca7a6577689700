"""Looks at a database before drains rely on it; it creates and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from batchdrain.engine import preflight_query as query
from batchdrain.engine.catalog import Cutting, Table, missing_privilege, read_table
from batchdrain.engine.error_table_check import error_table_findings
from batchdrain.engine.position import Position, positions
from batchdrain.engine.records import Operation
from batchdrain.engine.session import told
from batchdrain.engine.statements.quoting import listed, qualified
from batchdrain.errors import BatchdrainError
from batchdrain.finding import Finding, Level

SERVER = "PostgreSQL"
STATE = "schema batchdrain"
"""The subjects of what is found about the server, and about the state in it."""

_OLDEST = 140_000
"""PostgreSQL 14, as server_version_num."""

_STATE_TABLES = ("batch_log", "position")


def server_findings(connection: psycopg.Connection[Any], address: str) -> list[Finding]:
    """Look at the server and the role; `address` names them in the findings."""
    return _found(connection, SERVER, lambda: _server(connection, address))


def state_findings(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Look at schema `batchdrain`: is it there and usable, or may the role create it."""
    return _found(connection, STATE, lambda: _state(connection))


def table_findings(
    connection: psycopg.Connection[Any],
    name: str,
    scope: Mapping[str, str],
    retried: str | None = None,
) -> list[Finding]:
    """Look at a table that is to be drained, and at its error table.

    `retried` is a queue of the table whose drains apply refused records again by themselves.
    """
    return _found(connection, f"table {name}", lambda: _table(connection, name, scope, retried))


def known_positions(
    connection: psycopg.Connection[Any], queues: Sequence[str]
) -> Mapping[str, Position]:
    """Return the rows of those of the queues that have one, none where they can't be read."""
    try:
        with _looking(connection):
            return positions(connection, queues)
    except psycopg.Error:
        return {}


def _found(
    connection: psycopg.Connection[Any], subject: str, look: Callable[[], list[Finding]]
) -> list[Finding]:
    """Look in a transaction that can't write; an error becomes a finding."""
    try:
        with _looking(connection):
            return look()
    except BatchdrainError as error:
        return [Finding.of_error(subject, error)]
    except psycopg.Error as error:
        return [Finding(Level.ERROR, subject, f"could not be looked at: {told(error)}")]


@contextmanager
def _looking(connection: psycopg.Connection[Any]) -> Iterator[None]:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query.LOOK)
        yield


def _server(connection: psycopg.Connection[Any], address: str) -> list[Finding]:
    version, number, standby, read_only, fsync, role, database, superuser = query.rows(
        connection, query.SERVER
    )[0]
    found = []
    if number < _OLDEST:
        what = f"{address} is version {version}; batchdrain needs PostgreSQL 14 or newer"
        found.append(Finding(Level.ERROR, SERVER, what, "upgrade the server"))
    else:
        what = f"{address} answers: version {version}, role {role}"
        found.append(Finding(Level.OK, SERVER, what))
    if standby:
        what = "it is a standby and takes no writes"
        do = "let the connection lead to the primary (extra field target_session_attrs: read-write)"
        found.append(Finding(Level.ERROR, SERVER, what, do))
    elif read_only:
        what = f'default_transaction_read_only is on for role "{role}" in database "{database}"'
        do = f'ALTER ROLE "{role}" IN DATABASE "{database}" SET default_transaction_read_only = off'
        found.append(Finding(Level.ERROR, SERVER, what, do))
    return [*found, *_durability(fsync), *_power(role, superuser)]


def _durability(fsync: bool) -> list[Finding]:
    """A commit that a crash takes back is lost: its messages have left Redis already.

    Against `synchronous_commit = off` batches help themselves.
    """
    if fsync:
        return []
    what = "fsync is off: a crash may lose records whose messages have left Redis"
    return [Finding(Level.WARNING, SERVER, what, "set fsync = on in postgresql.conf")]


def _power(role: str, superuser: bool) -> list[Finding]:
    if not superuser:
        return []
    what = f'role "{role}" is a superuser: whoever can write to Redis works with its rights'
    do = "give drains a role of their own that may write the drained tables only"
    return [Finding(Level.WARNING, SERVER, what, do)]


def _state(connection: psycopg.Connection[Any]) -> list[Finding]:
    exists, in_database, in_schema, usage, tables, missing = query.rows(connection, query.STATE)[0]
    lacking = [name for name in _STATE_TABLES if name not in tables]
    database = connection.info.dbname
    if lacking and not (in_database and in_schema):
        # CREATE SCHEMA IF NOT EXISTS wants the right also where the schema exists.
        rights = [f'GRANT CREATE ON DATABASE "{database}" TO the role'] * (not in_database)
        rights += ["GRANT CREATE ON SCHEMA batchdrain TO the role"] * (not in_schema)
        what = f"{' and '.join(lacking)} are missing, and the role may not create them"
        do = f"{'; '.join(rights)}; or let the first drain run as a role that may"
        return [Finding(Level.ERROR, STATE, what, do)]
    if not usage or missing:
        rights = ["USAGE ON SCHEMA batchdrain"] * (not usage) + missing
        what = "the role may not use its tables"
        do = "; ".join(f"GRANT {right} TO the role" for right in rights)
        return [Finding(Level.ERROR, STATE, what, do)]
    if lacking:
        first = "tables are" if exists else "schema and tables are"
        return [Finding(Level.OK, STATE, f"the {first} created by the first drain")]
    return [Finding(Level.OK, STATE, "there, and usable")]


def _table(
    connection: psycopg.Connection[Any], name: str, scope: Mapping[str, str], retried: str | None
) -> list[Finding]:
    subject = f"table {name}"
    table = read_table(connection, name, scope)
    found = [Finding(Level.OK, subject, _described(table))]
    lacking = [op for op in Operation if missing_privilege(table, [op])]
    if lacking:
        rights = sorted({"INSERT", "UPDATE", "DELETE"} - table.privileges)
        what = f"the role may not do {', '.join(lacking)}: such messages would stop its drain"
        do = f"GRANT {', '.join(rights)} ON {qualified(table)} to the role, unless none ever come"
        found.append(Finding(Level.WARNING, subject, what, do))
    found += _numbers(connection, table, subject)
    if "INSERT" in table.privileges:
        found += _closed_columns(table, subject)
    if table.cutting is Cutting.RECORD_BY_RECORD:
        what = f"drained record by record, because of {table.cutting_reason}"
        found.append(Finding(Level.INFO, subject, what, "nothing; it is slower than in sets"))
    return [*found, *error_table_findings(connection, table, retried)]


def _described(table: Table) -> str:
    scope = ", ".join(f"{each.column} = {each.member}" for each in table.scope) or "none"
    return f"{table.qualified_name}: key {', '.join(table.key)}; scope {scope}"


def _numbers(connection: psycopg.Connection[Any], table: Table, subject: str) -> list[Finding]:
    """A default that takes its value from a sequence needs a right of its own."""
    if "INSERT" not in table.privileges:
        return []
    return [
        Finding(
            Level.WARNING,
            subject,
            f'the role may not use {sequence}, which "{column}" takes its default from: a record '
            "without it would stop the drain",
            f"GRANT USAGE ON SEQUENCE {sequence} TO the role, unless none ever come",
        )
        for sequence, column in query.rows(connection, query.SEQUENCES, {"oid": table.oid})
    ]


def _closed_columns(table: Table, subject: str) -> list[Finding]:
    closed = [c.name for c in table.columns if not c.insertable and not c.computed]
    if not closed:
        return []
    columns = listed(closed)
    what = f"the role may not INSERT into {columns}: a record that has one would stop the drain"
    do = f"GRANT INSERT ({columns}) ON {qualified(table)} TO the role, unless none ever come"
    return [Finding(Level.WARNING, subject, what, do)]
