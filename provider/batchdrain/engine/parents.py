"""Which tables a database role may drain into, and which of them refer to which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.sql import SQL

STATE_SCHEMA = "batchdrain"

_NAMED = SQL("""
WITH named AS (
    SELECT w.name, c.oid, c.relname, c.relkind, n.nspname
      FROM unnest(%(names)s::text[], %(schemas)s::text[], %(tables)s::text[])
           AS w(name, schema, relation)
      LEFT JOIN (pg_catalog.pg_class AS c
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace)
        ON c.relname = w.relation
       AND CASE WHEN w.schema IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
                ELSE n.nspname = w.schema END
)
""")

_PARENTS = _NAMED + SQL("""
SELECT DISTINCT child.name, parent.name
  FROM pg_catalog.pg_constraint AS f
  JOIN named AS child ON child.oid = f.conrelid
  JOIN named AS parent ON parent.oid = f.confrelid
 WHERE f.contype = 'f' AND child.oid <> parent.oid
 ORDER BY 1, 2
""")

_VERDICTS = _NAMED + SQL(r"""
SELECT name,
       oid IS NOT NULL,
       relkind IN ('r', 'p')
       AND nspname NOT IN ('information_schema', %(state_schema)s)
       AND nspname NOT LIKE 'pg\_%%'
       AND relname NOT LIKE '%%\_errors'
       AND (pg_catalog.has_any_column_privilege(oid, 'INSERT, UPDATE')
            OR pg_catalog.has_table_privilege(oid, 'DELETE'))
  FROM named
""")


class Verdict(StrEnum):
    """Whether `*` in the list of tables covers a table."""

    ALLOWED = "allowed"
    MISSING = "missing"
    NOT_ALLOWED = "not allowed"


def parent_tables(
    connection: psycopg.Connection[Any], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return, for each of the tables that has any, the others of them its foreign keys refer to.

    Names are `table`, looked up in the search_path, or `schema.table`; unknown ones are left out.
    """
    parents: dict[str, tuple[str, ...]] = {}
    for child, parent in connection.execute(_PARENTS, _parameters(names)):
        parents[child] = (*parents.get(child, ()), parent)
    return parents


def verdicts(connection: psycopg.Connection[Any], names: Sequence[str]) -> dict[str, Verdict]:
    """Tell for each table whether `*` covers it.

    It covers every ordinary or partitioned table that the role may write, except those of system
    schemas, our state, and `*_errors`.
    """
    parameters = {**_parameters(names), "state_schema": STATE_SCHEMA}
    return {
        name: Verdict.MISSING if not exists else Verdict.ALLOWED if may else Verdict.NOT_ALLOWED
        for name, exists, may in connection.execute(_VERDICTS, parameters)
    }


def _parameters(names: Iterable[str]) -> dict[str, Any]:
    wanted = list(dict.fromkeys(names))
    parts = [name.rpartition(".") for name in wanted]
    return {
        "names": wanted,
        "schemas": [schema or None for schema, _, _ in parts],
        "tables": [table for _, _, table in parts],
    }
