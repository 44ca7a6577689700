"""PostgreSQL for tests: the server at BATCHDRAIN_TEST_POSTGRES, or else an embedded one.

The variable holds a URL whose user may create databases and roles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from batchdrain.demo.servers import PostgresServer


@contextmanager
def fresh_database(server_url: str, encoding: str | None = None) -> Iterator[str]:
    """Create an empty database on a server, give its URL, and drop it even when it is in use."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if encoding is not None:
            create += sql.SQL(" TEMPLATE template0 LOCALE 'C' ENCODING {}").format(encoding)
            if connection.info.server_version >= 150000:
                create += sql.SQL(" LOCALE_PROVIDER libc")
        connection.execute(create)
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of the maintenance database of the session's server."""
    given = os.environ.get("BATCHDRAIN_TEST_POSTGRES")
    if given:
        yield given
        return
    with PostgresServer(fsync=False) as server:
        yield server.url


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """URL of a database of the test's own."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An autocommit connection to the test's own database."""
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_postgres() -> Iterator[PostgresServer]:
    """The embedded server behind `own_postgres`, one for all tests of a module."""
    with PostgresServer(fsync=False) as server:
        yield server


@pytest.fixture
def own_postgres(module_postgres: PostgresServer) -> Iterator[PostgresServer]:
    """An embedded server that the test may stop, kill and start; runs when the test begins."""
    module_postgres.start()
    yield module_postgres
    module_postgres.start()


@pytest.fixture
def own_database(own_postgres: PostgresServer) -> Iterator[str]:
    """URL of a database of the test's own on `own_postgres`."""
    with fresh_database(own_postgres.url) as url:
        yield url
        own_postgres.start()
