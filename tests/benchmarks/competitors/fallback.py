"""The seed documents' way with bad records: a failed batch is done again one record at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from batchdrain.engine import BatchEngine
from benchmarks.competitors import Servers
from benchmarks.competitors.psycopg3 import insert_values
from benchmarks.competitors.reading import INSERT, Values, inserted
from benchmarks.scenario import Scenario

_REFUSED = """INSERT INTO {table}_errors (record_id, client_id, operation, error_type,
error_message, ver, created_at) VALUES (%s, %s, 'INSERT', %s, %s, %s, CURRENT_TIMESTAMP)"""


class OneByOne:
    """A multi-row INSERT per batch; if that fails, its records one at a time from the client.

    Each is committed by itself, as the old service did, or with `savepoints` in one of its own, so
    that a batch has one transaction and one flush to the disk, at the price of two more statements
    per record.
    """

    def __init__(self, *, savepoints: bool) -> None:
        self._redo = _in_savepoints if savepoints else _by_themselves

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        with (
            BatchEngine(lambda: psycopg.connect(servers.postgres), scenario.table) as engine,
            psycopg.connect(servers.postgres, autocommit=True) as connection,
        ):
            # For the error table.
            engine.open()

            def _run() -> None:
                cursor = psycopg.RawCursor(connection)
                for batch in scenario.batches:
                    rows = inserted(batch)
                    statement, values = insert_values(scenario.table, rows)
                    try:
                        cursor.execute(statement.encode(), values)
                    except psycopg.Error:
                        self._redo(connection, scenario.table, rows)

            yield _run


def _by_themselves(connection: psycopg.Connection[Any], table: str, rows: list[Values]) -> None:
    insert = INSERT.format(table=table).encode()
    cursor = connection.cursor()
    for row in rows:
        try:
            cursor.execute(insert, row, prepare=True)
        except psycopg.Error as error:
            _refuse(cursor, table, row, error)


def _in_savepoints(connection: psycopg.Connection[Any], table: str, rows: list[Values]) -> None:
    insert = INSERT.format(table=table).encode()
    cursor = connection.cursor()
    with connection.transaction():
        for row in rows:
            cursor.execute(b"SAVEPOINT one", prepare=True)
            try:
                cursor.execute(insert, row, prepare=True)
            except psycopg.Error as error:
                cursor.execute(b"ROLLBACK TO SAVEPOINT one")
                _refuse(cursor, table, row, error)
            else:
                cursor.execute(b"RELEASE SAVEPOINT one", prepare=True)


def _refuse(cursor: psycopg.Cursor[Any], table: str, row: Values, error: psycopg.Error) -> None:
    reason = (row[0], row[1], error.sqlstate, str(error), row[2])
    cursor.execute(_REFUSED.format(table=table).encode(), reason, prepare=True)
