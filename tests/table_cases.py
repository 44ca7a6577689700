"""Tables of every kind that the engine tells apart, and values that their columns may be sent.

In the DDL `{s}` stands for the schema. `values` maps columns to JSON texts, good ones more often;
the key columns' texts name few keys, in several spellings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SCOPE = {"_client_id": ['"c1"', '"c1"', '"c2"', "null"], "_ver": ['"1"', "1", '"01"', "1.0"]}


@dataclass(frozen=True)
class TableCase:
    """One table: how it is created, its rows at first, and what records may say about it.

    Records carry the columns in `seldom` seldom. `undetermined` is a key column that a sequence
    fills from 1000 on, `beside` another table that is written with this one. `clients` and
    `versions` are the envelope's scope values, `key` is what records nearly always carry.
    """

    name: str
    cutting: str
    ddl: str
    seed: str
    values: dict[str, list[str]]
    seldom: tuple[str, ...] = ("_client_id", "_ver")
    undetermined: str | None = None
    beside: str | None = None
    key: tuple[str, ...] = ("id",)
    clients: tuple[str, ...] = field(default=('"c1"', '"c1"', '"c1"', '"c2"'))
    versions: tuple[str, ...] = field(default=('"1"',))


_UUIDS = [
    '"00000000-0000-4000-8000-00000000000a"',
    '"00000000-0000-4000-8000-00000000000A"',
    '"0000000000004000800000000000000a"',
    '"{00000000-0000-4000-8000-00000000000a}"',
    '"00000000-0000-4000-8000-00000000000b"',
    '"00000000-0000-4000-8000-00000000000c"',
    '"00000000-0000-4000-8000-00000000000d"',
    '"00000000-0000-4000-8000-00000000000\\u0065"',
    '"00000000-0000-4000-8000-0000000000"',
]
_SMALL = ["1", "2", "3", "4", "5", "6"]

CASES = [
    TableCase(
        name="uuid_key",
        key=("_id",),
        cutting="waves",
        ddl="""
CREATE TYPE {s}.mood AS ENUM ('good', 'bad');
CREATE DOMAIN {s}.percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE {s}.t (
  _id uuid PRIMARY KEY, _client_id text, _ver varchar(10), a int NOT NULL CHECK (a <> 13),
  b numeric(6,2) DEFAULT 7, d timestamptz, j jsonb, tags text[], m {s}.mood DEFAULT 'good',
  p {s}.percent, raw bytea, twice int GENERATED ALWAYS AS (a * 2) STORED,
  _updated_at timestamptz DEFAULT '2001-01-01')""",
        seed="""
INSERT INTO {s}.t (_id, _client_id, _ver, a) VALUES
  ('00000000-0000-4000-8000-00000000000a', 'c1', '1', 1),
  ('00000000-0000-4000-8000-00000000000b', 'c2', '1', 2),
  ('00000000-0000-4000-8000-00000000000e', NULL, '1', 3)""",
        values={
            "_id": _UUIDS,
            **_SCOPE,
            "a": [*_SMALL, '"7"', "1e1", "13", "null", "1.5", '"x"', "99999999999"],
            "b": ["1", "1.005", '"2.5"', "null", "12345", '"NaN"'],
            "d": ['"2020-01-01"', '"2020-02-30"', "null", '"infinity"'],
            "j": ["{}", '{"x": [1, 2]}', "null", '"text"', '"\\u00e9"'],
            "tags": ['["a", "b"]', "[]", "null", '"{x,y}"', '[["a"], ["b"]]', '{"a": 1}'],
            "m": ['"good"', '"bad"', '"ugly"', "null"],
            "p": ["1", "100", "101", "null"],
            "raw": ['"\\\\x00ff"', '"\\\\x0"', "null"],
            "twice": ["2"],
            "_updated_at": ['"2002-02-02"', "null"],
        },
        seldom=("_client_id", "_ver", "twice", "_updated_at", "raw", "tags", "d"),
    ),
    TableCase(
        name="text_and_time_key",
        key=("at", "name"),
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (at timestamptz, name text, v int, w text DEFAULT 'w',
  PRIMARY KEY (name, at))""",
        seed="""
INSERT INTO {s}.t VALUES ('2020-01-01 00:00+00', 'x', 1), ('2020-01-02 00:00+00', 'x', 2)""",
        values={
            "at": [
                '"2020-01-01"',
                '"2020-01-01T00:00:00Z"',
                '"2020-01-01T02:00:00+02:00"',
                '"2020-01-02"',
                '"01/02/2020"',
                '"2020-13-01"',
                "null",
            ],
            "name": ['"x"', '"x"', '"y"', '"\\u0078"', '"x "', '"X"', "1", '"1"', '""'],
            "v": [*_SMALL, "null", '"x"'],
            "w": ['"u"', "null", '["u"]'],
        },
    ),
    TableCase(
        name="numeric_key_and_integer_scope",
        key=("n",),
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (n numeric PRIMARY KEY, _ver int NOT NULL, v varchar(3) NOT NULL,
  _updated_at timestamp DEFAULT '2001-01-01')""",
        seed="INSERT INTO {s}.t VALUES (1, 1, 'a'), (2.50, 2, 'b')",
        values={
            "n": [
                "1",
                "1.0",
                "1.00",
                "1e0",
                '"1"',
                "2.5",
                "2.50",
                "3",
                "-0",
                '"x"',
                "0.30",
                "3e-1",
            ],
            "_ver": ["1", '"1"', "1.0", "2", "null", '"x"'],
            "v": ['"a"', '"abc"', '"abcd"', '"abc "', "null", "12"],
            "_updated_at": ['"2002-02-02"'],
        },
        seldom=("_ver", "_updated_at"),
        versions=("1", "1", '"1"', '"01"', "2", '"x"', "1.0"),
    ),
    TableCase(
        name="bigint_key",
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (id bigint GENERATED BY DEFAULT AS IDENTITY (START 1000) PRIMARY KEY,
  _client_id varchar(2), v int, f boolean NOT NULL DEFAULT false)""",
        seed="INSERT INTO {s}.t VALUES (1, 'c1', 1), (2, 'c2', 2), (3, 'c1', 3)",
        values={
            "id": [
                "1",
                "1e0",
                '"1"',
                '"01"',
                "1.0",
                "2",
                "3",
                "4",
                "5",
                "-1",
                "1.5",
                '"x"',
                "null",
            ],
            "_client_id": ['"c1"', '"c2"', '"c1 "', '"c1  "', '"c1x"'],
            "v": [*_SMALL, "true", "null"],
            "f": ["true", "false", '"yes"', "null", '"maybe"'],
        },
        clients=('"c1"', '"c1"', '"c1"', '"c2"', '"c1 "', '"c11"'),
        undetermined="id",
    ),
    TableCase(
        name="identity_always_key",
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (id int GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY,
  v int DEFAULT 5, w text DEFAULT 'w')""",
        seed="INSERT INTO {s}.t OVERRIDING SYSTEM VALUE VALUES (1, 1), (2, 2), (3, 3)",
        values={"id": ["1", "2", "3", "4", '"1"'], "v": [*_SMALL, "null"], "w": ['"u"', "null"]},
        undetermined="id",
    ),
    TableCase(
        name="padded_key",
        key=("c", "d"),
        cutting="waves",
        ddl="CREATE TABLE {s}.t (c char(3), d varchar(3), v int, PRIMARY KEY (c, d))",
        seed="INSERT INTO {s}.t VALUES ('a', 'a', 1), ('b', 'abc', 2)",
        values={
            "c": ['"a"', '"a  "', '"a    "', '"b"', '"abcd"', "1", '"1"'],
            "d": ['"a"', '"abc"', '"abc "', '"abc  "', '"abcd"', "1", '"1"'],
            "v": [*_SMALL, "null"],
        },
    ),
    TableCase(
        name="case_insensitive_key",
        key=("name",),
        cutting="waves",
        ddl="""
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
CREATE TABLE {s}.t (name citext PRIMARY KEY, _client_id citext, v int)""",
        seed="INSERT INTO {s}.t VALUES ('ann', 'c1', 1), ('bob', 'c2', 2)",
        values={
            "name": ['"ann"', '"Ann"', '"ANN"', '"bob"', '"Bob"', '"eve"', '"\\u0045ve"', "1"],
            "_client_id": ['"c1"', '"C1"', '"c2"'],
            "v": [*_SMALL, "null", "[]"],
        },
        clients=('"c1"', '"C1"', '"c2"'),
    ),
    TableCase(
        name="scope_in_key",
        key=("code",),
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (_client_id text, code varchar(4), _ver int, v int,
  _updated_at timestamptz DEFAULT '2001-01-01', PRIMARY KEY (_client_id, code))""",
        seed="INSERT INTO {s}.t VALUES ('c1', 'a', 1, 1), ('c2', 'a', 1, 2), ('c1', 'b', 2, 3)",
        values={
            "_client_id": ['"c1"', '"\\u00631"', '"c2"', "null"],
            "code": ['"a"', '"a"', '"b"', '"c"', '"abcde"', "1", '"1"'],
            "_ver": ["1", '"1"', "2"],
            "v": [*_SMALL, "null"],
        },
        versions=("1", "1", '"1"', "2"),
    ),
    TableCase(
        name="key_with_constant_default",
        key=("a",),
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (a int, b int DEFAULT 1, v int NOT NULL DEFAULT 0, PRIMARY KEY (a, b))""",
        seed="INSERT INTO {s}.t VALUES (1, 1, 1)",
        values={"a": ["1", "2", "3", '"x"'], "b": ["1", "2", "1e0"], "v": [*_SMALL, "null"]},
        seldom=("b",),
    ),
    TableCase(
        name="computed_key",
        key=("a", "k"),
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (a int, k int GENERATED ALWAYS AS (a % 4) STORED PRIMARY KEY, v int)""",
        seed="INSERT INTO {s}.t VALUES (1, DEFAULT, 1), (2, DEFAULT, 2)",
        values={"a": [*_SMALL, '"x"'], "k": ["1", "2", "3", '"1"'], "v": [*_SMALL, "null"]},
    ),
    TableCase(
        name="only_defaults",
        cutting="waves",
        ddl="""
CREATE DOMAIN {s}.some AS int NOT NULL;
CREATE TABLE {s}.t (id int DEFAULT 7 PRIMARY KEY, v int DEFAULT 1, w {s}.some DEFAULT 2)""",
        seed="INSERT INTO {s}.t VALUES (1), (2)",
        values={"id": ["1", "2", "3", "7"], "v": [*_SMALL, "null"], "w": ["1", "null"]},
    ),
    TableCase(
        name="strict_domain",
        cutting="waves",
        ddl="""
CREATE DOMAIN {s}.some AS text NOT NULL CHECK (VALUE <> 'no');
CREATE TABLE {s}.t (id int PRIMARY KEY, v int NOT NULL, w {s}.some)""",
        seed="INSERT INTO {s}.t VALUES (1, 1, 'a'), (2, 2, 'b')",
        values={
            "id": ["1", "2", "3", "4"],
            "v": [*_SMALL, "null"],
            "w": ['"a"', '"b"', '"no"', "null"],
        },
    ),
    TableCase(
        name="parent",
        cutting="waves",
        ddl="""
CREATE TABLE {s}.parent (id int PRIMARY KEY);
INSERT INTO {s}.parent VALUES (1), (2), (3);
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text,
  parent int REFERENCES {s}.parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE {s}.child (id int PRIMARY KEY, t int REFERENCES {s}.t)""",
        seed="""
INSERT INTO {s}.t VALUES (1, 'c1', 1), (2, 'c1', 2), (3, 'c2', 3);
INSERT INTO {s}.child VALUES (1, 2)""",
        values={"id": [*_SMALL], "_client_id": ['"c1"'], "parent": ["1", "2", "3", "4", "null"]},
    ),
    TableCase(
        name="partitioned",
        key=("id", "region"),
        cutting="waves",
        ddl="""
CREATE TABLE {s}.t (id int, region text, v int CHECK (v <> 5), PRIMARY KEY (region, id))
  PARTITION BY LIST (region);
CREATE TABLE {s}.t_north PARTITION OF {s}.t FOR VALUES IN ('n');
CREATE TABLE {s}.t_south PARTITION OF {s}.t FOR VALUES IN ('s')""",
        seed="INSERT INTO {s}.t VALUES (1, 'n', 1), (1, 's', 2)",
        values={
            "id": ["1", "2", "3", "1.0"],
            "region": ['"n"', '"s"', '"w"', '"\\u006e"'],
            "v": [*_SMALL, "null"],
        },
    ),
    TableCase(
        name="secondary_unique",
        cutting="runs",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text, email text, team int, v int,
  _updated_at timestamptz DEFAULT '2001-01-01', UNIQUE (_client_id, email));
CREATE UNIQUE INDEX one_captain ON {s}.t (team) WHERE v = 1""",
        seed="""
INSERT INTO {s}.t VALUES (1, 'c1', 'a', 1, 1), (2, 'c2', 'a', 1, 2), (3, 'c1', 'b', 2, 3)""",
        values={
            "id": [*_SMALL, "1.0", '"2"'],
            "_client_id": ['"c1"'],
            "email": ['"a"', '"b"', '"c"', '"d"', "null"],
            "team": ["1", "2", "3"],
            "v": ["1", "1", "2", "3", "null", '"x"'],
        },
    ),
    TableCase(
        name="unique_default",
        cutting="runs",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, code text UNIQUE NULLS NOT DISTINCT DEFAULT 'x', v int,
  up text UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX on_lower ON {s}.t (lower(up))""",
        seed="INSERT INTO {s}.t VALUES (1, 'a', 1, 'A'), (2, 'b', 2, NULL)",
        values={
            "id": [*_SMALL],
            "code": ['"a"', '"b"', '"x"', "null", '"c"'],
            "v": [*_SMALL],
            "up": ['"A"', '"a"', '"B"', '"b"', "null"],
        },
    ),
    TableCase(
        name="exclusion",
        cutting="runs",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, during int4range DEFAULT '[100,200)', note text,
  EXCLUDE USING gist (during WITH &&))""",
        seed="INSERT INTO {s}.t VALUES (1, '[1,5)'), (2, '[5,9)')",
        values={
            "id": [*_SMALL],
            "during": ['"[1,3)"', '"[3,6)"', '"[9,12)"', '"[10,11]"', '"empty"', '"[2,1)"', "null"],
            "note": ['"x"', "null"],
        },
    ),
    TableCase(
        name="self_reference",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text, boss int REFERENCES {s}.t,
  heir int REFERENCES {s}.t ON DELETE CASCADE, friend int REFERENCES {s}.t ON DELETE SET NULL
  DEFERRABLE INITIALLY DEFERRED)""",
        seed="""
INSERT INTO {s}.t VALUES (1, 'c1'), (2, 'c1'), (3, 'c2');
UPDATE {s}.t SET boss = id - 1 WHERE id > 1;
UPDATE {s}.t SET heir = 1, friend = 1 WHERE id = 3""",
        values={
            "id": [*_SMALL, '"1"'],
            "_client_id": ['"c1"'],
            "boss": [*_SMALL, "null"],
            "heir": ["1", "2", "null", "null"],
            "friend": ["1", "2", "3", "null"],
        },
    ),
    TableCase(
        name="triggers",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text, v int, note text,
  _updated_at timestamptz DEFAULT '2001-01-01');
CREATE TABLE {s}.log (id int, what text, rows bigint);
CREATE FUNCTION {s}.act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.v = 1 THEN RETURN NULL; END IF;
    RETURN OLD;
  END IF;
  CASE NEW.v
    WHEN 2 THEN RETURN NULL;
    WHEN 3 THEN NEW.note := 'changed ' || (SELECT count(*) FROM {s}.t);
    WHEN 4 THEN RAISE SQLSTATE 'BD001' USING MESSAGE = 'no', COLUMN = 'v';
    WHEN 5 THEN RAISE 'never' USING CONSTRAINT = 'imaginary';
    ELSE NULL;
  END CASE;
  RETURN NEW;
END $$;
CREATE FUNCTION {s}.count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {s}.log SELECT 0, TG_OP, count(*) FROM {s}.t;
  RETURN NULL;
END $$;
CREATE TRIGGER act BEFORE INSERT OR UPDATE OR DELETE ON {s}.t
  FOR EACH ROW EXECUTE FUNCTION {s}.act();
CREATE TRIGGER count AFTER INSERT OR UPDATE OR DELETE ON {s}.t
  FOR EACH ROW EXECUTE FUNCTION {s}.count()""",
        seed="""
TRUNCATE {s}.log;
ALTER TABLE {s}.t DISABLE TRIGGER USER;
INSERT INTO {s}.t VALUES (1, 'c1', 1, 'a'), (2, 'c1', 2, 'b'), (3, 'c2', 3, 'c');
ALTER TABLE {s}.t ENABLE TRIGGER USER""",
        values={
            "id": [*_SMALL],
            "_client_id": ['"c1"'],
            "v": [*_SMALL, "null", '"x"'],
            "note": ['"n"', "null"],
        },
        beside="log",
    ),
    TableCase(
        name="row_security",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text, v int NOT NULL);
ALTER TABLE {s}.t ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON {s}.t FOR SELECT USING (id <> 6);
CREATE POLICY added ON {s}.t FOR INSERT WITH CHECK (v <> 4);
CREATE POLICY changed ON {s}.t FOR UPDATE USING (v <> 2) WITH CHECK (v <> 4);
CREATE POLICY removed ON {s}.t FOR DELETE USING (v <> 1)""",
        seed="INSERT INTO {s}.t VALUES (1, 'c1', 1), (2, 'c1', 2), (3, 'c2', 3), (6, 'c1', 1)",
        values={"id": [*_SMALL], "_client_id": ['"c1"'], "v": [*_SMALL, "null", '"x"']},
    ),
    TableCase(
        name="counting_default",
        cutting="record by record",
        ddl="""
CREATE FUNCTION {s}.next() RETURNS int LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT count(*) FROM {s}.t); END $$;
CREATE TABLE {s}.t (id int PRIMARY KEY, place int DEFAULT {s}.next(), v int)""",
        seed="INSERT INTO {s}.t VALUES (1, 1, 1), (2, 2, 2)",
        values={"id": [*_SMALL], "place": ["1", "null"], "v": [*_SMALL]},
        seldom=("place",),
    ),
    TableCase(
        name="rules",
        cutting="record by record",
        ddl="""
CREATE TABLE {s}.t (id int PRIMARY KEY, _client_id text, v int, note text);
CREATE TABLE {s}.log (id int, what text);
CREATE RULE keep AS ON DELETE TO {s}.t WHERE OLD.v = 1 DO INSTEAD NOTHING;
CREATE RULE tell AS ON UPDATE TO {s}.t DO ALSO INSERT INTO {s}.log VALUES (NEW.id, NEW.note);
CREATE RULE never AS ON INSERT TO {s}.t WHERE NEW.v = 2 DO INSTEAD NOTHING""",
        seed="TRUNCATE {s}.log; INSERT INTO {s}.t VALUES (1, 'c1', 1), (3, 'c1', 3), (4, 'c2', 1)",
        values={
            "id": [*_SMALL],
            "_client_id": ['"c1"'],
            "v": [*_SMALL, "null"],
            "note": ['"n"', "null"],
        },
        beside="log",
    ),
]
