"""The SQL with which `preflight` and `error_table_check` look at a database; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

LOOK = """
SELECT set_config('lock_timeout', '5s', true), set_config('statement_timeout', '30s', true)"""
"""For the one transaction only, so that a transaction pooler is no obstacle."""

SERVER = """
SELECT current_setting('server_version'),
       current_setting('server_version_num')::integer,
       pg_catalog.pg_is_in_recovery(),
       current_setting('default_transaction_read_only')::boolean,
       current_setting('fsync')::boolean,
       current_user::text,
       current_database()::text,
       (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
"""
"""The server, and the role at hand."""

STATE = """
SELECT n.oid IS NOT NULL,
       pg_catalog.has_database_privilege(current_database(), 'CREATE'),
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), true),
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true),
       ARRAY(SELECT c.relname::text
               FROM pg_catalog.pg_class AS c
              WHERE c.relnamespace = n.oid AND c.relname IN ('position', 'batch_log')
              ORDER BY 1),
       ARRAY(SELECT format('%%s ON batchdrain.%%I', p, c.relname)
               FROM pg_catalog.pg_class AS c
              CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS p
              WHERE c.relnamespace = n.oid AND c.relname IN ('position', 'batch_log')
                AND NOT pg_catalog.has_table_privilege(c.oid, p)
              ORDER BY 1)
  FROM (VALUES (1)) AS one
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'batchdrain'
"""
"""Schema `batchdrain`: is it there, may the role create in database and schema, may it use it;
its tables, and the privileges on them that are missing."""

SEQUENCES = """
SELECT format('%%I.%%I', n.nspname, s.relname), a.attname::text
  FROM pg_catalog.pg_attrdef AS d
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  JOIN pg_catalog.pg_depend AS x
    ON x.classid = 'pg_catalog.pg_attrdef'::regclass AND x.objid = d.oid
   AND x.refclassid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class AS s ON s.oid = x.refobjid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
 WHERE d.adrelid = %(oid)s
   AND CASE WHEN s.relkind = 'S'
            THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
 ORDER BY 2, 1
"""
"""Sequences that the defaults of a table's columns take numbers from, and the role may not."""

MAY_CREATE = """
SELECT pg_catalog.has_schema_privilege(%(schema)s::text, 'CREATE')"""
"""Whether the role may create tables in a schema."""

ERROR_COLUMNS = """
WITH RECURSIVE named AS (
    SELECT a.*
      FROM pg_catalog.pg_attribute AS a
      JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(table)s
       AND a.attnum > 0 AND NOT a.attisdropped
),
base(attnum, type, typmod, refuses) AS (
    SELECT a.attnum, a.atttypid, a.atttypmod, a.attnotnull FROM named AS a
     UNION ALL
    SELECT b.attnum, t.typbasetype, t.typtypmod, t.typnotnull
      FROM base AS b
      JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       (SELECT min(b.typmod - 4)
          FROM base AS b
         WHERE b.attnum = a.attnum AND b.type IN ('varchar'::regtype, 'bpchar'::regtype)
           AND b.typmod > 4),
       EXISTS (SELECT FROM base AS b WHERE b.attnum = a.attnum AND b.refuses),
       a.atthasdef OR a.attidentity <> ''
  FROM named AS a
 ORDER BY a.attnum
"""
"""An error table's columns: type, most characters (NULL: any), refuses NULL, has a default."""


def rows(
    connection: psycopg.Connection[Any],
    text: LiteralString,
    parameters: Mapping[str, Any] | None = None,
) -> Sequence[tuple[Any, ...]]:
    """Run one of the queries, and return its rows."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(text, parameters or {}).fetchall()
