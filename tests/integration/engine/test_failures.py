"""The table of failure classes against a real server."""

from __future__ import annotations

import psycopg
import pytest

from batchdrain.engine.failures import (
    CONDITIONS,
    FailureClass,
    classify,
    condition_name,
    failure_of,
    refused_predicate_sql,
)

Connection = psycopg.Connection[tuple[object, ...]]

INVENTED = ["U0001", "45000", "BD001", "99999", "P0100", "55X01", "08X01", "53X01", "57P0X"]


def test_condition_names_are_postgresqls(connection: Connection) -> None:
    """The server raises each name and gives back a code of that name (some names have two).

    PL/pgSQL has no names for the classes 00 to 02, which aren't errors.
    """
    connection.execute("""
        CREATE FUNCTION code_of(name text) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION USING ERRCODE = name;
        EXCEPTION WHEN OTHERS OR assert_failure OR query_canceled THEN
          RETURN CASE WHEN SQLERRM LIKE 'unrecognized exception condition%' THEN NULL
                      ELSE SQLSTATE END;
        END $$""")
    errors = {name for code, name in CONDITIONS.items() if code[:2] not in ("00", "01", "02")}
    names = sorted(errors - {"snapshot_too_old"})
    raised: dict[str, str | None] = dict(
        connection.execute("SELECT n, code_of(n) FROM unnest(%s::text[]) AS n", (names,)).fetchall()
    )
    unknown = {name for name, code in raised.items() if code is None}
    if connection.info.server_version >= 180000:
        assert unknown == set()
    assert all(condition_name(str(raised[name])) == name for name in set(names) - unknown)


def test_the_predicate_agrees_with_the_table(connection: Connection) -> None:
    """For each of PostgreSQL's codes and for invented ones."""
    codes = [*CONDITIONS, *INVENTED]
    predicate = refused_predicate_sql().replace("SQLSTATE", "code")
    rows = connection.execute(
        f"SELECT code, {predicate} FROM unnest(%s::text[]) AS code".encode(), (codes,)
    ).fetchall()
    swallowed = {FailureClass.REFUSED, FailureClass.PASSING}
    assert dict(rows) == {code: classify(code) in swallowed for code in codes}


def test_the_predicate_works_in_a_block(connection: Connection) -> None:
    block = """DO $batchdrain$ BEGIN
        RAISE EXCEPTION USING ERRCODE = '{code}';
      EXCEPTION WHEN OTHERS THEN IF NOT {predicate} THEN RAISE; END IF;
      END $batchdrain$"""
    predicate = refused_predicate_sql()
    connection.execute(block.format(code="U0001", predicate=predicate).encode())
    connection.execute(block.format(code="23505", predicate=predicate).encode())
    with pytest.raises(psycopg.errors.DeadlockDetected):
        connection.execute(block.format(code="40P01", predicate=predicate).encode())


def test_a_policy_refuses_and_a_missing_grant_does_not(connection: Connection) -> None:
    """Both are 42501; row security is about the record, a privilege is not."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    connection.execute("CREATE POLICY p ON t WITH CHECK (id > 0)")
    connection.execute("CREATE ROLE failures_test")
    try:
        connection.execute("GRANT INSERT ON t TO failures_test")
        connection.execute("SET ROLE failures_test")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as policy:
            connection.execute("INSERT INTO t VALUES (-1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as grant:
            connection.execute("DELETE FROM t")
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY failures_test")
        connection.execute("DROP ROLE failures_test")
    assert failure_of(policy.value) is FailureClass.REFUSED
    assert failure_of(grant.value) is FailureClass.PASSING


def test_an_outdated_plan_is_transient(connection: Connection) -> None:
    """Anything else that is not supported is systemic."""
    connection.execute("CREATE TABLE t (a int)")
    connection.execute("PREPARE p AS SELECT * FROM t")
    connection.execute("ALTER TABLE t ADD b int")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as outdated:
        connection.execute("EXECUTE p")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as unsupported:
        connection.execute("SELECT nosuchdb.public.t.a FROM nosuchdb.public.t")
    assert failure_of(outdated.value) is FailureClass.TRANSIENT
    assert failure_of(unsupported.value) is FailureClass.SYSTEMIC
