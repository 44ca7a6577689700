"""Every type of column, in every operation and style, alone and beside good and bad neighbours.

A batch of good records has to go through without isolation. What a column then holds is compared
with what the table of types says; all verdicts, rows and error rows with the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest

from column_changes import (
    Values,
    bad_keys,
    bad_scopes,
    bad_values,
    good_keys,
    good_scopes,
    good_values,
    scopes_of,
)
from column_type import ColumnType
from column_types import STYLES, TYPES
from fix_engine import MakeRecord, MakeRole, OpenEngine, refused
from fix_postgres import fresh_database
from scalar_types import NUMBERS, TEXTS
from table_kinds import KINDS, TableKind
from twins import Sent, Twins

Connection = psycopg.Connection[Any]
MakeTwins = Callable[..., Twins]

ORDERED = [type_ for type_ in TYPES if type_.comparable]

each_style = pytest.mark.parametrize("style", STYLES)
each_type = pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.name)
each_ordered_type = pytest.mark.parametrize("type_", ORDERED, ids=lambda type_: type_.name)


@pytest.fixture(scope="module")
def shared_url(postgres_url: str) -> Iterator[str]:
    """URL of one database for all tests here: making one takes longer than most of them."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def shared(shared_url: str) -> Iterator[Connection]:
    """A connection to the shared database."""
    with psycopg.connect(shared_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def make_twins(shared: Connection, shared_url: str) -> Iterator[MakeTwins]:
    """Makes a table twice (see Twins)."""
    numbers = count(1)
    with psycopg.connect(shared_url) as engines:

        def _make(style: str, ddl: str, **options: Any) -> Twins:
            return Twins(shared, engines, style, next(numbers), ddl, **options)

        yield _make


@each_style
@each_type
def test_a_column_of_the_type(
    type_: ColumnType, style: str, shared: Connection, make_twins: MakeTwins
) -> None:
    _require(shared, type_)
    default = f" DEFAULT {_literal(next(iter(type_.good.values())))}"
    ddl = """{setup}; CREATE TABLE {s}.t (id integer PRIMARY KEY,
  v {type}{default_of_v}, must {type} NOT NULL{default})"""
    ddl = _of_type(ddl, type_).replace("{default}", default)
    ddl = ddl.replace("{default_of_v}", "" if type_.nullable else default)
    twins = make_twins(style, ddl, key=["id"])
    values = Values.of(type_)
    few = replace(values.few(1), null="not_null_violation")
    good = [*good_values(_numbered, "v", values, 1), *good_values(_numbered, "must", few, 1001)]
    assert not twins.check(good).isolated
    found = twins.values("id, format('%s', v)")
    for place, printed in enumerate(type_.good.values(), 1):
        assert (place, printed) in found
        assert (-place, printed) in found
    bad = [*bad_values(_numbered, "v", values, 1), *bad_values(_numbered, "must", few, 1001)]
    assert twins.check(bad).isolated


@each_style
@each_ordered_type
def test_a_key_of_the_type(
    type_: ColumnType, style: str, shared: Connection, make_twins: MakeTwins
) -> None:
    _require(shared, type_)
    ddl = "{setup}; CREATE TABLE {s}.t (v integer, k {type} PRIMARY KEY)"
    twins = make_twins(style, _of_type(ddl, type_), key=["k"])
    values = Values.of(type_)
    assert not twins.check([*good_keys("k", values)]).isolated
    assert twins.check([*bad_keys("k", values)]).isolated


@each_style
@each_ordered_type
def test_a_scope_of_the_type(
    type_: ColumnType, style: str, shared: Connection, make_twins: MakeTwins
) -> None:
    _require(shared, type_)
    ddl = "{setup}; CREATE TABLE {s}.t (id integer PRIMARY KEY, v integer, _client_id {type})"
    twins = make_twins(style, _of_type(ddl, type_), key=["id"])
    values = Values.of(type_)
    assert not twins.check([*good_scopes(_numbered, "_client_id", values)]).isolated
    twins.check([*bad_scopes(_numbered, "_client_id", values)])


@each_style
@each_ordered_type
def test_a_composite_key_with_a_scope_in_it(
    type_: ColumnType, style: str, shared: Connection, make_twins: MakeTwins
) -> None:
    _require(shared, type_)
    ddl = """{setup}; CREATE TABLE {s}.t (v integer, k {type}, _client_id {type},
  PRIMARY KEY (_client_id, k))"""
    twins = make_twins(style, _of_type(ddl, type_), key=["_client_id", "k"])
    values = Values.of(type_).few(2)
    envelope = {"client_id": scopes_of(values)[0]}

    def _keyed(row: int) -> dict[str, str]:
        return {"k": values.good[row % len(values.good)]}

    good = [*good_scopes(_keyed, "_client_id", values), *good_keys("k", values, envelope)]
    assert not twins.check(good).isolated
    bad = [*bad_keys("k", values, envelope), *bad_scopes(_keyed, "_client_id", values.few(1))]
    assert twins.check(bad).isolated


@each_style
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_table_of_the_kind(
    kind: TableKind, style: str, shared: Connection, make_twins: MakeTwins
) -> None:
    _require_true(shared, kind.needs)
    twins = make_twins(style, kind.ddl, key=kind.key, table=kind.table, shown=kind.shown)
    good: list[Sent] = []
    bad: list[Sent] = []
    for place, (column, values) in enumerate(kind.columns.items()):
        good += good_values(kind.row, column, values, 1 + 1000 * place)
        bad += bad_values(kind.row, column, values, 1 + 1000 * place)
    assert not twins.check(good).isolated
    twins.check([*bad, *kind.more])


@each_style
@pytest.mark.parametrize("type_", NUMBERS[1:2] + TEXTS[:1], ids=lambda type_: type_.name)
def test_a_key_with_an_odd_name(type_: ColumnType, style: str, make_twins: MakeTwins) -> None:
    ddl = 'CREATE TABLE {s}.t (v integer, "Kéy ""$1" {type} PRIMARY KEY)'
    name, values = 'Kéy "$1', Values.of(type_)
    twins = make_twins(style, _of_type(ddl, type_), key=[name])
    assert not twins.check([*good_keys(name, values)]).isolated
    assert twins.check([*bad_keys(name, values)]).isolated


def test_what_input_functions_call_a_syntax_error_is_the_record_s_by_halving_too(
    connection: Connection, make_role: MakeRole, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    connection.execute("CREATE TABLE t (id integer PRIMARY KEY, v tsvector)")
    role = make_role("GRANT ALL ON SCHEMA public TO {role}", "GRANT ALL ON t TO {role}")
    result = open_engine("t", role=role).apply(
        [
            record("INSERT", {"id": 1, "v": "a b"}),
            record("INSERT", {"id": 2, "v": "'a"}),
            record("INSERT", {"id": 3, "v": "c"}),
        ]
    )
    assert refused(result) == {1: "syntax_error"}


def _of_type(ddl: str, type_: ColumnType) -> str:
    return ddl.replace("{setup}", type_.setup).replace("{type}", type_.spelling)


def _numbered(row: int) -> dict[str, str]:
    return {"id": str(row)}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _require(connection: Connection, type_: ColumnType) -> None:
    """Skip the test where the server lacks the type."""
    if type_.extension is not None:
        offered = connection.execute(
            "SELECT FROM pg_available_extensions WHERE name = %s", (type_.extension,)
        )
        if offered.rowcount == 0:
            pytest.skip(f"the server has no extension {type_.extension}")
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {type_.extension}".encode())
    _require_true(connection, type_.needs)


def _require_true(connection: Connection, needs: str) -> None:
    """Skip the test where an expression is not true, or fails."""
    try:
        row = connection.execute(f"SELECT {needs}".encode()).fetchone()
    except psycopg.Error as error:
        pytest.skip(f"on this server {needs} fails: {error.diag.message_primary}")
    if row != (True,):
        pytest.skip(f"on this server {needs} is not true")
