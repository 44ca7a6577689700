"""Airflow's insert_rows, psycopg2's execute_values and asyncpg's executemany."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg2
import psycopg2.extras

from benchmarks.competitors import Servers
from benchmarks.competitors.reading import inserted, inserted_typed
from benchmarks.scenario import Scenario
from benchmarks.table import COLUMNS


@contextmanager
def insert_rows(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """`PostgresHook.insert_rows`, which commits every batch."""
    # Airflow reads its configuration as soon as it is imported.
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import Connection

    url = urlsplit(servers.postgres)
    connection = Connection(
        conn_id="bench",
        conn_type="postgres",
        host=url.hostname,
        port=url.port,
        login=url.username,
        password=url.password,
        schema=url.path.lstrip("/"),
    )
    hook: Any = PostgresHook(connection=connection)
    size = len(scenario.batches[0])

    def _run() -> None:
        rows = (row for batch in scenario.batches for row in inserted(batch))
        hook.insert_rows(scenario.table, rows, target_fields=COLUMNS, commit_every=size)

    yield _run


@contextmanager
def execute_values(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """psycopg2's execute_values, a batch at a time."""
    statement = f"INSERT INTO {scenario.table} ({', '.join(COLUMNS)}) VALUES %s"
    with closing(psycopg2.connect(servers.postgres)) as connection:

        def _run() -> None:
            with connection.cursor() as cursor:
                for batch in scenario.batches:
                    rows = inserted(batch)
                    psycopg2.extras.execute_values(cursor, statement, rows, page_size=len(rows))
                    connection.commit()

        yield _run


@contextmanager
def asyncpg_executemany(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """asyncpg's executemany, one transaction per batch."""
    places = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
    statement = f"INSERT INTO {scenario.table} ({', '.join(COLUMNS)}) VALUES ({places})"
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(servers.postgres))

        async def _insert() -> None:
            for batch in scenario.batches:
                rows = inserted_typed(batch)
                async with connection.transaction():
                    await connection.executemany(statement, rows)

        yield lambda: runner.run(_insert())
        runner.run(connection.close())
