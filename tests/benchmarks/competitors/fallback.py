"""The seed documents' way with bad records: a failed batch is done again one record at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from batchdrain.engine import BatchEngine
from benchmarks.competitors import Servers
from benchmarks.competitors.psycopg3 import insert_values
from benchmarks.competitors.reading import INSERT, Values, inserted
from benchmarks.scenario import Scenario

_REFUSED = """INSERT INTO {table}_errors (record_id, client_id, operation, error_type,
error_message, ver, created_at) VALUES (%s, %s, 'INSERT', %s, %s, %s, CURRENT_TIMESTAMP)"""


@contextmanager
def one_by_one(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """A multi-row INSERT per batch; if it fails, each record in a savepoint of its own.

    All of a batch's records share one transaction, so that they share one flush to the disk.
    """
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
                    _each(connection, scenario.table, rows)

        yield _run


def _each(
    connection: psycopg.Connection[tuple[object, ...]], table: str, rows: list[Values]
) -> None:
    insert = INSERT.format(table=table).encode()
    refused = _REFUSED.format(table=table).encode()
    cursor = connection.cursor()
    with connection.transaction():
        for row in rows:
            cursor.execute(b"SAVEPOINT one", prepare=True)
            try:
                cursor.execute(insert, row, prepare=True)
            except psycopg.Error as error:
                cursor.execute(b"ROLLBACK TO SAVEPOINT one")
                reason = (row[0], row[1], error.sqlstate, str(error), row[2])
                cursor.execute(refused, reason, prepare=True)
            else:
                cursor.execute(b"RELEASE SAVEPOINT one", prepare=True)
