"""Which tables refer to which, and which of them `*` covers."""

from __future__ import annotations

from batchdrain.engine.parents import Verdict, parent_tables, verdicts


def test_parents_are_the_other_tables_that_foreign_keys_refer_to(connection):
    connection.execute("""
        CREATE SCHEMA "Über";
        CREATE TABLE a (id int PRIMARY KEY, boss int REFERENCES a);
        CREATE TABLE "Über"."B" (id int PRIMARY KEY, a int REFERENCES a, again int REFERENCES a);
        CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES "Über"."B", a int REFERENCES a)""")
    assert parent_tables(connection, ["c", "Über.B", "a", "missing"]) == {
        "c": ("a", "Über.B"),
        "Über.B": ("a",),
    }
    assert parent_tables(connection, ["c", "a"]) == {"c": ("a",)}
    assert parent_tables(connection, []) == {}


def test_a_star_covers_ordinary_tables_that_the_role_may_write(connection):
    role = f'"reader_{connection.info.dbname}"'
    connection.execute(f"""
        CREATE TABLE plain (id int PRIMARY KEY);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE plain_errors (id int);
        CREATE VIEW seen AS SELECT * FROM plain;
        CREATE SCHEMA batchdrain;
        CREATE TABLE batchdrain.position (id int);
        CREATE ROLE {role};
        GRANT SELECT ON plain TO {role}; GRANT UPDATE (id) ON parts TO {role}""")
    names = ["plain", "parts", "plain_errors", "seen", "batchdrain.position", "pg_class", "none"]
    verdict = verdicts(connection, [*names, "information_schema.tables", "pg_catalog.pg_class"])
    assert {n for n in verdict if verdict[n] is Verdict.ALLOWED} == {"plain", "parts"}
    assert {n for n in verdict if verdict[n] is Verdict.MISSING} == {"none"}
    connection.execute(f"SET ROLE {role}")
    reader = verdicts(connection, ["plain", "parts"])
    assert reader == {"plain": Verdict.NOT_ALLOWED, "parts": Verdict.ALLOWED}
    connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
