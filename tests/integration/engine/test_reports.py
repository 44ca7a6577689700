"""Which column a refused record is told to fail for, whatever else fails with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batchdrain.engine.settings import STATEMENT_STYLES
from fix_engine import MakeRecord, MakeRole, OpenEngine

Connection = psycopg.Connection[Any]

pytestmark = [
    pytest.mark.parametrize("style", STATEMENT_STYLES),
    pytest.mark.parametrize("plpgsql", [True, False], ids=["on the server", "by halving"]),
]

LOGGED = """
CREATE TABLE t (
  id int PRIMARY KEY, v int, who text, qty int NOT NULL, CONSTRAINT positive CHECK (qty > 0));
CREATE TABLE log (id int, amount int, who text NOT NULL, CONSTRAINT positive CHECK (amount > 0));
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO log VALUES (NEW.id, NEW.v, NEW.who);
  RETURN NEW;
END $$;
CREATE TRIGGER act AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION act()"""


Refused = Callable[..., list[tuple[str, str | None, str | None]]]
"""Applies records, an operation and its data each, as an ordinary role. Tells error type, field and
constraint of those that are refused."""


@pytest.fixture
def refused(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    plpgsql: bool,
) -> Refused:
    """See Refused."""

    def apply(*records: tuple[str, dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
        if not plpgsql:
            connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
        result = open_engine("t", role=role).apply([record(*each) for each in records])
        return [
            (r.refusal.error_type, r.refusal.field, r.refusal.constraint)
            for r in result.results
            if r.refusal is not None
        ]

    return apply


def test_a_column_of_another_table_is_not_at_fault(
    connection: Connection, refused: Refused
) -> None:
    """A trigger's table has a column and a constraint of the same names."""
    connection.execute(LOGGED)
    good = {"v": 1, "who": "w", "qty": 1}
    assert refused(
        ("INSERT", {"id": 1, **good, "v": -1}),
        ("INSERT", {"id": 2, **good, "who": None}),
        ("INSERT", {"id": 3, **good, "qty": -1}),
        ("INSERT", {"id": 4, **good, "qty": None}),
        ("INSERT", {"id": 5, **good}),
    ) == [
        ("check_violation", None, "positive"),
        ("not_null_violation", None, None),
        ("check_violation", "qty", "positive"),
        ("not_null_violation", "qty", None),
    ]


def test_a_table_of_the_same_name_is_another_one(connection: Connection, refused: Refused) -> None:
    connection.execute("CREATE SCHEMA s")
    connection.execute(LOGGED.replace(" log", " s.t"))
    assert refused(
        ("INSERT", {"id": 1, "v": -1, "who": "w", "qty": 1}),
        ("INSERT", {"id": 2, "v": 1, "who": "w", "qty": -1}),
    ) == [("check_violation", None, "positive"), ("check_violation", "qty", "positive")]


def test_a_table_that_refers_to_a_deleted_row_tells_the_columns_it_refers_to(
    connection: Connection, refused: Refused
) -> None:
    """Its other constraints say nothing of them, whatever their names."""
    connection.execute("""
        CREATE TABLE t (id int PRIMARY KEY, v int CONSTRAINT x CHECK (v > 0));
        CREATE TABLE c (t int CONSTRAINT child REFERENCES t);
        CREATE TABLE n (v int NOT NULL REFERENCES t ON DELETE SET NULL);
        CREATE TABLE s (t int CONSTRAINT x REFERENCES t);
        INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
        INSERT INTO c VALUES (1); INSERT INTO n VALUES (2); INSERT INTO s VALUES (3)""")
    assert refused(*(("DELETE", {"id": n}) for n in (1, 2, 3))) == [
        ("foreign_key_violation", "id", "child"),
        ("not_null_violation", None, None),
        ("foreign_key_violation", "id", "x"),
    ]


def test_a_reference_of_the_table_itself_tells_the_columns_that_refer(
    connection: Connection, refused: Refused
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT own REFERENCES t)")
    assert refused(("INSERT", {"id": 1, "a": 2})) == [("foreign_key_violation", "a", "own")]


def test_a_partition_s_columns_are_the_table_s(connection: Connection, refused: Refused) -> None:
    connection.execute("""
        CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, CONSTRAINT small CHECK (v < 9))
          PARTITION BY RANGE (id);
        CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10);
        CREATE TABLE c (t int CONSTRAINT child REFERENCES t);
        INSERT INTO t VALUES (1, 1);
        INSERT INTO c VALUES (1)""")
    (column, constraint, referred) = refused(
        ("INSERT", {"id": 2, "v": None}), ("INSERT", {"id": 3, "v": 9}), ("DELETE", {"id": 1})
    )
    assert column == ("not_null_violation", "v", None)
    assert constraint == ("check_violation", "v", "small")
    assert referred[:2] == ("foreign_key_violation", "id")


def test_what_fails_without_a_table_s_name_is_the_drained_one_s(
    connection: Connection, refused: Refused
) -> None:
    """A trigger may name the column or the constraint alone, or the table without its schema."""
    connection.execute("""
        CREATE TABLE t (id int PRIMARY KEY, v int CONSTRAINT small CHECK (v < 9));
        CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          CASE NEW.v
            WHEN 1 THEN RAISE 'no' USING COLUMN = 'v';
            WHEN 2 THEN RAISE 'no' USING CONSTRAINT = 'small';
            ELSE RAISE 'no' USING COLUMN = 'v', TABLE = 't';
          END CASE;
        END $$;
        CREATE TRIGGER act BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION act()""")
    found = refused(*(("INSERT", {"id": n, "v": n}) for n in (1, 2, 3)))
    assert [field for _, field, _ in found] == ["v", "v", "v"]
