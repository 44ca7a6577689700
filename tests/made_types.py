"""Types that are made of others: enums, domains, composites, arrays, ranges (see ColumnType)."""

from __future__ import annotations

from column_type import ColumnType

_MOOD = """
CREATE TYPE {s}.mood AS ENUM ('good', 'Good', 'it''s', 'quo"ted', 'naïve ü', '', ' blank ',
  'comma,', '{x}', 'NULL', '7');"""

_PERCENT = "CREATE DOMAIN {s}.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);"

_SPOT = "CREATE TYPE {s}.spot AS (x integer, label text);"

_PAIR = "CREATE DOMAIN {s}.pair AS integer[] CHECK (cardinality(VALUE) = 2);"

MADE = [
    ColumnType(
        "enum",
        type="{s}.mood",
        good={
            '"good"': "good",
            '"Good"': "Good",
            '"it\'s"': "it's",
            r'"quo\"ted"': 'quo"ted',
            '"naïve ü"': "naïve ü",
            r'"na\u00efve ü"': "naïve ü",
            '""': "",
            '" blank "': " blank ",
            '"comma,"': "comma,",
            '"{x}"': "{x}",
            '"NULL"': "NULL",
            "7": "7",
        },
        invalid=('"ugly"', '"GOOD"', '" good"', "8", "true", "[]"),
        setup=_MOOD,
    ),
    ColumnType(
        "domain",
        type="{s}.percent",
        good={"0": "0", "100": "100", '"7"': "7", "7": "7"},
        invalid=('"x"', "1.5", "[]"),
        bad={"check_violation": ("101", '"-1"'), "numeric_value_out_of_range": ("2147483648",)},
        setup=_PERCENT,
    ),
    ColumnType(
        "domain of a domain",
        type="{s}.even",
        good={"2": "2", '"04"': "4", "100": "100"},
        invalid=('"x"',),
        bad={"check_violation": ("3", "102")},
        setup=_PERCENT + "CREATE DOMAIN {s}.even AS {s}.percent CHECK (VALUE % 2 = 0)",
    ),
    ColumnType(
        "domain of varchar",
        type="{s}.code",
        good={'"abcd"': "abcd", '"ab"': "ab", '"abcd  "': "abcd", "12": "12"},
        bad={"string_data_right_truncation": ('"abcde"',), "check_violation": ('"AB"', '""', "{}")},
        setup="CREATE DOMAIN {s}.code AS varchar(4) CHECK (VALUE ~ '^[a-z0-9]+ *$')",
    ),
    ColumnType(
        "domain not null",
        type="{s}.some",
        good={'"a"': "a", '""': "", "1": "1"},
        bad={"check_violation": ('"no"',)},
        setup="CREATE DOMAIN {s}.some AS text NOT NULL CHECK (VALUE <> 'no')",
        nullable=False,
    ),
    ColumnType(
        "domain with a default",
        type="{s}.seven",
        good={"1": "1", "7": "7"},
        invalid=('"x"',),
        bad={"check_violation": ("9",)},
        setup="CREATE DOMAIN {s}.seven AS integer DEFAULT 7 CHECK (VALUE < 9)",
    ),
    ColumnType(
        "domain of an array",
        type="{s}.pair",
        good={"[1, 2]": "{1,2}", '"{3,4}"': "{3,4}", "[1, null]": "{1,NULL}"},
        invalid=('"x"', '["a", "b"]'),
        bad={"check_violation": ("[1]", "[1, 2, 3]", "[[1, 2], [3, 4], [5, 6]]")},
        setup=_PAIR,
    ),
    ColumnType(
        "composite",
        type="{s}.spot",
        good={
            '{"x": 1, "label": "a"}': "(1,a)",
            '{"label": "a", "x": "1"}': "(1,a)",
            '{"x": 2}': "(2,)",
            "{}": "(,)",
            '{"x": 3, "label": null, "other": 4}': "(3,)",
            r'"(4,\"a b\")"': '(4,"a b")',
            '{"x": 1, "X": 5}': "(1,)",
            '{"label": {"a": 1}}': '(,"{""a"": 1}")',
        },
        invalid=('{"x": "q", "label": "a"}', '"(1)"', '"x"', '{"x": 1.5}'),
        bad={"invalid_parameter_value": ("[1]", "1")},
        setup=_SPOT,
    ),
    ColumnType(
        "nested composite",
        type="{s}.line",
        good={
            '"(,,9)"': "(,,9)",
            '{"from": {"x": 1}, "to": {"x": 2, "label": "b"}, "share": 7}': '("(1,)","(2,b)",7)',
            '{"share": 0}': "(,,0)",
        },
        invalid=('{"from": {"x": "q"}, "share": 1}',),
        bad={"check_violation": ('{"share": 101}',), "invalid_parameter_value": ('{"to": [1]}',)},
        setup=_SPOT
        + _PERCENT
        + 'CREATE TYPE {s}.line AS ("from" {s}.spot, "to" {s}.spot, share {s}.percent)',
    ),
    ColumnType(
        "domain of a composite",
        type="{s}.placed",
        good={'"(3,c)"': "(3,c)", '{"x": 1}': "(1,)", '{"x": 2, "label": "b"}': "(2,b)"},
        invalid=('{"x": "q"}', '"x"'),
        bad={"check_violation": ('{"x": 0, "label": "b"}',)},
        setup=_SPOT + "CREATE DOMAIN {s}.placed AS {s}.spot CHECK ((VALUE).x > 0)",
    ),
]

ARRAYS = [
    ColumnType(
        "integer[]",
        good={
            "[1, 2]": "{1,2}",
            "[]": "{}",
            "[null, 1]": "{NULL,1}",
            '"{1,2}"': "{1,2}",
            '"[2:3]={1,2}"': "[2:3]={1,2}",
            '["3", 4]': "{3,4}",
            "[2147483647]": "{2147483647}",
        },
        invalid=("[1, [2]]", '"x"', '["x"]', '{"a": 1}', "1", "[1.5]", '"{1"'),
        bad={"numeric_value_out_of_range": ("[2147483648]",)},
    ),
    ColumnType(
        "integer[][]",
        type="integer[]",
        good={
            "[[1, 2], [3, 4]]": "{{1,2},{3,4}}",
            '"{{1,2},{3,4}}"': "{{1,2},{3,4}}",
            "[[null]]": "{{NULL}}",
            "[[]]": "{}",
            "[[[1]]]": "{{{1}}}",
        },
        invalid=("[[1], [2, 3]]", "[[1], 2]", '[["x"]]', '"{{1},{2,3}}"', "[[1], {}]"),
    ),
    ColumnType(
        "text[]",
        good={
            '["a", "b"]': "{a,b}",
            r'["a,b", "q\"", "\\"]': r'{"a,b","q\"","\\"}',
            '["NULL", "null", "", null, " ", "{}"]': '{"NULL","null","",NULL," ","{}"}',
            "[]": "{}",
            '"{x,y}"': "{x,y}",
            '[["a"], ["b"]]': "{{a},{b}}",
            '[1, true, {"a": 1}, "é"]': r'{1,true,"{\"a\": 1}",é}',
        },
        invalid=('{"a": 1}', '"x"', '"{a"', '[["a"], "b"]', "true"),
    ),
    ColumnType(
        "numeric(6,2)[]",
        good={
            "[1.005, 9999.99]": "{1.01,9999.99}",
            '["NaN"]': "{NaN}",
            '"{1,2.5}"': "{1.00,2.50}",
            "[-0]": "{0.00}",
        },
        invalid=('["x"]', "[1, [2]]"),
        bad={"numeric_value_out_of_range": ("[10000]",)},
    ),
    ColumnType(
        "varchar(3)[]",
        type="character varying(3)[]",
        good={'"{ab}"': "{ab}", '["abc", "abc  "]': "{abc,abc}", "[1]": "{1}"},
        bad={"string_data_right_truncation": ('["abcd"]', "[1234]")},
    ),
    ColumnType(
        "char(3)[]",
        type="character(3)[]",
        good={'"{abc}"': "{abc}", '["a", "abc"]': '{"a  ",abc}', '["a  ", "abc  "]': '{"a  ",abc}'},
        bad={"string_data_right_truncation": ('["abcd"]',)},
    ),
    ColumnType(
        "bytea[]",
        good={r'["\\x00", "a"]': r'{"\\x00","\\x61"}', r'"{\"\\\\x01\"}"': r'{"\\x01"}'},
        bad={"invalid_parameter_value": (r'["\\x0"]',)},
    ),
    ColumnType(
        "boolean[]",
        good={'"{yes}"': "{t}", "[true, false, null]": "{t,f,NULL}", '["on", 0]': "{t,f}"},
        invalid=("[2]", '["x"]'),
    ),
    ColumnType(
        "timestamptz[]",
        type="timestamp with time zone[]",
        good={
            '"{2020-01-01}"': '{"2020-01-01 00:00:00+00"}',
            '["2020-01-01T02:00:00+02:00", null]': '{"2020-01-01 00:00:00+00",NULL}',
            '["infinity"]': "{infinity}",
            "[]": "{}",
        },
        bad={"datetime_field_overflow": ('["2020-02-30"]',), "invalid_datetime_format": ("[1]",)},
    ),
    ColumnType(
        "uuid[]",
        good={
            '"{NULL}"': "{NULL}",
            '["00000000-0000-4000-8000-00000000000A"]': "{00000000-0000-4000-8000-00000000000a}",
            "[null]": "{NULL}",
        },
        invalid=('["x"]', "[1]"),
    ),
    ColumnType(
        "jsonb[]",
        good={
            '[{"b": 1, "a": 2}, "x", 1.0, null]': r'{"{\"a\": 2, \"b\": 1}","\"x\"",1.0,NULL}',
            "[]": "{}",
            r'"{\"1\",\"\\\"x\\\"\"}"': r'{1,"\"x\""}',
            "[[1], [2]]": "{{1},{2}}",
        },
        invalid=("{}", '"{x}"', "[[1], 2]"),
    ),
    ColumnType(
        "json[]",
        good={
            '[{"b": 1, "a": 2}, "x", 1.0, null]': r'{"{\"a\": 2, \"b\": 1}","\"x\"",1.0,NULL}',
            "[]": "{}",
        },
        invalid=("{}", '"{x}"'),
        comparable=False,
    ),
    ColumnType(
        "enum[]",
        type="{s}.mood[]",
        good={
            '["good", "comma,", "{x}", "", "NULL", null]': '{good,"comma,","{x}","","NULL",NULL}',
            "[]": "{}",
            '"{good,Good}"': "{good,Good}",
        },
        invalid=('["ugly"]', '"{GOOD}"', '["good", []]'),
        setup=_MOOD,
    ),
    ColumnType(
        "domain[]",
        type="{s}.percent[]",
        good={"[1, 100]": "{1,100}", "[null]": "{NULL}", '"{7}"': "{7}"},
        invalid=('["x"]',),
        bad={"check_violation": ("[1, 101]", '"{101}"')},
        setup=_PERCENT,
    ),
    ColumnType(
        "composite[]",
        type="{s}.spot[]",
        good={
            r'"{\"(7,)\"}"': '{"(7,)"}',
            '[{"x": 1, "label": "a,b"}, {"x": 2}, null]': r'{"(1,\"a,b\")","(2,)",NULL}',
            "[]": "{}",
            '["(1,x)"]': '{"(1,x)"}',
            "[{}]": '{"(,)"}',
        },
        invalid=('[{"x": "q"}]', '["x"]', '{"x": 1}'),
        bad={"invalid_parameter_value": ("[1]",)},
        setup=_SPOT,
    ),
    ColumnType(
        "domain of an array[]",
        type="{s}.pair[]",
        good={r'"{\"{5,6}\"}"': '{"{5,6}"}', '["{1,2}"]': '{"{1,2}"}', "[]": "{}"},
        invalid=('["x"]', "[[1, 2]]"),
        bad={"check_violation": ('["{1}"]',)},
        setup=_PAIR,
    ),
]

RANGES = [
    ColumnType(
        "int4range",
        good={
            '"[1,5)"': "[1,5)",
            '"[1,4]"': "[1,5)",
            '"(0,5)"': "[1,5)",
            '"empty"': "empty",
            '"[3,3)"': "empty",
            '"(,)"': "(,)",
            '"[7,]"': "[7,)",
            "[1, 5]": "[1,6)",
        },
        invalid=('"[1,x)"', '"1"'),
        bad={
            "data_exception": ('"[2,1)"',),
            "numeric_value_out_of_range": ('"[2147483647,2147483647]"',),
        },
    ),
    ColumnType(
        "int8range",
        good={'"[9007199254740993,)"': "[9007199254740993,)", '"[1,2]"': "[1,3)"},
        invalid=("1",),
        bad={"numeric_value_out_of_range": ('"[1,9223372036854775808)"',)},
    ),
    ColumnType(
        "numrange",
        good={
            '"[1.0,2.5]"': "[1.0,2.5]",
            '"[1.00,2.50]"': "[1.00,2.50]",
            '"(,1e3)"': "(,1000)",
            '"empty"': "empty",
        },
        invalid=('"[a,b]"', "{}"),
        bad={"data_exception": ('"[2,1]"',)},
    ),
    ColumnType(
        "daterange",
        good={
            '"[2020-01-01,2020-01-31]"': "[2020-01-01,2020-02-01)",
            '"[2020-01-01,2020-02-01)"': "[2020-01-01,2020-02-01)",
            '"[,infinity)"': "(,infinity)",
        },
        bad={
            "datetime_field_overflow": ('"[2020-02-30,)"',),
            "data_exception": ('"[2020-02-01,2020-01-01]"',),
        },
    ),
    ColumnType(
        "tsrange",
        good={
            '"[2020-01-01,2020-01-02)"': '["2020-01-01 00:00:00","2020-01-02 00:00:00")',
            r'"[\"2020-01-01\",\"2020-01-02\")"': '["2020-01-01 00:00:00","2020-01-02 00:00:00")',
        },
        bad={"invalid_datetime_format": ('"[x,)"',)},
    ),
    ColumnType(
        "tstzrange",
        good={
            '"[2020-01-01 02:00+02,)"': '["2020-01-01 00:00:00+00",)',
            '"[2020-01-01 00:00Z,infinity]"': '["2020-01-01 00:00:00+00",infinity]',
        },
        invalid=("[]",),
        bad={"invalid_parameter_value": ('"[2020-01-01 00:00 Mars/Olympus,)"',)},
    ),
    ColumnType(
        "own range",
        type="{s}.span",
        good={'"[0.5,1]"': "[0.5,1]", '"[5e-1,1.0]"': "[0.5,1]", '"empty"': "empty"},
        invalid=('"x"',),
        bad={"data_exception": ('"[1,0.5]"',)},
        setup="CREATE TYPE {s}.span AS RANGE (subtype = float8)",
    ),
    ColumnType(
        "int4multirange",
        good={
            '"{[1,3),[2,5)}"': "{[1,5)}",
            '"{[1,5)}"': "{[1,5)}",
            '"{}"': "{}",
            '"{[7,),(,0)}"': "{(,0),[7,)}",
        },
        invalid=('"[1,2)"', "[]", '["[1,2)"]'),
        bad={"data_exception": ('"{[2,1)}"',)},
    ),
    ColumnType(
        "tstzmultirange",
        good={
            '"{[2020-01-01,2020-01-02)}"': '{["2020-01-01 00:00:00+00","2020-01-02 00:00:00+00")}',
            '"{}"': "{}",
        },
        bad={"invalid_datetime_format": ('"{[x,)}"',)},
    ),
    ColumnType(
        "int4range[]",
        good={'["[1,2]", "empty", null]': '{"[1,3)",empty,NULL}', r'"{\"[1,3)\"}"': '{"[1,3)"}'},
        invalid=('"[1,2]"',),
        bad={"data_exception": ('["[2,1)"]',)},
    ),
]
