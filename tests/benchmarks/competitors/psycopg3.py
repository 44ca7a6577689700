"""psycopg 3: one row at a time, executemany, and the plain set statements of the seed documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import psycopg

from benchmarks.competitors import Servers
from benchmarks.competitors.reading import (
    DELETE,
    INSERT,
    UPDATE,
    Values,
    deleted,
    inserted,
    updated,
)
from benchmarks.scenario import Scenario
from benchmarks.table import COLUMNS

_CASE = ("note", "amount", "active", "details")
_TYPES = {"note": "text", "amount": "numeric", "active": "boolean", "details": "jsonb"}


@dataclass(frozen=True, slots=True)
class _Operation:
    statement: str
    read: Callable[[Iterable[bytes]], list[Values]]


_OPERATIONS = {
    "insert": _Operation(INSERT, inserted),
    "update": _Operation(UPDATE, updated),
    "delete": _Operation(DELETE, deleted),
}


class OneRow:
    """One prepared statement per record, each committed by itself."""

    def __init__(self, operation: str) -> None:
        self._operation = _OPERATIONS[operation]

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        statement = self._operation.statement.format(table=scenario.table).encode()
        with psycopg.connect(servers.postgres, autocommit=True) as connection:

            def _run() -> None:
                cursor = connection.cursor()
                for message in chain.from_iterable(scenario.batches):
                    (values,) = self._operation.read((message,))
                    cursor.execute(statement, values, prepare=True)

            yield _run


class ExecuteLoop:
    """execute() in a loop, one transaction per batch."""

    def __init__(self, operation: str) -> None:
        self._operation = _OPERATIONS[operation]

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        statement = self._operation.statement.format(table=scenario.table).encode()
        with psycopg.connect(servers.postgres, autocommit=True) as connection:

            def _run() -> None:
                cursor = connection.cursor()
                for batch in scenario.batches:
                    rows = self._operation.read(batch)
                    with connection.transaction():
                        for values in rows:
                            cursor.execute(statement, values, prepare=True)

            yield _run


class Executemany:
    """executemany, which pipelines a prepared statement; one transaction per batch."""

    def __init__(self, operation: str) -> None:
        self._operation = _OPERATIONS[operation]

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        statement = self._operation.statement.format(table=scenario.table).encode()
        with psycopg.connect(servers.postgres, autocommit=True) as connection:

            def _run() -> None:
                cursor = connection.cursor()
                for batch in scenario.batches:
                    rows = self._operation.read(batch)
                    with connection.transaction():
                        cursor.executemany(statement, rows)

            yield _run


class SetStatements:
    """Multi-row VALUES, CASE and IN lists as anybody would write them: no checks, no results."""

    def __init__(self, operation: str) -> None:
        self._read = _OPERATIONS[operation].read
        self._write = {"insert": insert_values, "update": update_case, "delete": delete_in}[
            operation
        ]

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        with psycopg.connect(servers.postgres, autocommit=True) as connection:

            def _run() -> None:
                cursor = psycopg.RawCursor(connection)
                for batch in scenario.batches:
                    statement, values = self._write(scenario.table, self._read(batch))
                    cursor.execute(statement.encode(), values)

            yield _run


def insert_values(table: str, rows: Sequence[Values]) -> tuple[str, Values]:
    """Return one INSERT of all rows, and its parameters."""
    width = len(COLUMNS)
    groups = (
        "(" + ",".join(f"${row * width + place}" for place in range(1, width + 1)) + ")"
        for row in range(len(rows))
    )
    columns = ", ".join(COLUMNS)
    text = f"INSERT INTO {table} ({columns}) VALUES {','.join(groups)} RETURNING _id"
    return text, tuple(chain.from_iterable(rows))


def update_case(table: str, rows: Sequence[Values]) -> tuple[str, Values]:
    """Return one UPDATE of all rows with a CASE per column; all are of one scope."""
    parameters: list[object] = list(rows[0][-2:])
    places: list[dict[str, int]] = []
    for row in rows:
        first = len(parameters) + 1
        places.append({name: first + n for n, name in enumerate((*_CASE, "_id"))})
        parameters.extend(row[:5])
    settings = ", ".join(
        f"{name} = CASE _id "
        + " ".join(f"WHEN ${at['_id']}::uuid THEN ${at[name]}::{_TYPES[name]}" for at in places)
        + f" ELSE {name} END"
        for name in _CASE
    )
    keys = ",".join(f"${at['_id']}::uuid" for at in places)
    text = (
        f"UPDATE {table} SET {settings} WHERE _id IN ({keys}) "
        "AND _client_id = $1 AND _ver = $2 RETURNING _id"
    )
    return text, tuple(parameters)


def delete_in(table: str, rows: Sequence[Values]) -> tuple[str, Values]:
    """Return one DELETE of all rows; all are of one scope."""
    keys = ",".join(f"${number + 3}::uuid" for number in range(len(rows)))
    text = (
        f"DELETE FROM {table} WHERE _id IN ({keys}) AND _client_id = $1 AND _ver = $2 RETURNING _id"
    )
    return text, (*rows[0][1:], *(row[0] for row in rows))
