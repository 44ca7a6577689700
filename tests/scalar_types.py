"""Numbers, texts and documents: what the columns take and refuse (see ColumnType)."""

from __future__ import annotations

from column_type import ColumnType

MANY_DIGITS = f"{'9' * 200}.{'1' * 100}"

NUMBERS = [
    ColumnType(
        "smallint",
        good={
            "1": "1",
            "-32768": "-32768",
            "32767": "32767",
            '"7"': "7",
            '" 8 "': "8",
            "1e1": "10",
            "-0": "0",
        },
        invalid=("1.5", "1.0", '"x"', '""', "true", "[1]", '{"a": 1}'),
        bad={"numeric_value_out_of_range": ("32768",)},
    ),
    ColumnType(
        "integer",
        good={
            "1": "1",
            "-2147483648": "-2147483648",
            "2147483647": "2147483647",
            '"07"': "7",
            "1e0": "1",
            '"-0"': "0",
        },
        invalid=("1.5", '"1.0"', '"x"', "false", "[]"),
        bad={"numeric_value_out_of_range": ("2147483648",)},
    ),
    ColumnType(
        "bigint",
        good={
            "9007199254740993": "9007199254740993",
            "-9223372036854775808": "-9223372036854775808",
            "9223372036854775807": "9223372036854775807",
            '"7"': "7",
            "9e18": "9000000000000000000",
        },
        invalid=("0.1", '"1 2"', "{}"),
        bad={"numeric_value_out_of_range": ("9223372036854775808", "1e400")},
    ),
    ColumnType(
        "numeric",
        good={
            "12345678901234567.25": "12345678901234567.25",
            "1e400": "1" + "0" * 400,
            "-0": "0",
            "1.10": "1.10",
            "1.1": "1.1",
            '"1.100"': "1.100",
            "1e-300": "0." + "0" * 299 + "1",
            '"NaN"': "NaN",
            '"Infinity"': "Infinity",
            '" -7e2 "': "-700",
            MANY_DIGITS: MANY_DIGITS,
        },
        invalid=('"x"', '"1,5"', '""', "true", "[1]"),
        bad={"numeric_value_out_of_range": ('"1e200000"',)},
    ),
    ColumnType(
        "numeric(6,2)",
        good={
            "1.005": "1.01",
            "-9999.99": "-9999.99",
            "9999.994": "9999.99",
            '"2.5"': "2.50",
            '"NaN"': "NaN",
            "12e1": "120.00",
        },
        invalid=('"x"', "{}"),
        bad={"numeric_value_out_of_range": ("10000", "9999.995", '"Infinity"')},
    ),
    ColumnType(
        "real",
        good={
            "1.5": "1.5",
            "3.4028235e38": "3.4028235e+38",
            "1e-45": "1e-45",
            "0.1": "0.1",
            '"NaN"': "NaN",
            '"-Infinity"': "-Infinity",
            "-0": "0",
            '"-0"': "-0",
            "16777217": "1.6777216e+07",
        },
        invalid=('"x"', "[]"),
        bad={"numeric_value_out_of_range": ("1e39", "1e-60")},
    ),
    ColumnType(
        "double precision",
        good={
            "1.7976931348623157e308": "1.7976931348623157e+308",
            "5e-324": "5e-324",
            "0.1": "0.1",
            "0.30000000000000004": "0.30000000000000004",
            "12345678901234567.25": "1.2345678901234568e+16",
            '"NaN"': "NaN",
            '"infinity"': "Infinity",
            '"-0"': "-0",
            "-0": "0",
        },
        invalid=('"0x"', '""', "false"),
        bad={"numeric_value_out_of_range": ("1e309", "1e-400")},
    ),
    ColumnType(
        "money",
        good={
            "12.34": "$12.34",
            '"$1,234.50"': "$1,234.50",
            '"-7"': "-$7.00",
            '"(5)"': "-$5.00",
            "0.005": "$0.01",
        },
        invalid=('"x"', "[]"),
        bad={"numeric_value_out_of_range": ("1e30",)},
        needs="current_setting('lc_monetary') = 'C'",
    ),
]

TEXTS = [
    ColumnType(
        "text",
        good={
            '"x"': "x",
            '""': "",
            '"  pad "': "  pad ",
            "1": "1",
            "1.0": "1.0",
            '"1.0"': "1.0",
            "true": "true",
            '{"b": 1, "a": 2}': '{"a": 2, "b": 1}',
            "[1,2]": "[1, 2]",
            r'"\u00e9"': "é",
            '"é"': "é",
            '"\\ud83d\\ude00 \\" \\\\ \\n \\t \' %s $1 {x}"': "😀 \" \\ \n \t ' %s $1 {x}",
            '"NULL"': "NULL",
            '"null"': "null",
        },
    ),
    ColumnType(
        "text in C",
        type='text COLLATE "C"',
        good={'"a"': "a", '"B"': "B", '"é"': "é", "1e2": "100"},
    ),
    ColumnType(
        "text without case",
        type="text COLLATE {s}.without_case",
        good={'"Ann"': "Ann", '"ANN"': "ANN", '"ann "': "ann ", "1": "1"},
        setup="""
CREATE COLLATION {s}.without_case
  (provider = icu, locale = 'und-u-ks-level2', deterministic = false);""",
        needs="EXISTS (SELECT FROM pg_collation WHERE collname = 'en-x-icu')",
    ),
    ColumnType(
        "varchar",
        type="character varying",
        good={'"x"': "x", '""': "", '"x "': "x ", "12": "12", "false": "false"},
    ),
    ColumnType(
        "varchar(3)",
        type="character varying(3)",
        good={
            '"abc"': "abc",
            '"abc   "': "abc",
            r'"\u00e9\u00e0\ud83d\ude00"': "éà😀",
            "123": "123",
            '""': "",
            '"ab "': "ab ",
        },
        bad={"string_data_right_truncation": ('"abcd"', "1234", "true", '"abc d"', '{"a": 1}')},
    ),
    ColumnType(
        "char(3)",
        type="character(3)",
        good={
            '"a"': "a  ",
            '"a  "': "a  ",
            '"a    "': "a  ",
            '"abc"': "abc",
            '""': "   ",
            "12": "12 ",
            "[]": "[] ",
        },
        bad={"string_data_right_truncation": ('"abcd"', "1234", '"a  b"')},
    ),
    ColumnType(
        "char in quotes", type='"char"', good={'"a"': "a", '"xyz"': "x", "7": "7", '""': ""}
    ),
    ColumnType("name", good={'"abc"': "abc", '"' + "n" * 70 + '"': "n" * 63, "5": "5", '""': ""}),
    ColumnType(
        "bytea",
        good={
            r'"\\x00ff"': r"\x00ff",
            r'"\\xDEAD beef"': r"\xdeadbeef",
            '"abc"': r"\x616263",
            r'"a\\000b"': r"\x610062",
            r'"\\\\"': r"\x5c",
            '""': r"\x",
            "12": r"\x3132",
        },
        invalid=(r'"\\9"',),
        bad={"invalid_parameter_value": (r'"\\x0"', r'"\\xzz"')},
    ),
    ColumnType(
        "bit(3)",
        good={'"101"': "101", "110": "110", '"b011"': "011"},
        invalid=('"12x"',),
        bad={"string_data_length_mismatch": ('"10"', "1", '"1011"', "true")},
    ),
    ColumnType(
        "varbit(5)",
        type="bit varying(5)",
        good={'"101"': "101", '""': "", "11111": "11111", '"x5"': "0101", '"B1"': "1"},
        invalid=('"2"', "[]"),
        bad={"string_data_right_truncation": ('"101010"',)},
    ),
    ColumnType(
        "uuid",
        good={
            '"00000000-0000-4000-8000-00000000000a"': "00000000-0000-4000-8000-00000000000a",
            '"00000000-0000-4000-8000-00000000000A"': "00000000-0000-4000-8000-00000000000a",
            '"{00000000-0000-4000-8000-00000000000a}"': "00000000-0000-4000-8000-00000000000a",
            '"0000000000004000800000000000000b"': "00000000-0000-4000-8000-00000000000b",
        },
        invalid=(
            '"00000000-0000-4000-8000-0000000000"',
            '""',
            "1",
            '"g0000000-0000-4000-8000-00000000000a"',
        ),
    ),
    ColumnType(
        "boolean",
        good={
            "true": "t",
            "false": "f",
            '"yes"': "t",
            '"off"': "f",
            '" T "': "t",
            "1": "t",
            "0": "f",
        },
        invalid=("2", '"maybe"', '""', "[]", "1.0"),
    ),
]

DOCUMENTS = [
    ColumnType(
        "json",
        good={
            '{"b": 1, "a": 2}': '{"a": 2, "b": 1}',
            '{"a": 1, "a": 2}': '{"a": 2}',
            '"text"': '"text"',
            "1.0": "1.0",
            "1e2": "100",
            "[]": "[]",
            "true": "true",
            r'"\u00e9"': '"é"',
            '"null"': '"null"',
            '[null, {"x": null}]': '[null, {"x": null}]',
        },
        comparable=False,
    ),
    ColumnType(
        "jsonb",
        good={
            '{"b": 1, "a": 2}': '{"a": 2, "b": 1}',
            '{"a": 1, "a": 2}': '{"a": 2}',
            '"text"': '"text"',
            "1.0": "1.0",
            "1": "1",
            "1e400": "1" + "0" * 400,
            "-0": "0",
            "[]": "[]",
            "false": "false",
            r'"\u00e9"': '"é"',
            '"null"': '"null"',
            "[1, [2]]": "[1, [2]]",
        },
    ),
    ColumnType(
        "jsonpath",
        good={'"$.a[*] ? (@ > 1)"': '$."a"[*]?(@ > 1)', '"$"': "$", '"strict $.b"': 'strict $."b"'},
        invalid=('""',),
        bad={"syntax_error": ('"$."', "{}")},
        comparable=False,
    ),
    ColumnType(
        "xml",
        good={'"<a>1</a>"': "<a>1</a>", '"<a/>"': "<a/>", '"text"': "text"},
        bad={"invalid_xml_content": ('"<a>"', '"<a></b>"')},
        needs="'<a/>'::xml IS NOT NULL",
        comparable=False,
    ),
    ColumnType(
        "tsvector",
        good={
            '"a fat cat"': "'a' 'cat' 'fat'",
            '"cat a fat"': "'a' 'cat' 'fat'",
            '"a:1A b:2,3"': "'a':1A 'b':2,3",
            '""': "",
            "5": "'5'",
        },
        bad={"syntax_error": ('"\'a"', '"a:1:2 \'"')},
    ),
    ColumnType(
        "tsquery",
        good={
            '"fat & cat"': "'fat' & 'cat'",
            '"!a | b:*"': "!'a' | 'b':*",
            '"a <-> b"': "'a' <-> 'b'",
            "7": "'7'",
        },
        bad={"syntax_error": ('"fat &"', '"(a"')},
    ),
]
