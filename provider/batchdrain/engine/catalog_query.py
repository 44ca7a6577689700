"""The SQL that reads a table from PostgreSQL's catalog (14 and later); `catalog` runs it."""

from __future__ import annotations

RELATION = """
SELECT c.oid::bigint,
       n.nspname::text,
       c.relname::text,
       c.relkind::text,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       c.relkind = 'p' OR c.relhassubclass,
       pg_catalog.row_security_active(c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r
                WHERE r.ev_class = c.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D'),
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.pg_index AS i
              CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
              ORDER BY k.place),
       ARRAY(SELECT p
               FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
              WHERE pg_catalog.has_table_privilege(c.oid, p)
                 OR CASE WHEN p <> 'DELETE'
                         THEN pg_catalog.has_any_column_privilege(c.oid, p) END)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relname = %(table)s
   AND CASE WHEN %(schema)s::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
            ELSE n.nspname = %(schema)s::text END
"""
"""The relation that a name means. Parameters: table, schema (or NULL for the search_path)."""

WHERE_ELSE = """
SELECT current_database()::text,
       current_setting('search_path'),
       current_user::text,
       ARRAY(SELECT n.nspname::text
               FROM pg_catalog.pg_class AS c
               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
              WHERE c.relname = %(table)s AND c.relkind IN ('r', 'p')
              ORDER BY 1)
"""
"""What an error message needs: database, search_path, role, schemas with a table of that name."""

COLUMNS = """
WITH RECURSIVE base(attnum, type, typmod) AS (
    SELECT a.attnum, a.atttypid, a.atttypmod
      FROM pg_catalog.pg_attribute AS a
     WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
     UNION ALL
    SELECT b.attnum, t.typbasetype, t.typtypmod
      FROM base AS b
      JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       a.attnotnull,
       a.attidentity::text,
       a.attgenerated::text,
       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                pg_catalog.pg_get_expr(t.typdefaultbin, 0),
                t.typdefault),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       a.atttypid::bigint,
       coalesce(l.collisdeterministic, true),
       CASE WHEN b.type IN ('varchar'::regtype, 'bpchar'::regtype) AND b.typmod > 4
            THEN b.typmod - 4 END,
       CASE WHEN a.attcollation <> t.typcollation
            THEN format('%%I.%%I', ln.nspname, l.collname) END,
       CASE WHEN a.atttypid = 'jsonb'::regtype THEN 'jsonb'
            WHEN bt.typtype NOT IN ('b', 'e', 'r', 'm') OR bt.typcategory = 'A'
              OR bt.oid IN ('json'::regtype, 'jsonb'::regtype) THEN 'record'
            WHEN a.atttypmod <> -1 AND a.atttypid NOT IN (
                   'numeric'::regtype, 'time'::regtype, 'timetz'::regtype, 'timestamp'::regtype,
                   'timestamptz'::regtype, 'interval'::regtype) THEN 'limited'
            ELSE 'text' END
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  JOIN base AS b ON b.attnum = a.attnum
  JOIN pg_catalog.pg_type AS bt ON bt.oid = b.type AND bt.typtype <> 'd'
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
"""The columns, in order. A domain's own default counts where the column has none, as in INSERT."""

UNIQUE = """
WITH RECURSIVE tree(oid) AS (
    SELECT %(oid)s::oid
     UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid
),
entry AS (
    SELECT i.indexrelid, i.indrelid, i.indisprimary, k.attnum, k.locale, k.opclass
      FROM pg_catalog.pg_index AS i
      JOIN tree ON tree.oid = i.indrelid
     CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[])
           WITH ORDINALITY AS k(attnum, locale, opclass, place)
     WHERE (i.indisunique OR i.indisexclusion) AND i.indislive AND k.place <= i.indnkeyatts
),
index AS (
    SELECT i.*,
           i.indexprs IS NOT NULL OR i.indpred IS NOT NULL AS computes,
           concat(i.indexprs::text, i.indpred::text) LIKE '%%:varattno 0 %%' AS whole_row
      FROM pg_catalog.pg_index AS i
     WHERE i.indexrelid IN (SELECT indexrelid FROM entry)
),
touched(indexrelid, attnum) AS (
    SELECT e.indexrelid, e.attnum FROM entry AS e WHERE e.attnum > 0
     UNION
    SELECT i.indexrelid, d.refobjsubid
      FROM index AS i
      JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid
     WHERE i.computes AND d.refobjsubid > 0
     UNION
    SELECT i.indexrelid, a.attnum
      FROM index AS i
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum > 0
     WHERE i.whole_row
),
source AS (
    SELECT t.indexrelid, t.attnum FROM touched AS t
     UNION
    SELECT t.indexrelid, d.refobjsubid
      FROM touched AS t
      JOIN index AS i ON i.indexrelid = t.indexrelid
      JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = i.indrelid AND a.attnum = t.attnum AND a.attgenerated <> ''
      JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
      JOIN pg_catalog.pg_depend AS d
        ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid
       AND d.refobjsubid > 0
       AND (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
            OR d.classid = 'pg_catalog.pg_class'::regclass
               AND d.objid = a.attrelid AND d.objsubid = a.attnum)
)
SELECT c.relname::text,
       i.indisexclusion
       OR NOT i.indisprimary
          AND NOT coalesce((SELECT bool_and(EXISTS (SELECT FROM entry AS e
                                                     WHERE e.indexrelid = i.indexrelid
                                                       AND e.attnum = p.attnum
                                                       AND e.locale = p.locale
                                                       AND e.opclass = p.opclass))
                              FROM entry AS p
                             WHERE p.indrelid = i.indrelid AND p.indisprimary), false),
       i.indisexclusion,
       CASE WHEN i.indrelid <> %(oid)s
            THEN i.indrelid::regclass::text END,
       ARRAY(SELECT a.attname::text
               FROM touched AS t
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = i.indrelid AND a.attnum = t.attnum
              WHERE t.indexrelid = i.indexrelid AND NOT a.attisdropped
              ORDER BY array_position(i.indkey::int2[], a.attnum), a.attnum),
       ARRAY(SELECT a.attname::text
               FROM source AS s
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = i.indrelid AND a.attnum = s.attnum
              WHERE s.indexrelid = i.indexrelid AND NOT a.attisdropped)
  FROM index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
 ORDER BY i.indrelid <> %(oid)s, c.relname, i.indexrelid
"""
"""Unique indexes and exclusion constraints of the table and of its partitions.

Columns: name; whether it can make rows with different keys disturb one another (a unique index
that contains the whole primary key can't); whether it excludes; the partition that has it, or
NULL; its columns; those and the columns that its generated columns are computed from.
"""

CONSTRAINTS = """
WITH RECURSIVE tree(oid) AS (
    SELECT %(oid)s::oid
     UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid
),
domain(attnum, type) AS (
    SELECT a.attnum, a.atttypid
      FROM pg_catalog.pg_attribute AS a
     WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
     UNION
    SELECT d.attnum, t.typbasetype
      FROM domain AS d
      JOIN pg_catalog.pg_type AS t ON t.oid = d.type AND t.typtype = 'd'
)
SELECT c.conname::text, 1 AS rank,
       ARRAY(SELECT a.attname::text
               FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, place)
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = c.conrelid AND a.attnum = k.attnum
              ORDER BY k.place),
       NULL, NULL
  FROM pg_catalog.pg_constraint AS c
  JOIN tree ON tree.oid = c.conrelid
 WHERE c.contype IN ('c', 'f', 'n', 'p', 'u')
 UNION ALL
SELECT c.conname::text, 2,
       ARRAY(SELECT a.attname::text
               FROM domain AS d
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = %(oid)s AND a.attnum = d.attnum
              WHERE d.type = c.contypid
              ORDER BY a.attnum),
       NULL, NULL
  FROM pg_catalog.pg_constraint AS c
 WHERE c.contypid IN (SELECT d.type FROM domain AS d)
 UNION ALL
SELECT c.conname::text, 3,
       ARRAY(SELECT a.attname::text
               FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, place)
               JOIN pg_catalog.pg_attribute AS a
                 ON a.attrelid = c.confrelid AND a.attnum = k.attnum
              ORDER BY k.place),
       n.nspname::text, r.relname::text
  FROM pg_catalog.pg_constraint AS c
  JOIN tree ON tree.oid = c.confrelid
  JOIN pg_catalog.pg_class AS r ON r.oid = c.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
 WHERE c.contype = 'f' AND c.conrelid NOT IN (SELECT oid FROM tree)
 ORDER BY 2, 1
"""
"""Constraints by name: the table's own, then its domains', then foreign keys that point at it.

Columns: name; rank; columns of the table; of those foreign keys, schema and name of their table.
"""
