"""The SQL that tells what makes rows of a table disturb one another (PostgreSQL 14 and later).

Object ids below 16384 are PostgreSQL's own (FirstNormalObjectId in access/transam.h).
"""

from __future__ import annotations

HARMLESS_EXTENSIONS = [
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "hstore",
    "intarray",
    "isn",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "postgis",
    "seg",
    "unaccent",
    "uuid-ossp",
    "vector",
]
"""Extensions whose functions compute from their arguments and never read the drained table."""

DISTURBANCE = """
WITH RECURSIVE tree(oid) AS (
    SELECT %(oid)s::oid
     UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid
),
root(oid) AS (SELECT coalesce(pg_catalog.pg_partition_root(%(oid)s), %(oid)s)::oid),
edge AS MATERIALIZED (
    SELECT c.conname::text AS name,
           r.child,
           r.parent,
           c.confdeltype AS on_delete,
           CASE WHEN NOT EXISTS (SELECT
                                   FROM pg_catalog.pg_index AS i
                                  WHERE i.indrelid = c.confrelid AND i.indisprimary
                                    AND c.confkey <@ (i.indkey::int2[])[:i.indnkeyatts - 1])
                  OR r.parent NOT IN (SELECT oid FROM root)
                     AND EXISTS (SELECT
                                   FROM pg_catalog.pg_constraint AS o
                                  WHERE o.contype = 'f' AND o.conrelid = c.confrelid
                                    AND o.conkey && c.confkey)
                THEN c.confupdtype ELSE 'a' END AS on_update,
           EXISTS (SELECT
                     FROM pg_catalog.pg_index AS i
                    WHERE i.indrelid = c.confrelid AND i.indisprimary
                      AND (i.indkey::int2[])[:i.indnkeyatts - 1] <@ c.confkey) AS whole_key
      FROM pg_catalog.pg_constraint AS c
     CROSS JOIN LATERAL (
           SELECT coalesce(pg_catalog.pg_partition_root(c.conrelid), c.conrelid)::oid,
                  coalesce(pg_catalog.pg_partition_root(c.confrelid), c.confrelid)::oid
     ) AS r(child, parent)
     WHERE c.contype = 'f' AND c.conparentid = 0
),
reached(oid) AS (
    SELECT oid FROM root
     UNION
    SELECT e.child
      FROM edge AS e
      JOIN reached AS r ON r.oid = e.parent
     WHERE e.on_delete IN ('c', 'n', 'd') OR e.on_update IN ('c', 'n', 'd')
),
ancestor(oid) AS (
    SELECT e.parent FROM edge AS e JOIN root ON root.oid = e.child
     UNION
    SELECT e.parent FROM edge AS e JOIN ancestor AS a ON a.oid = e.child
),
written(oid) AS (
    SELECT %(oid)s::oid
     UNION
    SELECT n.oid
      FROM written AS w
     CROSS JOIN LATERAL (
           SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = w.oid
            UNION ALL
           SELECT c.conrelid
             FROM pg_catalog.pg_constraint AS c
            WHERE c.contype = 'f' AND c.confrelid = w.oid
              AND (c.confdeltype IN ('c', 'n', 'd') OR c.confupdtype IN ('c', 'n', 'd'))
     ) AS n(oid)
),
held(type) AS (
    SELECT a.atttypid
      FROM pg_catalog.pg_attribute AS a
      JOIN tree ON tree.oid = a.attrelid
     WHERE a.attnum > 0 AND NOT a.attisdropped
     UNION
    SELECT n.type
      FROM held AS h
      JOIN pg_catalog.pg_type AS t ON t.oid = h.type
     CROSS JOIN LATERAL (
           SELECT t.typbasetype
            UNION ALL
           SELECT t.typelem
            UNION ALL
           SELECT a.atttypid
             FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
           SELECT r.rngsubtype
             FROM pg_catalog.pg_range AS r
            WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
     ) AS n(type)
     WHERE n.type <> 0
),
expression(classid, objid, place) AS (
    SELECT 'pg_catalog.pg_attrdef'::regclass::oid, d.oid, format('column "%%s"', a.attname)
      FROM pg_catalog.pg_attrdef AS d
      JOIN tree ON tree.oid = d.adrelid
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, c.oid, format('constraint "%%s"', c.conname)
      FROM pg_catalog.pg_constraint AS c
     WHERE c.contype = 'c'
       AND (c.conrelid IN (SELECT oid FROM tree) OR c.contypid IN (SELECT type FROM held))
     UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, format('index "%%s"', c.relname)
      FROM pg_catalog.pg_index AS i
      JOIN tree ON tree.oid = i.indrelid
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
     UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, tree.oid, 'partition key' FROM tree
     UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, format('domain "%%s"', t.typname)
      FROM held AS h
      JOIN pg_catalog.pg_type AS t ON t.oid = h.type AND t.typtype = 'd'
),
called(oid, place) AS (
    SELECT coalesce(o.oprcode::oid, d.refobjid), e.place
      FROM expression AS e
      JOIN pg_catalog.pg_depend AS d
        ON d.classid = e.classid AND d.objid = e.objid AND d.refobjid >= 16384
       AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
      LEFT JOIN pg_catalog.pg_operator AS o
        ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND o.oid = d.refobjid
),
disturbance(rank, phrase) AS (
    SELECT 1, format('self-referencing foreign key "%%s"', e.name)
      FROM edge AS e
      JOIN root ON root.oid = e.child AND root.oid = e.parent
     UNION ALL
    SELECT 2, format('cycle of foreign keys through "%%s"', e.name)
      FROM edge AS e
      JOIN root ON root.oid = e.parent
     WHERE e.child IN (SELECT oid FROM ancestor)
     UNION ALL
    SELECT 3, format('table "%%s", which refers to it by more than one foreign key',
                     e.child::regclass)
      FROM edge AS e
     WHERE e.child IN (SELECT oid FROM reached) AND e.parent IN (SELECT oid FROM reached)
     GROUP BY e.child
    HAVING count(*) > 1
       AND NOT bool_and(e.on_delete = 'c' AND e.on_update NOT IN ('c', 'n', 'd'))
     UNION ALL
    SELECT 4, format('foreign key "%%s" of "%%s", which sets a default', e.name, e.child::regclass)
      FROM edge AS e
     WHERE e.parent IN (SELECT oid FROM reached) AND 'd' IN (e.on_delete, e.on_update)
     UNION ALL
    SELECT 4, format('foreign key "%%s" of "%%s", which follows updates', e.name, e.child::regclass)
      FROM edge AS e
      JOIN root ON root.oid = e.parent
     WHERE e.on_update IN ('c', 'n', 'd') AND e.whole_key
     UNION ALL
    SELECT 5, format('trigger "%%s"', g.tgname)
              || CASE WHEN g.tgrelid <> %(oid)s
                      THEN format(' on "%%s"', g.tgrelid::regclass) ELSE '' END
      FROM pg_catalog.pg_trigger AS g
      JOIN written AS w ON w.oid = g.tgrelid
     WHERE NOT g.tgisinternal
       AND (g.tgenabled = 'A' OR g.tgenabled = CASE current_setting('session_replication_role')
                                                    WHEN 'replica' THEN 'R' ELSE 'O' END)
       AND g.tgtype & 28 <> 0
       AND (g.tgtype & 1 = 1 OR g.tgrelid = %(oid)s OR g.tgrelid NOT IN (SELECT oid FROM tree))
     UNION ALL
    SELECT 6, format('rule "%%s"', r.rulename)
      FROM pg_catalog.pg_rewrite AS r
      JOIN written AS w ON w.oid = r.ev_class
     WHERE r.ev_type <> '1' AND r.ev_enabled <> 'D'
     UNION ALL
    SELECT 7, format('function "%%s" in %%s', p.proname, c.place)
      FROM called AS c
      JOIN pg_catalog.pg_proc AS p ON p.oid = c.oid AND p.oid >= 16384
     WHERE NOT EXISTS (SELECT
                         FROM pg_catalog.pg_depend AS d
                         JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid
                        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                          AND d.refclassid = 'pg_catalog.pg_extension'::regclass
                          AND d.deptype = 'e' AND x.extname = ANY(%(extensions)s::text[]))
)
SELECT phrase FROM disturbance ORDER BY rank, phrase LIMIT 1
"""
"""The first thing that lets one record's row reach another's, as a phrase; no row if nothing does.

`written` are the tables that a statement on this one may write: its partitions, and tables whose
foreign keys cascade from it. `reached` are those whose rows a record can delete or change through
foreign keys, told more exactly: no record changes the key of its row, and no cascade a column that
is neither outside of a key nor in a foreign key (`on_update` is 'a' there). While every row of
these tables refers to one row of them only, the rows that two records reach have nothing in
common. Where it refers to two, one record may be refused for a row that the other deletes; not,
however, where it goes with whichever of the two is deleted first. A default that a foreign key
sets may refer to another record's row. Where one follows updates, it may meet a unique index over
there; without the `whole_key`, it refers to a unique column, each UPDATE of which is alone anyway.

`held` are the types of the columns and all types that these are made of. tgtype & 28 is INSERT,
DELETE or UPDATE, & 1 is FOR EACH ROW (catalog/pg_trigger.h); of a partition only row triggers fire.
Parameter `extensions`: extensions whose functions read no tables.
"""
