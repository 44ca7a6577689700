"""Tells whether a table is still what its description says, cheaply enough for every batch.

A drain outlives ALTER TABLE, and a statement made for the table as it was may well succeed: it
rounds to the old numeric(6,2), or writes NULL where there is a default now.
"""

from __future__ import annotations

VERSION = """
SELECT concat_ws(' ', c.xmin,
       (SELECT sum(a.xmin::text::bigint * a.attnum)
          FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
       (SELECT sum(d.xmin::text::bigint * d.adnum)
          FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid = c.oid),
       (SELECT sum(i.xmin::text::bigint + i.indexrelid::bigint)
          FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid),
       CASE WHEN c.relhastriggers THEN
         (SELECT sum(g.xmin::text::bigint + g.oid::bigint)
            FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = c.oid) END,
       CASE WHEN c.relhasrules THEN
         (SELECT sum(r.xmin::text::bigint + r.oid::bigint)
            FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid) END,
       CASE WHEN c.relhassubclass THEN
         (WITH RECURSIVE tree(oid) AS (
            SELECT c.oid
             UNION
            SELECT i.inhrelid
              FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid)
          SELECT sum(p.xmin::text::bigint + p.oid::bigint)
            FROM tree JOIN pg_catalog.pg_class AS p ON p.oid = tree.oid) END,
       (WITH RECURSIVE type(oid) AS (
          SELECT a.atttypid
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384
           UNION
          SELECT t.typbasetype
            FROM type JOIN pg_catalog.pg_type AS t ON t.oid = type.oid
           WHERE t.typbasetype >= 16384)
        SELECT sum(t.xmin::text::bigint + coalesce(
                 (SELECT sum(k.xmin::text::bigint + k.oid::bigint)
                    FROM pg_catalog.pg_constraint AS k WHERE k.contypid = t.oid), 0))
          FROM type JOIN pg_catalog.pg_type AS t ON t.oid = type.oid))
  FROM pg_catalog.pg_class AS c WHERE c.oid = $1::oid
"""
"""A text that is another one after each change to the table $1 (its oid) that matters here; no row
when it is gone.

By the transactions that wrote the catalog's rows: of the table, its columns, defaults, indexes,
triggers (a foreign key has one on each of its tables), rules and domains, and of its partitions'
entries in pg_class; a CHECK, a policy or a grant changes the table's own. VACUUM and ANALYZE change
none of them. Object ids below 16384 are PostgreSQL's own (FirstNormalObjectId, access/transam.h).
"""
