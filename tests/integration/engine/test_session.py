"""What the engine says of errors, and how it sets up whatever connection it is given."""

from __future__ import annotations

import json
import traceback
from functools import partial
from typing import Any

import psycopg
import pytest

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings
from batchdrain.errors import SystemicError, TransientError
from fix_engine import MakeRecord, OpenEngine, refused, value
from fix_postgres import fresh_database

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.parametrize("style", STATEMENT_STYLES)


def test_what_a_trigger_says_never_gets_into_an_error(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """It may quote a row; and so may the details of PostgreSQL's own errors."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    connection.execute(
        """CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'bad value %', NEW.v USING ERRCODE = NEW.id::text; END $$"""
    )
    connection.execute("CREATE TRIGGER say BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION say()")
    secret = "-".join(["4111", "1111"])
    for code in (55000, 42883, 53100):
        with pytest.raises((SystemicError, TransientError)) as raised:
            open_engine("t").apply([record("INSERT", {"id": code, "v": secret})])
        assert secret not in "".join(traceback.format_exception(raised.value))


def test_a_file_that_a_trigger_names_after_a_value_is_in_no_error(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """It is PostgreSQL's own message, of a class that is about the server."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    connection.execute(
        """CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          PERFORM pg_read_file(NEW.v); RETURN NEW; END $$"""
    )
    connection.execute(
        "CREATE TRIGGER look BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION look()"
    )
    secret = "-".join(["4111", "1111"])
    with pytest.raises(SystemicError, match="58P01") as raised:
        open_engine("t").apply([record("INSERT", {"id": 1, "v": secret})])
    assert secret not in "".join(traceback.format_exception(raised.value))


def test_a_refused_record_is_in_no_error_of_its_error_table(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    connection.execute("CREATE TABLE t_errors (record_data jsonb CHECK (record_data IS NULL))")
    secret = "-".join(["4111", "1111"])
    with pytest.raises(SystemicError, match="does not take refused records") as raised:
        open_engine("t").apply([record("INSERT", {"id": secret})])
    assert secret not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("encoding", "escaped"), [("LATIN1", False), ("LATIN1", True), ("SQL_ASCII", False)]
)
def test_a_character_that_the_database_does_not_know_costs_its_record_only(
    postgres_url: str, style: str, record: MakeRecord, encoding: str, escaped: bool
) -> None:
    """Escaped or not, as languages write JSON; SQL_ASCII takes any bytes."""
    with (
        fresh_database(postgres_url, encoding) as url,
        psycopg.connect(url, autocommit=True) as connection,
        BatchEngine(
            partial(psycopg.connect, url), "t", settings=EngineSettings(statement_style=style)
        ) as engine,
    ):
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        values = ("fine", "é", "5 €", "too")
        batch = [
            record("INSERT", json.dumps({"id": n, "v": v}, ensure_ascii=escaped).encode())
            for n, v in enumerate(values)
        ]
        bad = {2: "untranslatable_character"} if encoding == "LATIN1" else {}
        assert refused(engine.apply(batch)) == bad
        assert value(connection, "SELECT count(*) FROM t") == len(values) - len(bad)


@pytest.mark.parametrize(
    ("setting", "during"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
)
def test_a_batch_is_on_disk_once_it_is_committed(
    connection: Connection,
    database: str,
    record: MakeRecord,
    style: str,
    setting: str,
    during: str,
) -> None:
    """Its messages leave Redis then; what is stricter stays as it is."""
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT current_setting('synchronous_commit'))"
    )
    connect = partial(psycopg.connect, database, options=f"-c synchronous_commit={setting}")
    with BatchEngine(connect, "t", settings=EngineSettings(statement_style=style)) as engine:
        engine.apply([record("INSERT", {"id": 1})])
    assert value(connection, "SELECT v FROM t") == during
