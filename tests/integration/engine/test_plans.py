"""Set statements find their rows by the primary key's index, however large the table is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from batchdrain.engine.catalog import read_table
from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.records import Operation
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.engine.statements.recordset import array_of, sifting
from batchdrain.engine.statements.styles import open_style
from fix_postgres import fresh_database

Connection = psycopg.Connection[Any]

ROWS = 1_000_000
WRITING = [Operation.UPDATE, Operation.DELETE, Operation.UPSERT]


@pytest.fixture(scope="module")
def large(postgres_url: str) -> Iterator[Connection]:
    """A million rows, with a composite key and a scope, and none of it analyzed."""
    with (
        fresh_database(postgres_url) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(
            f"""
CREATE TABLE one (id bigint PRIMARY KEY, _client_id text, v int, w text);
INSERT INTO one SELECT n, 'c1', 1, 'w' FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE two (a int, b text, _client_id text, v int, w text, PRIMARY KEY (a, b));
INSERT INTO two SELECT n, n % 7, 'c1', 1, 'w' FROM generate_series(1, {ROWS}) AS n""".encode()
        )
        yield connection


@pytest.fixture(params=["as it is", "analyzed"])
def counted(request: pytest.FixtureRequest, large: Connection) -> Connection:
    """The same connection, before and after the planner has statistics."""
    if request.param == "analyzed":
        large.execute("ANALYZE one; ANALYZE two")
    return large


def single(n: int) -> dict[str, Any]:
    return {"id": n, "_client_id": "c1", "v": 2, "w": "x"}


def composite(n: int) -> dict[str, Any]:
    return {"a": n, "b": str(n % 7), "_client_id": "c1", "v": 2, "w": "x"}


@pytest.mark.parametrize("plan_mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("operation", WRITING)
@pytest.mark.parametrize("style", STATEMENT_STYLES)
@pytest.mark.parametrize(("name", "record"), [("one", single), ("two", composite)])
def test_rows_are_found_by_the_primary_key(
    counted: Connection,
    name: str,
    record: Callable[[int], dict[str, Any]],
    style: str,
    operation: Operation,
    plan_mode: str,
) -> None:
    """One scan of a million rows would take longer than hundreds of batches."""
    table = read_table(counted, name)
    layout = Layouts(table).of(operation, tuple(record(1)))
    assert isinstance(layout, Layout)
    batch = [json.dumps(record(n * 97)).encode() for n in range(1, 501)]
    for bound in open_style(style, table).bind(layout.shape, batch):
        assert_found_by_key(counted, name, bound.statement.text, bound.parameters, plan_mode)


@pytest.mark.parametrize("plan_mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("name", "record"), [("one", single), ("two", composite)])
def test_an_insert_looks_for_existing_rows_by_the_primary_key(
    counted: Connection, name: str, record: Callable[[int], dict[str, Any]], plan_mode: str
) -> None:
    table = read_table(counted, name)
    layout = Layouts(table).of(Operation.INSERT, tuple(record(1)))
    assert isinstance(layout, Layout)
    batch = [json.dumps(record(n * 97)).encode() for n in range(1, 501)]
    text = sifting(table, layout.shape).text
    assert_found_by_key(counted, name, text, (array_of(batch),), plan_mode)


def assert_found_by_key(
    counted: Connection, name: str, text: str, parameters: tuple[Any, ...], plan_mode: str
) -> None:
    values = SQL(", ").join(Literal(parameter) for parameter in parameters)
    with counted.transaction(force_rollback=True):
        counted.execute(f"SET LOCAL plan_cache_mode = {plan_mode}".encode())
        counted.execute(b"SET LOCAL enable_hashjoin = off")
        counted.execute(b"PREPARE applied AS " + text.encode())
        plan = counted.execute(SQL("EXPLAIN (COSTS OFF) EXECUTE applied ({})").format(values))
        lines = [str(line) for (line,) in plan]
        counted.execute("DEALLOCATE applied")
    assert any(f"{name}_pkey" in line for line in lines), lines
    assert not any(f"Seq Scan on {name}" in line for line in lines), lines
    # Which records found no row, or a taken key, is looked up, too, not compared pair by pair.
    compares = any(f"CTE {found}" in line for line in lines for found in ("u", "taken"))
    assert not compares or any("hashed SubPlan" in line for line in lines), lines
