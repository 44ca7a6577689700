"""Engines on the test's own database, and the roles that they act as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol
from uuid import uuid4

import psycopg
import pytest

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import BatchResult, Operation, Record
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings


def refused(result: BatchResult) -> dict[int, str]:
    """The error types of the refused records, by their place in the batch."""
    return {n: r.refusal.error_type for n, r in enumerate(result.results) if r.refusal is not None}


def value(connection: psycopg.Connection[Any], query: str) -> Any:
    """The first column of a query's first row."""
    (first, *_) = connection.execute(query.encode()).fetchone() or (None,)
    return first


class MakeRecord(Protocol):
    """Makes a record of scope c1 / 1 from a mapping or from its very bytes."""

    def __call__(self, operation: str, data: dict[str, Any] | bytes) -> Record: ...


class OpenEngine(Protocol):
    """Opens an engine that is closed when the test ends; options are those of EngineSettings.

    A test that wants other styles than the default asks for the fixture `style`, too.
    """

    def __call__(
        self, table: str, *, role: str | None = None, queue: str | None = None, **options: Any
    ) -> BatchEngine: ...


class MakeRole(Protocol):
    """Makes a role with these grants ({role} is its name) that is dropped when the test ends."""

    def __call__(self, *grants: str) -> str: ...


@pytest.fixture
def record() -> MakeRecord:
    """See MakeRecord."""

    def make(operation: str, data: dict[str, Any] | bytes) -> Record:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return Record(Operation(operation), raw, {"client_id": b'"c1"', "ver": b'"1"'})

    return make


@pytest.fixture
def style() -> str:
    """The statement style of the engines that `open_engine` opens; modules parametrize it."""
    return STATEMENT_STYLES[0]


@pytest.fixture
def open_engine(database: str, style: str) -> Iterator[OpenEngine]:
    """See OpenEngine."""
    opened: list[BatchEngine] = []

    def make(
        table: str, *, role: str | None = None, queue: str | None = None, **options: Any
    ) -> BatchEngine:
        server_options = f"-c role={role}" if role else ""
        engine = BatchEngine(
            lambda: psycopg.connect(database, options=server_options),
            table,
            queue=queue,
            settings=EngineSettings(**{"statement_style": style, **options}),
        )
        opened.append(engine)
        return engine

    yield make
    for engine in opened:
        engine.close()


@pytest.fixture
def make_role(connection: psycopg.Connection[Any]) -> Iterator[MakeRole]:
    """See MakeRole."""
    made: list[str] = []

    def make(*grants: str) -> str:
        role = f"r{uuid4().hex}"
        connection.execute(f"CREATE ROLE {role}".encode())
        made.append(role)
        for grant in grants:
            connection.execute(grant.replace("{role}", role).encode())
        return role

    yield make
    for role in made:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
