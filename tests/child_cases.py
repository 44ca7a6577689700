"""Tables whose deletes reach into other tables, where two records may meet."""

from __future__ import annotations

from table_case import TableCase

_VALUES = {"id": ["1", "2", "3", "4", "5", "6"]}
_MOSTLY_DELETE = ("DELETE", "DELETE", "DELETE", "DELETE", "INSERT")

CHILD_CASES = [
    TableCase(
        name="twice_cascading_child",
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY, a int REFERENCES {s}.t ON DELETE CASCADE,
  b int REFERENCES {s}.t ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE {s}.g (id int PRIMARY KEY, c int NOT NULL REFERENCES {s}.c ON DELETE SET NULL);
CREATE TABLE {s}.h (a int REFERENCES {s}.t, b int REFERENCES {s}.t, c int REFERENCES {s}.c)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c VALUES (1, 1, 2), (2, 2, 3), (3, 3, 1), (4, 4, 5);
INSERT INTO {s}.g VALUES (1, 4);
INSERT INTO {s}.h VALUES (6, 5, 3)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="c",
    ),
    TableCase(
        name="twice_referring_child",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY, a int REFERENCES {s}.t ON DELETE CASCADE,
  b int REFERENCES {s}.t)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c VALUES (1, 1, 2), (2, 4, 3), (3, 5, 6)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="c",
    ),
    TableCase(
        name="child_and_grandchild",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY, one int REFERENCES {s}.t ON DELETE CASCADE);
CREATE TABLE {s}.g (id int PRIMARY KEY, c int REFERENCES {s}.c,
  one int REFERENCES {s}.t ON DELETE CASCADE)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c SELECT n, n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.g VALUES (1, 1, 2), (2, 4, 3), (3, 5, 5), (4, 6, 5)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="g",
    ),
    TableCase(
        name="child_cascading_and_nulling",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY, a int REFERENCES {s}.t ON DELETE CASCADE,
  b int NOT NULL REFERENCES {s}.t ON DELETE SET NULL)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c VALUES (1, 1, 2), (2, 4, 3), (3, 5, 6)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="c",
    ),
    TableCase(
        name="child_with_siblings",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY, one int REFERENCES {s}.t ON DELETE CASCADE,
  parent int REFERENCES {s}.c)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c VALUES (1, 1, NULL), (2, 2, 1), (3, 5, NULL), (4, 4, 3)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="c",
    ),
    TableCase(
        name="child_that_follows_updates",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, a int, UNIQUE (id, a));
CREATE TABLE {s}.c (x int, a int UNIQUE,
  FOREIGN KEY (x, a) REFERENCES {s}.t (id, a) ON UPDATE CASCADE)""",
        seed="""
INSERT INTO {s}.t SELECT n, 7 - n FROM generate_series(1, 6) AS n;
INSERT INTO {s}.c SELECT id, a FROM {s}.t""",
        values={"id": ["1", "2"], "a": ["6", "7"]},
        key=("id", "a"),
        beside="c",
        operations=("UPDATE",),
    ),
    TableCase(
        name="child_set_to_default",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY);
CREATE TABLE {s}.c (id int PRIMARY KEY,
  one int DEFAULT 1 REFERENCES {s}.t ON DELETE SET DEFAULT)""",
        seed="""
INSERT INTO {s}.t SELECT n FROM generate_series(2, 5) AS n;
INSERT INTO {s}.c VALUES (2, 2), (3, 3), (4, 4), (5, 5)""",
        values=_VALUES,
        operations=_MOSTLY_DELETE,
        beside="c",
    ),
]
