"""The error table against a real server: it takes every record and stops no queue."""

from __future__ import annotations

import base64
import random
import re
import threading
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from batchdrain.engine import error_table
from batchdrain.engine.catalog import read_table
from batchdrain.engine.error_table import ErrorRow, ErrorTable, error_table_name
from batchdrain.engine.records import Refusal
from batchdrain.engine.run import Run
from batchdrain.errors import ConfigurationError, SystemicError
from fix_postgres import fresh_database

Connection = psycopg.Connection[tuple[object, ...]]

NINE = """
    CREATE TABLE t_errors (
      record_id VARCHAR, client_id VARCHAR(50), operation VARCHAR(20), error_type VARCHAR(50),
      error_message TEXT, field_id VARCHAR(50), record_data JSONB, ver VARCHAR,
      created_at TIMESTAMP)
"""

ROW = ErrorRow(
    record_id="1",
    client_id="c-17",
    ver="3",
    operation="INSERT",
    refusal=Refusal("unique_violation", "duplicate key", "23505", "id", "t_pkey"),
    data=b'{"id": 1, "a": "x"}',
    fields=None,
    queue="batchdrain:t",
    message_id="5-1",
    run=Run("dag", "run"),
)


@pytest.fixture
def plain(connection: Connection) -> Connection:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
    return connection


def write(table: ErrorTable, connection: Connection, rows: list[ErrorRow]) -> None:
    """Write rows in a transaction of their own."""
    with connection.transaction():
        table.write(connection, rows)


def opened(connection: Connection) -> ErrorTable:
    return ErrorTable.open(connection, read_table(connection, "t"))


def kept(connection: Connection, bodies: Sequence[bytes]) -> list[object]:
    """What the error table keeps of records with these bytes, all written at once."""
    write(opened(connection), connection, [replace(ROW, data=body) for body in bodies])
    rows = connection.execute("SELECT record_data FROM t_errors ORDER BY id").fetchall()
    return [row[0] for row in rows]


def test_it_is_created_with_the_contracts_columns_first(plain: Connection) -> None:
    write(opened(plain), plain, [ROW, replace(ROW, record_id="2", data=None, queue=None)])
    cursor = plain.execute("SELECT * FROM t_errors ORDER BY id")
    assert [column.name for column in cursor.description or ()] == [
        *("record_id", "client_id", "operation", "error_type", "error_message", "field_id"),
        *("record_data", "ver", "created_at", "id", "sqlstate", "constraint_name", "queue"),
        *("message_id", "dag_id", "run_id", "attempts", "resolved_at", "resolution"),
    ]
    first, second = cursor.fetchall()
    assert first[:8] == (
        *("1", "c-17", "INSERT", "unique_violation", "duplicate key", "id"),
        *({"id": 1, "a": "x"}, "3"),
    )
    assert first[9:] == (
        *(1, "23505", "t_pkey", "batchdrain:t", "5-1", "dag", "run", 1, None, None),
    )
    assert (second[0], second[6], second[12]) == ("2", None, None)


def test_times_are_in_utc_whatever_the_session_says(plain: Connection) -> None:
    plain.execute("SET timezone = 'Asia/Tokyo'")
    write(opened(plain), plain, [ROW])
    fresh = "SELECT abs(extract(epoch FROM timezone('UTC', created_at) - now())) < 60 FROM t_errors"
    assert plain.execute(fresh).fetchone() == (True,)


def test_many_drains_may_create_it_at_once(plain: Connection, database: str) -> None:
    barrier = threading.Barrier(5)

    def create(_: int) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            barrier.wait()
            write(opened(connection), connection, [ROW])

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(create, range(5)))
    assert plain.execute("SELECT count(*) FROM t_errors").fetchone() == (5,)


@pytest.mark.parametrize(
    ("change", "created_at"),
    [
        ("", "timestamp without time zone"),
        ("ALTER TABLE t_errors ALTER created_at TYPE timestamptz", "timestamp with time zone"),
        ("ALTER TABLE t_errors ALTER created_at TYPE date", "date"),
        ("ALTER TABLE t_errors ALTER created_at TYPE text", "text"),
        ("ALTER TABLE t_errors ALTER created_at TYPE varchar(10)", "character varying"),
        ("ALTER TABLE t_errors ALTER created_at TYPE time", "time without time zone"),
        ("ALTER TABLE t_errors ALTER created_at TYPE timestamptz(0)", "timestamp with time zone"),
    ],
)
def test_a_table_that_is_there_keeps_working(
    plain: Connection, change: str, created_at: str
) -> None:
    """With the nine columns only, and with other types of created_at."""
    plain.execute(NINE)
    plain.execute(change)
    write(opened(plain), plain, [ROW])
    row = plain.execute(
        "SELECT record_id, record_data, pg_typeof(created_at)::text, created_at IS NOT NULL"
        " FROM t_errors"
    ).fetchone()
    assert row == ("1", {"id": 1, "a": "x"}, created_at, True)


def test_values_are_cut_to_the_actual_widths_in_characters(plain: Connection) -> None:
    """Narrower, wider, domains and char(n); the record itself is never cut."""
    plain.execute("CREATE DOMAIN short AS varchar(4)")
    plain.execute("""
        CREATE TABLE t_errors (record_id varchar(3), client_id varchar(400), error_type short,
            error_message char(5), field_id name, record_data text, ver varchar(1))""")
    refusal = Refusal("unique_violation", "é€é€é€é", field="f" * 70)
    data = b'{"a": "' + b"x" * 500 + b'"}'
    row = replace(ROW, record_id="é€é€", client_id="c" * 100, ver="34", refusal=refusal, data=data)
    write(opened(plain), plain, [row])
    assert plain.execute("SELECT * FROM t_errors").fetchone() == (
        *("é€é", "c" * 100, "uniq", "é€é€é", "f" * 63, data.decode(), "3"),
    )


def test_columns_of_unfit_types_give_way_to_the_record(plain: Connection) -> None:
    """A record_id that is no number leaves such a column NULL instead of stopping the queue."""
    plain.execute("""
        CREATE TABLE t_errors (
            record_id bigint, created_at bigint, record_data json, queue text)""")
    table = opened(plain)
    write(table, plain, [replace(ROW, record_id="[1, 2]")])
    row = plain.execute("SELECT record_id, created_at, record_data, queue FROM t_errors")
    assert row.fetchone() == (None, None, {"id": 1, "a": "x"}, "batchdrain:t")


def test_what_jsonb_can_hold_is_kept_as_it_is(plain: Connection) -> None:
    bodies = [
        rb'{"a": "\\u0000"}',
        b'{"a": 1e999}',
        b'{"a": 1e1000, "a": 12345678901234567890.5}',
        b'{"a": "1e99999 \xc3\xa9"}',
        b'{"a": "\\ud83d\\ude00"}',
        b'{"a": "' + b"1" * 5000 + b'"}',
        b"[" * 700 + b"]" * 700,
        b"17",
    ]
    texts = [body.decode() for body in bodies]
    expected = plain.execute("SELECT t::jsonb FROM unnest(%s::text[]) AS t", (texts,)).fetchall()
    assert kept(plain, bodies) == [row[0] for row in expected]


def test_what_jsonb_cannot_hold_is_kept_encoded(plain: Connection) -> None:
    bodies = [
        rb'{"a": "\u0000"}',
        rb'{"a": "\\\u0000"}',
        rb'{"a": "\u0000", "a": 1}',
        rb'{"a": "\ud800"}',
        rb'{"a": "\uDE00\ud83d"}',
        b'{"a": 1e999999}',
        b'{"a": 1E+999999999999}',
        b'{"a": ' + b"1" * 200_000 + b"}",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": 1',
        b"",
        b"\x00",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": NaN}',
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a": "tab\t"}',
        b'{"batchdrain_base64": "eA=="}',
    ]
    expected = [{"batchdrain_base64": base64.b64encode(body).decode()} for body in bodies]
    assert kept(plain, bodies) == expected


def test_one_record_that_jsonb_cannot_hold_spares_its_neighbours(plain: Connection) -> None:
    bodies = [b'{"n": 1e%d}' % (999_999 if n % 7 == 0 else 1000 + n) for n in range(50)]
    write(opened(plain), plain, [replace(ROW, data=body) for body in bodies])
    counted = "SELECT count(*), count(*) FILTER (WHERE record_data ? 'n') FROM t_errors"
    assert plain.execute(counted).fetchone() == (50, 42)


def test_fields_of_a_stream_entry_are_kept(plain: Connection) -> None:
    write(opened(plain), plain, [replace(ROW, data=None, fields={b"x": b"1", b"y": b"\x00"})])
    assert plain.execute("SELECT record_data FROM t_errors").fetchone() == (
        {"batchdrain_fields": {"x": "1", "y": {"batchdrain_base64": "AA=="}}},
    )


def test_texts_with_characters_that_no_text_can_hold_are_escaped(plain: Connection) -> None:
    write(opened(plain), plain, [replace(ROW, record_id="a\0b", client_id="\ud800")])
    row = plain.execute("SELECT record_id, client_id FROM t_errors").fetchone()
    assert row == ("a\\u0000b", "\\ud800")


def test_it_is_part_of_the_batchs_transaction(plain: Connection) -> None:
    table = opened(plain)
    plain.execute("BEGIN")
    write(table, plain, [replace(ROW, data=b'{"a": 1e999999}')])
    plain.execute("ROLLBACK")
    assert plain.execute("SELECT count(*) FROM t_errors").fetchone() == (0,)


def test_a_table_dropped_or_changed_meanwhile_is_no_obstacle(plain: Connection) -> None:
    table = opened(plain)
    plain.execute("DROP TABLE t_errors")
    write(table, plain, [ROW])
    plain.execute("ALTER TABLE t_errors DROP queue, ALTER field_id TYPE varchar(1) USING 'i'")
    write(table, plain, [ROW])
    assert plain.execute("SELECT field_id FROM t_errors ORDER BY id").fetchall() == [("i",), ("i",)]


def test_a_table_that_does_not_take_rows_is_systemic(plain: Connection) -> None:
    """One sentence with the column and without a row's values; the batch can be rolled back."""
    plain.execute(NINE)
    plain.execute("ALTER TABLE t_errors ADD mine int NOT NULL")
    table = opened(plain)
    sentence = r'"public.t_errors" does not take refused records: not_null_violation at "mine"'
    with pytest.raises(SystemicError, match=sentence):
        write(table, plain, [ROW])


def test_a_lock_on_it_is_transient(plain: Connection, database: str) -> None:
    table = opened(plain)
    plain.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE t_errors")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            write(table, plain, [ROW])


@pytest.mark.parametrize(
    ("ddl", "sentence"),
    [
        ("CREATE TABLE t_errors (record_id text)", "has no column record_data of type jsonb"),
        (NINE.replace("JSONB", "BYTEA"), "has no column record_data of type jsonb"),
        (NINE.replace("JSONB", "VARCHAR(20)"), "too narrow to keep records whole"),
        (NINE.replace("JSONB", "CHAR(2000)"), "too narrow to keep records whole"),
        (NINE.replace("JSONB", "NAME"), "too narrow to keep records whole"),
        (
            "CREATE DOMAIN short AS varchar(20); CREATE DOMAIN shorter AS short;"
            + NINE.replace("JSONB", "shorter"),
            r'"public.t_errors" .* ALTER TABLE "public"."t_errors" ALTER COLUMN record_data',
        ),
        ("CREATE SEQUENCE t_errors", "has no column record_data of type jsonb"),
    ],
)
def test_a_table_that_could_not_keep_records_is_refused_up_front(
    plain: Connection, ddl: str, sentence: str
) -> None:
    plain.execute(ddl)
    with pytest.raises(ConfigurationError, match=sentence):
        opened(plain)


@pytest.mark.parametrize("kind", ["TEXT", "VARCHAR", "JSON", "JSONB", "unlimited"])
def test_a_record_is_kept_whole_by_every_type_without_a_length(
    plain: Connection, kind: str
) -> None:
    plain.execute("CREATE DOMAIN unlimited AS text")
    plain.execute(NINE.replace("JSONB", kind))
    data = b'{"a": "' + b"x" * 5000 + b'"}'
    write(opened(plain), plain, [replace(ROW, data=data)])
    query = "SELECT record_data::text FROM t_errors"
    assert plain.execute(query).fetchone() == (data.decode(),)


def test_the_documented_query_shows_any_bytes(plain: Connection) -> None:
    """As it stands in the documentation: compressed messages, NULs, invalid UTF-8, quotes."""
    document = (Path(__file__).parents[3] / "docs" / "errors.md").read_text()
    (query,) = re.findall(r"^    (SELECT .*?;)$", document, re.DOTALL | re.MULTILINE)
    bodies = [
        bytes(range(256)),
        zlib.compress(b"{}"),
        b"\xff",
        rb'{"a": "\u0000"}',
        b"",
        b'{"a":1}',
    ]
    write(opened(plain), plain, [replace(ROW, data=body) for body in bodies])
    plain.execute("ALTER TABLE t_errors RENAME TO orders_errors")
    texts = [text for _, text in plain.execute(query).fetchall()]
    decoded = "SELECT decode(t, 'escape') FROM unnest(%s::text[]) AS t"
    assert [row[0] for row in plain.execute(decoded, (texts,))] == bodies[:-1]


def test_a_role_without_permission_is_told_what_to_grant(plain: Connection) -> None:
    role = f"r{uuid4().hex}"
    plain.execute(f"CREATE ROLE {role}")
    plain.execute(f"GRANT ALL ON t TO {role}")
    try:
        for prepare, sentence in (
            ("SELECT 1", 'GRANT CREATE ON SCHEMA "public"'),
            (NINE, 'GRANT INSERT ON "public"."t_errors"'),
        ):
            plain.execute("RESET ROLE")
            plain.execute(prepare)
            plain.execute(f"SET ROLE {role}")
            with pytest.raises(ConfigurationError, match=sentence):
                opened(plain)
        plain.execute("RESET ROLE")
        plain.execute(f"GRANT INSERT (record_id, record_data) ON t_errors TO {role}")
        plain.execute(f"SET ROLE {role}")
        write(opened(plain), plain, [ROW])
    finally:
        plain.execute("RESET ROLE")
        plain.execute(f"DROP OWNED BY {role}")
        plain.execute(f"DROP ROLE {role}")
    row = plain.execute("SELECT record_id, client_id FROM t_errors").fetchone()
    assert row == ("1", None)


def test_the_longest_table_name_has_an_error_table(connection: Connection) -> None:
    name = 'é"%' * 15
    connection.execute('CREATE TABLE "{}" (id int PRIMARY KEY)'.format(name.replace('"', '""')))
    table = ErrorTable.open(connection, read_table(connection, name))
    write(table, connection, [ROW])
    assert table.name == f"public.{error_table_name(name)}"
    found = connection.execute(
        "SELECT count(*) FROM pg_class WHERE relname = %s", (error_table_name(name),)
    ).fetchone()
    assert found == (1,)


def test_a_database_that_is_not_utf8_keeps_every_record(postgres_url: str) -> None:
    """What its encoding lacks is escaped in texts, and encoded in the record."""
    with (
        fresh_database(postgres_url, "LATIN1") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute("SET client_encoding = 'UTF8'")
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        body = '{"a": "€"}'.encode()
        assert kept(connection, [body]) == [{"batchdrain_base64": base64.b64encode(body).decode()}]
        write(opened(connection), connection, [replace(ROW, record_id="€")])
        ids = connection.execute("SELECT record_id FROM t_errors ORDER BY id").fetchall()
        assert ids == [("1",), ("\\u20ac",)]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_what_a_database_lacks_is_encoded_though_it_arrived_in_ascii(
    postgres_url: str, encoding: str
) -> None:
    """As most languages write JSON; and as the fields of a stream entry are written here."""
    with (
        fresh_database(postgres_url, encoding) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute("SET client_encoding = 'UTF8'")
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        bodies = [b'{"a": "\\u20ac"}', b'{"a": "\\u0041"}']
        encoded = base64.b64encode(bodies[0]).decode()
        assert kept(connection, bodies) == [{"batchdrain_base64": encoded}, {"a": "A"}]
        fields = {"€".encode(): b"1", b"x": "€".encode()}
        write(opened(connection), connection, [replace(ROW, data=None, fields=fields)])
        newest = "SELECT record_data FROM t_errors ORDER BY id DESC LIMIT 1"
        euro = base64.b64encode("€".encode()).decode()
        assert connection.execute(newest).fetchone() == (
            {
                "batchdrain_fields": {
                    f"batchdrain_base64:{euro}": "1",
                    "x": {"batchdrain_base64": euro},
                }
            },
        )


def test_a_message_that_jsonb_can_not_keep_is_named(
    plain: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From about 200 MB on; here an index has a limit, too. The table can't be mended for it."""
    plain.execute("CREATE TABLE t_errors (id int, record_data json)")
    plain.execute("CREATE INDEX ON t_errors ((record_data::text))")
    noise = random.Random(1).randbytes(30_000)
    large = replace(ROW, data=noise, message_id="7-1")
    with pytest.raises(SystemicError, match="program_limit_exceeded; nothing was consumed, mend"):
        write(opened(plain), plain, [ROW, large])
    monkeypatch.setattr(error_table, "_LARGE", 30_000)
    with pytest.raises(SystemicError, match="for message 7-1 has 30000 bytes, and a jsonb value"):
        write(opened(plain), plain, [ROW, large])
