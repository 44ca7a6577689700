"""What the database must hold after the drain, worked out from the CSV files in plain Python.

Nothing here uses the messages or the engine: it is the second opinion that the demo reconciles
with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

from batchdrain.demo.dataset import Row, sample

Cell = str | int | float | bool | datetime | None
Key = tuple[Cell, ...]
SHOWN = 5
"""How many differing cells or rows a report names one by one."""


@dataclass(frozen=True, slots=True, order=True)
class ExpectedError:
    """One row of `<table>_errors`."""

    record_id: str
    operation: str
    error_type: str
    client_id: str
    ver: str


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """A table's rows by key, the rows of its error table, and how many records led there.

    `key` and `columns` name the key's columns and all columns; a row holds its cells in the order
    of `columns`. Instead of `_updated_at` itself, a cell tells whether it is set.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    records: int
    rows: dict[Key, tuple[Cell, ...]] = field(default_factory=dict)
    errors: list[ExpectedError] = field(default_factory=list)

    def add(self, row: Mapping[str, Cell]) -> None:
        """Take a row, given by column name."""
        key = tuple(row[column] for column in self.key)
        self.rows[key] = tuple(row[column] for column in self.columns)

    @property
    def applied(self) -> int:
        """How many records the table took."""
        return self.records - len(self.errors)


def expected_tables() -> dict[str, ExpectedTable]:
    """Return what each table must hold once every message has been drained, by table name."""
    airlines, airports = sample("airlines"), sample("airports")
    known = {str(row["faa"]) for row in airports}
    carriers = {str(row["carrier"]) for row in airlines}
    return {
        "airlines": _reference("carrier", "IATA", airlines, {}),
        "airports": _reference(
            "faa", "FAA", airports, {"lat": float, "lon": float, "alt": int, "tz": int}
        ),
        "flights": _flights(sample("flights"), known, carriers),
    }


def _reference(
    key: str, client: str, rows: list[Row], numbers: Mapping[str, Callable[[str], Cell]]
) -> ExpectedTable:
    scope: dict[str, Cell] = {"_client_id": client, "_ver": "1", "_updated_at": False}
    table = ExpectedTable((key,), (*rows[0], *scope), records=len(rows))
    for row in rows:
        cells: dict[str, Cell] = dict(row)
        for column, convert in numbers.items():
            cells[column] = convert(str(row[column]))
        table.add(cells | scope)
    return table


FLIGHT_KEY = ("carrier", "flight", "time_hour")
FLIGHT_COLUMNS = (
    *FLIGHT_KEY,
    "origin",
    "dest",
    "status",
    "sched_dep_time",
    "sched_arr_time",
    "distance",
    "tailnum",
    "dep_time",
    "dep_delay",
    "arr_time",
    "arr_delay",
    "air_time",
    "_client_id",
    "_ver",
    "_updated_at",
)
INTEGERS = ("flight", "distance", "dep_delay", "arr_delay", "air_time")
TIMES = ("sched_dep_time", "sched_arr_time", "dep_time", "arr_time")


def _flights(rows: list[Row], airports: set[str], carriers: set[str]) -> ExpectedTable:
    table = ExpectedTable(FLIGHT_KEY, FLIGHT_COLUMNS, records=2 * len(rows))
    for row in rows:
        cancelled = row["dep_time"] is None
        if row["dest"] not in airports or row["carrier"] not in carriers:
            shown = json.dumps(
                [row["carrier"], int(str(row["flight"])), row["time_hour"]], ensure_ascii=False
            )
            for operation, error_type in (
                ("INSERT", "foreign_key_violation"),
                ("DELETE" if cancelled else "UPDATE", "not_found"),
            ):
                table.errors.append(
                    ExpectedError(shown, operation, error_type, str(row["origin"]), "1")
                )
        elif not cancelled:
            table.add(_flown(row))
    return table


def _flown(row: Row) -> dict[str, Cell]:
    cells: dict[str, Cell] = {name: row[name] for name in ("carrier", "origin", "dest", "tailnum")}
    for name in INTEGERS:
        value = row[name]
        cells[name] = None if value is None else int(value)
    for name in TIMES:
        value = row[name]
        cells[name] = None if value is None else f"{value.zfill(4)[:2]}:{value.zfill(4)[2:]}:00"
    cells["time_hour"] = datetime.fromisoformat(str(row["time_hour"]))
    cells["status"] = "flown" if row["air_time"] is not None else "diverted"
    return cells | {"_client_id": row["origin"], "_ver": "1", "_updated_at": True}


def reconcile(
    connection: psycopg.Connection[tuple[Cell, ...]], expected: Mapping[str, ExpectedTable]
) -> list[str]:
    """Compare every cell of the tables and every row of their error tables with the expectation.

    Returns the differences, one sentence each, at most a few of a kind; nothing when all agree.
    """
    return [
        difference
        for table, expectation in expected.items()
        for difference in (
            *_row_differences(connection, table, expectation),
            *_error_differences(connection, table, expectation),
        )
    ]


def _row_differences(
    connection: psycopg.Connection[tuple[Cell, ...]], table: str, expected: ExpectedTable
) -> list[str]:
    columns = sql.SQL(", ").join(
        sql.SQL("_updated_at IS NOT NULL") if column == "_updated_at" else sql.Identifier(column)
        for column in expected.columns
    )
    positions = [expected.columns.index(column) for column in expected.key]
    with connection.cursor() as cursor:
        # PostgreSQL's 24:00 is outside Python's time.
        cursor.adapters.register_loader("time", TextLoader)
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table)))
        found = {tuple(row[position] for position in positions): row for row in cursor}
    missing, surplus = expected.rows.keys() - found.keys(), found.keys() - expected.rows.keys()
    differences = [
        f"{table}: {len(keys)} rows {what}, such as {_shown(next(iter(keys)))}."
        for keys, what in ((missing, "are missing"), (surplus, "should not be there"))
        if keys
    ]
    cells = [
        f"{table} {_shown(key)}: {column} is {cell!r}, expected {wanted!r}."
        for key in expected.rows.keys() & found.keys()
        for column, cell, wanted in zip(
            expected.columns, found[key], expected.rows[key], strict=True
        )
        if cell != wanted
    ]
    return differences + _few(cells, f"{table}: {len(cells)} cells differ in all.")


def _error_differences(
    connection: psycopg.Connection[tuple[Cell, ...]], table: str, expected: ExpectedTable
) -> list[str]:
    errors = f"{table}_errors"
    exists = connection.execute("SELECT to_regclass(quote_ident(%s)) IS NOT NULL", [errors])
    if exists.fetchone() == (False,):
        return [f"{errors} doesn't exist."] if expected.errors else []
    query = sql.SQL("SELECT record_id, operation, error_type, client_id, ver FROM {}")
    rows = connection.execute(query.format(sql.Identifier(errors))).fetchall()
    found = Counter(rows)
    wanted = Counter[tuple[Cell, ...]](
        (error.record_id, error.operation, error.error_type, error.client_id, error.ver)
        for error in expected.errors
    )
    missing = [f"{errors}: {_shown(row)} is missing." for row in (wanted - found).elements()]
    surplus = [f"{errors}: {_shown(row)} isn't expected." for row in (found - wanted).elements()]
    return [
        *_few(missing, f"{errors}: {len(missing)} rows are missing in all."),
        *_few(surplus, f"{errors}: {len(surplus)} rows aren't expected in all."),
    ]


def _few(sentences: list[str], total: str) -> list[str]:
    return sentences if len(sentences) <= SHOWN else [*sentences[:SHOWN], total]


def _shown(cells: tuple[Cell, ...]) -> str:
    return ", ".join(str(cell) for cell in cells)
