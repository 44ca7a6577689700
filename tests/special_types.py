"""Times, addresses, shapes, PostgreSQL's own identifiers, types of extensions (see ColumnType)."""

from __future__ import annotations

from column_type import ColumnType

_FROM_16 = "current_setting('server_version_num')::integer >= 160000"
"""Before, some input functions take everything or fail with codes that are not about values:
internal_error (hstore), invalid_schema_name (regclass). Those stop a drain (SEMANTICS, failure
classes)."""

TIMES = [
    ColumnType(
        "date",
        good={
            '"2020-02-29"': "2020-02-29",
            '"infinity"': "infinity",
            '"-infinity"': "-infinity",
            '"0044-03-15 BC"': "0044-03-15 BC",
            '"4713-01-01 BC"': "4713-01-01 BC",
            '"5874897-12-31"': "5874897-12-31",
            "20200229": "2020-02-29",
            '"January 8, 1999"': "1999-01-08",
            '"01/02/2020"': "2020-01-02",
            '"2020-02-29T23:00:00Z"': "2020-02-29",
        },
        bad={
            "datetime_field_overflow": ('"2020-02-30"', '"2019-02-29"', '"5874898-01-01"'),
            "invalid_datetime_format": ('"x"', '""', "1", "true"),
        },
    ),
    ColumnType(
        "time",
        type="time without time zone",
        good={
            '"12:34:56.789"': "12:34:56.789",
            '"24:00:00"': "24:00:00",
            '"23:59:60"': "24:00:00",
            '"04:05 PM"': "16:05:00",
            '"00:00:00.0000001"': "00:00:00",
        },
        bad={"datetime_field_overflow": ('"25:00:00"',), "invalid_datetime_format": ('"x"', "[]")},
    ),
    ColumnType(
        "time(0)",
        type="time(0) without time zone",
        good={'"12:34:56.7"': "12:34:57", '"12:34:57"': "12:34:57", '"23:59:59.9"': "24:00:00"},
        bad={"datetime_field_overflow": ('"24:00:01"',), "invalid_datetime_format": ("{}",)},
    ),
    ColumnType(
        "timetz",
        type="time with time zone",
        good={
            '"12:34:56+02"': "12:34:56+02",
            '"10:34:56Z"': "10:34:56+00",
            '"10:34:56"': "10:34:56+00",
            '"10:34:56 PST"': "10:34:56-08",
        },
        bad={
            "invalid_time_zone_displacement_value": ('"12:34:56+99"',),
            "invalid_datetime_format": ('"noon"', "7e1"),
        },
    ),
    ColumnType(
        "timestamp",
        type="timestamp without time zone",
        good={
            '"2020-01-01T00:00:00Z"': "2020-01-01 00:00:00",
            '"2020-01-01 00:00:00"': "2020-01-01 00:00:00",
            '"infinity"': "infinity",
            '"-infinity"': "-infinity",
            '"0001-01-01 00:00:00 BC"': "0001-01-01 00:00:00 BC",
            '"4714-11-24 00:00:00 BC"': "4714-11-24 00:00:00 BC",
            '"294276-12-31 23:59:59.999999"': "294276-12-31 23:59:59.999999",
            '"2020-01-01 00:00:00.1234567"': "2020-01-01 00:00:00.123457",
            '"epoch"': "1970-01-01 00:00:00",
            '"01/02/2020"': "2020-01-02 00:00:00",
        },
        bad={
            "datetime_field_overflow": ('"294277-01-01"', '"2020-13-01"'),
            "invalid_datetime_format": ('"x"', '""', "1"),
        },
    ),
    ColumnType(
        "timestamptz",
        type="timestamp with time zone",
        good={
            '"2020-01-01"': "2020-01-01 00:00:00+00",
            '"2020-01-01T00:00:00Z"': "2020-01-01 00:00:00+00",
            '"2020-01-01T02:00:00+02:00"': "2020-01-01 00:00:00+00",
            '"2019-12-31 19:00:00 America/New_York"': "2020-01-01 00:00:00+00",
            '"infinity"': "infinity",
            '"0044-03-15 00:00:00+00 BC"': "0044-03-15 00:00:00+00 BC",
            '"294276-12-31 23:59:59.999999+00"': "294276-12-31 23:59:59.999999+00",
            '"2020-06-01 12:00 CEST"': "2020-06-01 10:00:00+00",
        },
        bad={
            "invalid_parameter_value": ('"2020-01-01 00:00 Mars/Olympus"',),
            "datetime_field_overflow": ('"2020-02-30"', '"2020-01-01T25:00:00Z"'),
            "invalid_datetime_format": ('""', "true"),
        },
    ),
    ColumnType(
        "timestamptz(3)",
        type="timestamp(3) with time zone",
        good={
            '"2020-01-01 00:00:00.1234"': "2020-01-01 00:00:00.123+00",
            '"2020-01-01 00:00:00.123Z"': "2020-01-01 00:00:00.123+00",
            '"2020-01-01 00:00:00.9996"': "2020-01-01 00:00:01+00",
        },
        bad={"datetime_field_overflow": ('"2020-01-01 00:61"',)},
    ),
    ColumnType(
        "interval",
        good={
            '"1 day"': "1 day",
            '"24 hours"': "24:00:00",
            '"P1Y2M3DT4H5M6.7S"': "1 year 2 mons 3 days 04:05:06.7",
            '"1-2"': "1 year 2 mons",
            '"@ 1 year 2 mons ago"': "-1 years -2 mons",
            '"1:30"': "01:30:00",
            '"-1 day +02:00"': "-1 days +02:00:00",
            '"2 weeks"': "14 days",
            "90": "00:01:30",
        },
        bad={
            "invalid_datetime_format": ('"x"', '"1 fortnight"', '""', "[]"),
            "interval_field_overflow": ('"999999999999 years"',),
        },
    ),
    ColumnType(
        "interval infinity",
        type="interval",
        good={'"infinity"': "infinity", '"-infinity"': "-infinity", '"1 day"': "1 day"},
        bad={"invalid_datetime_format": ('"nan"',)},
        needs="'infinity'::interval > '1 year'",
    ),
    ColumnType(
        "interval day to second",
        type="interval day to second(0)",
        good={
            '"1 day 02:03:04.6"': "1 day 02:03:05",
            '"1 02:03:05"': "1 day 02:03:05",
            '"3"': "00:00:03",
        },
        bad={"invalid_datetime_format": ('"x y"', "false")},
    ),
]

NETWORKS = [
    ColumnType(
        "inet",
        good={
            '"192.168.0.1"': "192.168.0.1",
            '"192.168.0.1/32"': "192.168.0.1",
            '"10.1.2.3/8"': "10.1.2.3/8",
            '"::FFFF:1"': "::255.255.0.1",
            '"2001:DB8::/64"': "2001:db8::/64",
        },
        invalid=('"192.168.0.256"', '"x"', '"1.2.3.4/33"', "1.5", "true"),
    ),
    ColumnType(
        "cidr",
        good={
            '"192.168.0.0/24"': "192.168.0.0/24",
            '"192.168"': "192.168.0.0/24",
            '"2001:db8::/32"': "2001:db8::/32",
            "10": "10.0.0.0/8",
        },
        invalid=('"192.168.0.1/24"', '"x"', "[]"),
    ),
    ColumnType(
        "macaddr",
        good={
            '"08:00:2b:01:02:03"': "08:00:2b:01:02:03",
            '"08002B-010203"': "08:00:2b:01:02:03",
            '"0800.2b01.0203"': "08:00:2b:01:02:03",
        },
        invalid=('"08:00:2b:01:02"', '"x"', "7"),
    ),
    ColumnType(
        "macaddr8",
        good={
            '"08:00:2b:01:02:03:04:05"': "08:00:2b:01:02:03:04:05",
            '"08:00:2b:01:02:03"': "08:00:2b:ff:fe:01:02:03",
        },
        invalid=('"08:00:2b"', "[]"),
    ),
]

GEOMETRY = [
    ColumnType(
        "point",
        good={
            '"(1,2)"': "(1,2)",
            '"1.5,-2e3"': "(1.5,-2000)",
            '"(NaN,Infinity)"': "(NaN,Infinity)",
        },
        invalid=('"(1)"', '"x"', "[1, 2]", '{"x": 1}'),
        comparable=False,
    ),
    ColumnType(
        "box",
        good={'"(1,2),(3,4)"': "(3,4),(1,2)", '"((3,4),(1,2))"': "(3,4),(1,2)"},
        invalid=('"(1,2)"', "1"),
        comparable=False,
    ),
    ColumnType(
        "lseg",
        good={'"[(1,2),(3,4)]"': "[(1,2),(3,4)]", '"1,2,3,4"': "[(1,2),(3,4)]"},
        invalid=('"(1,2)"',),
        comparable=False,
    ),
    ColumnType(
        "line",
        good={'"{1,-1,0}"': "{1,-1,0}", '"[(0,0),(1,1)]"': "{1,-1,0}"},
        invalid=('"{0,0,1}"', '"[(1,1),(1,1)]"'),
        comparable=False,
    ),
    ColumnType(
        "path",
        good={'"[(1,2),(3,4)]"': "[(1,2),(3,4)]", '"((1,2),(3,4))"': "((1,2),(3,4))"},
        invalid=('"()"',),
        comparable=False,
    ),
    ColumnType(
        "polygon",
        good={'"((1,2),(3,4),(5,0))"': "((1,2),(3,4),(5,0))", '"1,2"': "((1,2))"},
        invalid=('"x"',),
        comparable=False,
    ),
    ColumnType(
        "circle",
        good={'"<(1,2),3>"': "<(1,2),3>", '"1,2,3"': "<(1,2),3>"},
        invalid=('"<(1,2),-3>"', "[]"),
        comparable=False,
    ),
    ColumnType(
        "box[]",
        good={
            '["(1,2),(3,4)", "(0,0),(1,1)"]': "{(3,4),(1,2);(1,1),(0,0)}",
            '"{(3,4),(1,2);(1,1),(0,0)}"': "{(3,4),(1,2);(1,1),(0,0)}",
        },
        invalid=('["x"]',),
        comparable=False,
    ),
]

SYSTEM = [
    ColumnType(
        "oid",
        good={"0": "0", "4294967295": "4294967295", '"7"': "7", "-1": "4294967295"},
        invalid=('"x"', "1.5"),
        bad={"numeric_value_out_of_range": ("4294967296",)},
    ),
    ColumnType(
        "xid", needs=_FROM_16, good={"7": "7", '"8"': "8"}, invalid=("[]",), comparable=False
    ),
    ColumnType(
        "xid8",
        needs=_FROM_16,
        good={"18446744073709551615": "18446744073709551615", '"7"': "7"},
        invalid=('"x"',),
    ),
    ColumnType(
        "tid",
        good={'"(0,1)"': "(0,1)", '"(4294967295,65535)"': "(4294967295,65535)"},
        invalid=('"(0,65536)"', '"x"'),
    ),
    ColumnType(
        "pg_lsn",
        good={
            '"16/B374D848"': "16/B374D848",
            '"0/0"': "0/0",
            '"ffffffff/ffffffff"': "FFFFFFFF/FFFFFFFF",
        },
        invalid=('"16"', '"x/y"', "1", "true"),
    ),
    ColumnType(
        "regclass",
        needs=_FROM_16,
        good={
            '"pg_class"': "pg_class",
            '"pg_catalog.pg_class"': "pg_class",
            "1259": "pg_class",
            "0": "-",
            '"-"': "-",
            "4000000000": "4000000000",
        },
        bad={
            "undefined_table": ('"nope"', '"no.pe"', "[]"),
            "syntax_error": ('"a.b.c.d"',),
            "invalid_name": ('""',),
        },
    ),
    ColumnType(
        "regtype",
        good={
            '"integer"': "integer",
            '"int4"': "integer",
            '"timestamp with time zone[]"': "timestamp with time zone[]",
            "23": "integer",
        },
        bad={"undefined_object": ('"nope"',), "syntax_error": ('"integer integer"', "[]")},
    ),
]

EXTENSIONS = [
    ColumnType(
        "citext",
        good={'"Ann"': "Ann", '"ANN"': "ANN", '"ann"': "ann", '"É"': "É", "1": "1", "true": "true"},
        extension="citext",
    ),
    ColumnType(
        "citext[]",
        good={
            '"{Bob}"': "{Bob}",
            '["Ann", null]': "{Ann,NULL}",
            '["ANN", null]': "{ANN,NULL}",
            "[]": "{}",
        },
        invalid=('"x"',),
        extension="citext",
    ),
    ColumnType(
        "hstore",
        needs=_FROM_16,
        good={
            '"a=>1, b=>NULL"': '"a"=>"1", "b"=>NULL',
            '"b=>NULL, a=>1"': '"a"=>"1", "b"=>NULL',
            '""': "",
            r'"\"x y\"=>\"\\\"\""': r'"x y"=>"\""',
        },
        bad={"syntax_error": ('"a"', '"a=>"', '"=>1"', '{"a": "1"}')},
        extension="hstore",
    ),
    ColumnType(
        "ltree",
        good={'"Top.Science"': "Top.Science", '""': "", '"a.b.c"': "a.b.c", "1": "1"},
        bad={"syntax_error": ('"a..b"', '"a b"', "[]")},
        extension="ltree",
    ),
    ColumnType(
        "cube",
        good={'"(1,2),(3,4)"': "(1, 2),(3, 4)", '"1"': "(1)", '"(1),(1)"': "(1)"},
        invalid=('"(1,2),(3)"', '"x"'),
        extension="cube",
    ),
    ColumnType(
        "seg",
        good={'"1.0 .. 2.5"': "1.0 .. 2.5", '"5(+-)0.5"': "4.5 .. 5.5", "7": "7"},
        bad={"invalid_parameter_value": ('"2 .. 1"',), "syntax_error": ('"x"',)},
        extension="seg",
    ),
    ColumnType(
        "isbn13",
        good={'"978-0-11-000533-1"': "978-0-11-000533-1", '"9780110005331"': "978-0-11-000533-1"},
        invalid=('"978-0-11-000533-5"', '"x"'),
        extension="isn",
    ),
    ColumnType(
        "vector(3)",
        good={"[1, 2, 3]": "[1,2,3]", '"[1,2,3]"': "[1,2,3]", "[1.5, -0, 1e-3]": "[1.5,0,0.001]"},
        invalid=('["x"]', '"x"', "1"),
        bad={"data_exception": ("[1, 2]", "[]")},
        extension="vector",
    ),
]
