"""A drain notices whatever becomes of its table, before it commits a batch (SEMANTICS, §2)."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.engine.catalog import read_table
from batchdrain.engine.settings import STATEMENT_STYLES
from fix_engine import MakeRecord, OpenEngine, refused

Connection = psycopg.Connection[Any]

CREATE = """
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE t (id int PRIMARY KEY, v numeric(6, 2), w positive);
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)"""

CHANGES = [
    "ALTER TABLE t ALTER v TYPE numeric(12, 4)",
    "ALTER TABLE t ALTER v SET DEFAULT 7",
    "ALTER TABLE t ALTER v SET DEFAULT 7; ALTER TABLE t ALTER v SET DEFAULT 8",
    "ALTER TABLE t ALTER v SET NOT NULL",
    "ALTER TABLE t ADD x text",
    "ALTER TABLE t DROP v",
    "ALTER TABLE t RENAME v TO u",
    "ALTER TABLE t RENAME TO s",
    "ALTER TABLE t ADD CHECK (v > 0)",
    "ALTER TABLE t ADD UNIQUE (v)",
    "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, v)",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER DOMAIN positive ADD CHECK (VALUE < 9)",
    "ALTER DOMAIN positive SET DEFAULT 3",
    "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()",
    "CREATE RULE a AS ON INSERT TO t WHERE NEW.v = 2 DO INSTEAD NOTHING",
    "CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE)",
    "CREATE UNIQUE INDEX ON t (v)",
    "GRANT INSERT ON t TO PUBLIC",
    "GRANT UPDATE (v) ON t TO PUBLIC",
    "DROP TABLE t",
]


def versions(connection: Connection, name: str, change: str) -> tuple[str, str]:
    """Return a table's version before and after a change, the table named by its oid."""
    before = read_table(connection, name)
    connection.execute(change.encode())
    row = connection.execute("SELECT relname FROM pg_class WHERE oid = %s", (before.oid,))
    (now,) = row.fetchone() or (None,)
    return before.version, "" if now is None else read_table(connection, str(now)).version


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_a_table_makes_another_version(connection: Connection, change: str) -> None:
    connection.execute(CREATE.encode())
    before, after = versions(connection, "t", change)
    assert before
    assert before != after


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (9) TO (99)",
        "ALTER TABLE p DETACH PARTITION p1",
        "ALTER TABLE p1 ADD CHECK (id < 9)",
    ],
)
def test_so_does_one_of_its_partitions(connection: Connection, change: str) -> None:
    connection.execute(CREATE.encode())
    before, after = versions(connection, "p", change)
    assert before != after


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO t SELECT n, n, n FROM generate_series(1, 1000) AS n; ANALYZE t",
        "VACUUM (FREEZE) t",
        "VACUUM (FREEZE) pg_catalog.pg_class",
        "CREATE TABLE other (id int PRIMARY KEY)",
        "COMMENT ON TABLE t IS 'things'",
    ],
)
def test_what_does_not_matter_leaves_the_version_as_it_is(
    connection: Connection, change: str
) -> None:
    """Each other one would cost a batch a second attempt."""
    connection.execute(CREATE.encode())
    before, after = versions(connection, "t", change)
    assert before == after


@pytest.mark.parametrize("style", STATEMENT_STYLES)
@pytest.mark.parametrize(
    ("change", "data", "query", "expected"),
    [
        ("ALTER v TYPE numeric(12, 4)", {"v": 1.2345}, "SELECT v::text FROM t", "1.2345"),
        ("ALTER v SET DEFAULT 7", {}, "SELECT v::text FROM t", "7.00"),
        ("ALTER v SET DEFAULT 7, ALTER v SET NOT NULL", {}, "SELECT v::text FROM t", "7.00"),
        ("ALTER v TYPE text", {"v": "007"}, "SELECT v FROM t", "007"),
        ("ADD _client_id text DEFAULT 'old'", {}, "SELECT _client_id FROM t", "c1"),
        ("ADD _updated_at timestamptz", {}, "SELECT count(_updated_at)::text FROM t", "0"),
    ],
)
def test_a_batch_is_applied_to_the_table_as_it_is(
    connection: Connection,
    open_engine: OpenEngine,
    record: MakeRecord,
    change: str,
    data: dict[str, Any],
    query: str,
    expected: str,
) -> None:
    """Also where a statement made for the table as it was would succeed."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v numeric(6, 2))")
    engine = open_engine("t")
    assert refused(engine.apply([record("INSERT", {"id": 1})])) == {}
    connection.execute(f"DELETE FROM t; ALTER TABLE t {change}".encode())
    assert refused(engine.apply([record("INSERT", {"id": 2, **data})])) == {}
    assert connection.execute(query.encode()).fetchall() == [(expected,)]


@pytest.mark.parametrize("style", STATEMENT_STYLES)
def test_a_scope_and_a_longer_key_that_come_meanwhile_count(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Else rows of other clients, or of other keys, would be changed."""
    connection.execute("CREATE TABLE t (id int, v text DEFAULT 'a', PRIMARY KEY (id))")
    engine = open_engine("t")
    assert refused(engine.apply([record("INSERT", {"id": n, "v": "a"}) for n in (1, 2)])) == {}
    connection.execute("ALTER TABLE t ADD _client_id text NOT NULL DEFAULT 'c9'")
    batch = [record("UPDATE", {"id": 1, "v": "b"}), record("DELETE", {"id": 2})]
    assert refused(engine.apply(batch)) == {0: "scope_mismatch", 1: "scope_mismatch"}
    connection.execute("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, v)")
    connection.execute("UPDATE t SET _client_id = 'c1'; INSERT INTO t VALUES (2, 'b', 'c1')")
    assert refused(engine.apply([record("DELETE", {"id": 2, "v": "b"})])) == {}
    assert connection.execute("SELECT id, v FROM t ORDER BY 1").fetchall() == [(1, "a"), (2, "a")]
