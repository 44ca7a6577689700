"""Style `values` against a server: what is its own beside what every style promises."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.engine.records import Operation, Record
from batchdrain.engine.statements.values import MOST_PARAMETERS
from fix_engine import MakeRecord, MakeRole, OpenEngine, refused, value

Connection = psycopg.Connection[Any]


@pytest.fixture
def style() -> str:
    return "values"


@pytest.mark.parametrize("spare", [0, 1])
def test_a_batch_may_have_more_values_than_a_statement_has_parameters(
    spare: int, connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """At exactly 65,535 parameters, and at one record more."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b int)")
    records = [
        record("INSERT", {"id": n, "a": n, "b": None}) for n in range(MOST_PARAMETERS // 3 + spare)
    ]
    assert MOST_PARAMETERS % 3 == 0
    result = open_engine("t").apply(records)
    assert (result.applied, result.isolated) == (len(records), False)
    assert value(connection, "SELECT count(*) FROM t WHERE a = id") == len(records)
    deleted = open_engine("t").apply([record("DELETE", {"id": n}) for n in range(len(records))])
    assert (deleted.applied, deleted.isolated) == (len(records), False)
    assert value(connection, "SELECT count(*) FROM t") == 0


def test_json_that_python_cannot_read_is_left_to_postgresql(
    connection: Connection, open_engine: OpenEngine
) -> None:
    """A scope value is put into its record only after the record was read."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, _client_id text)")
    members = [b'"c"', b'"\\ud800"', b'"c"']
    batch = [
        Record(Operation.INSERT, b'{"id": %d}' % n, {"client_id": member})
        for n, member in enumerate(members)
    ]
    result = open_engine("t").apply(batch)
    assert refused(result) == {1: "invalid_text_representation"}
    assert value(connection, "SELECT string_agg(field_id, '') FROM t_errors") == "_client_id"
    assert value(connection, "SELECT count(*) FROM t") == 2


def test_a_role_that_may_delete_need_not_be_able_to_update(
    connection: Connection, make_role: MakeRole, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
    role = make_role(
        "GRANT SELECT, DELETE ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}"
    )
    result = open_engine("t", role=role).apply([record("DELETE", {"id": n}) for n in (1, 2)])
    assert (result.applied, result.isolated) == (2, False)


def test_results_keep_the_order_of_the_records(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Statements group records by scope and key; each result still is its record's."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, _client_id text, v varchar(3))")
    connection.execute("INSERT INTO t SELECT n, 'c' || n % 3 FROM generate_series(0, 8) AS n")
    batch = [
        Record(record("UPDATE", {"id": n, "v": "x"}).operation, b'{"id": %d, "v": "x"}' % n, member)
        for n in (9, 8, 0, 4, 3, 10, 1)
        for member in [{"client_id": b'"c%d"' % (n % 2)}]
    ]
    result = open_engine("t").apply(batch)
    assert not result.isolated
    assert refused(result) == {
        0: "not_found",
        1: "scope_mismatch",
        3: "scope_mismatch",
        4: "scope_mismatch",
        5: "not_found",
    }
    assert value(connection, "SELECT array_agg(id ORDER BY id) FROM t WHERE v = 'x'") == [0, 1]


def test_a_value_is_converted_even_where_there_is_no_row(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """A CASE alone would never look at it; CONTRACT refuses it for its value, not its key."""
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(3), d numeric(3), tags int[])"
    )
    bad = [{"id": 1, "v": "long"}, {"id": 2, "d": 1000}, {"id": 3, "tags": ["x"]}]
    result = open_engine("t").apply([record("UPDATE", data) for data in bad])
    assert [entry.refusal and entry.refusal.field for entry in result.results] == ["v", "d", "tags"]


def test_a_role_that_may_only_insert_can(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, make_role: MakeRole
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
    role = make_role("GRANT INSERT ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
    result = open_engine("t", role=role).apply([record("INSERT", {"id": 1, "a": 1})])
    assert result.applied == 1


def test_a_number_keeps_every_digit(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, n numeric, s text)")
    data = b'{"id": 1, "n": 12345678901234567.25, "s": 12345678901234567.250}'
    open_engine("t").apply([record("INSERT", data)])
    assert value(connection, "SELECT n || ' ' || s FROM t") == (
        "12345678901234567.25 12345678901234567.250"
    )


def test_records_without_any_column_are_rows_of_defaults(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int DEFAULT 7)"
    )
    result = open_engine("t").apply([record("INSERT", {}) for _ in range(3)])
    assert result.applied == 3
    assert value(connection, "SELECT sum(v) FROM t") == 21
