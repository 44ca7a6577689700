"""A database is looked at before a drain relies on it: each finding, provoked once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from batchdrain.demo.servers import PostgresServer
from batchdrain.engine import preflight
from batchdrain.engine.catalog import read_table
from batchdrain.engine.error_table import ErrorTable
from batchdrain.engine.position import create_state
from batchdrain.engine.settings import DEFAULT_SCOPE
from batchdrain.errors import ConfigurationError
from batchdrain.finding import Finding, Level

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Role:
    """A role that may log in and nothing else, until it is told so."""

    owner: Connection
    name: str
    connection: Connection

    def grant(self, rights: str) -> None:
        """Give it rights, as in `GRANT … TO`."""
        to = sql.Identifier(self.name)
        self.owner.execute(sql.SQL(f"GRANT {rights} TO {{}}").format(to))


@pytest.fixture
def role(connection: Connection) -> Iterator[Role]:
    """The role, and a connection of its own."""
    name = f"minimal_{os.getpid()}_{id(connection)}"
    known = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(known))
    info = connection.info
    with psycopg.connect(
        host=info.host, port=info.port, dbname=info.dbname, user=name, password="pw",
        autocommit=True,
    ) as own:  # fmt: skip
        yield Role(connection, name, own)
    connection.execute(sql.SQL("DROP OWNED BY {}").format(known))
    connection.execute(sql.SQL("DROP ROLE {}").format(known))


def of(findings: list[Finding], level: Level) -> list[str]:
    """Return what the findings of a level say, and what to do, each as one text."""
    return [f"{each.what} → {each.do}" for each in findings if each.level is level]


def only(findings: list[Finding], level: Level) -> str:
    """Return the one finding of a level."""
    (text,) = of(findings, level)
    return text


def table(connection: Connection, name: str) -> list[Finding]:
    return preflight.table_findings(connection, name, DEFAULT_SCOPE)


def setting(connection: Connection, name: str) -> str:
    """Return one of the server's settings."""
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_good_server_is_ok_and_named_with_its_version(role: Role) -> None:
    found = preflight.server_findings(role.connection, "orders_db (h:1/d)")
    version = setting(role.connection, "server_version")
    assert only(found, Level.OK).startswith(
        f"orders_db (h:1/d) answers: version {version}, role {role.name}"
    )
    assert not of(found, Level.ERROR)


def test_what_a_server_or_role_should_not_be_is_told(
    connection: Connection, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A superuser, commits that do not last, a database that only reads, an old version."""
    assert "is a superuser" in of(preflight.server_findings(connection, "a"), Level.WARNING)[-1]
    fsync = [] if setting(connection, "fsync") == "on" else ["fsync is off"]
    warned = of(preflight.server_findings(role.connection, "a"), Level.WARNING)
    assert [text.partition(":")[0] for text in warned] == fsync
    role.connection.execute("SET default_transaction_read_only = on")
    refused = only(preflight.server_findings(role.connection, "a"), Level.ERROR)
    assert "default_transaction_read_only is on" in refused
    role.connection.execute("SET default_transaction_read_only = off")
    monkeypatch.setattr(preflight, "_OLDEST", 990_000)
    assert "needs PostgreSQL 14" in only(preflight.server_findings(connection, "a"), Level.ERROR)


def test_a_standby_is_an_error() -> None:
    """A server that replays another's log, and so takes no writes."""
    with PostgresServer(fsync=False) as server:
        server.stop()
        signal = server.data / "standby.signal"
        signal.touch()
        owner = server.data.stat()
        os.chown(signal, owner.st_uid, owner.st_gid)
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            found = only(preflight.server_findings(connection, "a"), Level.ERROR)
    assert "standby" in found
    assert "target_session_attrs" in found


def test_state_that_can_be_created_is_ok_and_stays_uncreated(
    role: Role, connection: Connection
) -> None:
    """What the look says holds: without the right both it and a drain fail, and with it neither."""
    refused = only(preflight.state_findings(role.connection), Level.ERROR)
    right = f'CREATE ON DATABASE "{connection.info.dbname}"'
    assert f"GRANT {right}" in refused
    with pytest.raises(ConfigurationError):
        create_state(role.connection)
    role.grant(right)
    assert "created by the first drain" in only(preflight.state_findings(role.connection), Level.OK)
    assert connection.execute("SELECT to_regnamespace('batchdrain')").fetchone() == (None,)
    create_state(role.connection)
    assert "there, and usable" in only(preflight.state_findings(role.connection), Level.OK)


def test_a_schema_without_tables_needs_rights_on_database_and_schema(
    role: Role, connection: Connection
) -> None:
    """PostgreSQL asks for the right on the database also where the schema exists."""
    connection.execute("CREATE SCHEMA batchdrain")
    role.grant("USAGE, CREATE ON SCHEMA batchdrain")
    assert "GRANT CREATE ON DATABASE" in only(
        preflight.state_findings(role.connection), Level.ERROR
    )
    with pytest.raises(ConfigurationError):
        create_state(role.connection)


def test_state_of_another_role_needs_what_the_finding_says(
    role: Role, connection: Connection
) -> None:
    """Doing what it says makes the state usable."""
    create_state(connection)
    refused = next(
        each for each in preflight.state_findings(role.connection) if each.level is Level.ERROR
    )
    for statement in refused.do.split("; "):
        role.grant(statement.removeprefix("GRANT ").removesuffix(" TO the role"))
    create_state(role.connection)
    assert "there, and usable" in only(preflight.state_findings(role.connection), Level.OK)


def test_a_good_table_is_shown_with_key_and_scope(role: Role, connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE good (_client_id text, id int, _ver text, PRIMARY KEY (_client_id, id))"
    )
    role.grant("CREATE ON SCHEMA public")
    role.grant("ALL ON good")
    found = table(role.connection, "good")
    assert [each.level for each in found] == [Level.OK, Level.OK]
    assert "key _client_id, id; scope _client_id = client_id, _ver = ver" in found[0].what
    assert found[1] == Finding(Level.OK, "table public.good_errors", "created by the first drain")
    assert connection.execute("SELECT to_regclass('good_errors')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("statement", "name", "expected"),
    [
        ("SELECT", "gone", 'no table "gone" in the search_path'),
        ("CREATE TABLE bare (id int)", "bare", "has no primary key"),
        ("CREATE VIEW seen AS SELECT 1 AS id", "seen", "is a view"),
        ("CREATE TABLE mine (id int PRIMARY KEY)", "mine", "may not write to table"),
    ],
)
def test_a_table_that_no_drain_can_use_is_an_error(
    role: Role, connection: Connection, statement: str, name: str, expected: str
) -> None:
    """Missing, without a primary key, no table at all, or closed to the role."""
    connection.execute(statement)
    (found,) = table(role.connection, name)
    assert (found.level, found.subject) == (Level.ERROR, f"table {name}")
    assert expected in found.what
    assert found.do


def test_rights_that_some_messages_need_are_warnings(role: Role, connection: Connection) -> None:
    """Operations, single columns, and the sequence behind a default."""
    connection.execute("CREATE TABLE part (id serial PRIMARY KEY, name text, closed text)")
    role.grant("CREATE ON SCHEMA public")
    role.grant("SELECT, INSERT (id, name) ON part")
    warned = of(table(role.connection, "part"), Level.WARNING)
    assert any('GRANT DELETE, UPDATE ON "public"."part"' in text for text in warned)
    assert any("may not use public.part_id_seq" in text for text in warned)
    assert any('may not INSERT into "closed"' in text for text in warned)
    assert len(warned) == 3


def test_a_table_that_is_drained_record_by_record_is_told_with_the_reason(
    connection: Connection,
) -> None:
    connection.execute("CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree)")
    told = only(table(connection, "tree"), Level.INFO)
    assert 'self-referencing foreign key "tree_up_fkey"' in told


def test_an_error_table_that_cannot_be_created_or_written_is_an_error(
    role: Role, connection: Connection
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    role.grant("ALL ON t")
    refused = only(table(role.connection, "t"), Level.ERROR)
    assert 'may not create table "public.t_errors"' in refused
    assert 'GRANT CREATE ON SCHEMA "public"' in refused
    ErrorTable.open(connection, read_table(connection, "t"))
    assert 'GRANT INSERT ON "public"."t_errors"' in only(table(role.connection, "t"), Level.ERROR)
    role.grant("INSERT ON t_errors")
    assert 'GRANT SELECT, UPDATE, DELETE ON "public"."t_errors"' in only(
        table(role.connection, "t"), Level.INFO
    )
    role.grant("ALL ON t_errors")
    assert {each.level for each in table(role.connection, "t")} == {Level.OK}


def test_the_error_table_that_a_drain_creates_is_wide_enough(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    ErrorTable.open(connection, read_table(connection, "t"))
    assert table(connection, "t")[1].what == "there, and as wide as it should be"


@pytest.mark.parametrize(
    ("columns", "level", "expected"),
    [
        ("record_data varchar(200)", Level.ERROR, "too narrow to keep records whole"),
        ("record_id text", Level.ERROR, "no column record_data"),
        ("record_data jsonb, x int NOT NULL", Level.ERROR, "x takes no NULL and has no default"),
        ("record_data jsonb, field_id text NOT NULL", Level.WARNING, "field_id takes no NULL"),
        (
            "record_data jsonb, record_id varchar(5), client_id varchar(99), field_id char(9)",
            Level.WARNING,
            "clipped in record_id character varying(5), field_id character(9)",
        ),
        ("record_data jsonb", Level.INFO, "it has no record_id, client_id, operation"),
        ("record_data jsonb", Level.INFO, "can't be applied again"),
    ],
)
def test_an_error_table_that_falls_short_is_told_with_what_mends_it(
    connection: Connection, columns: str, level: Level, expected: str
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    connection.execute(f"CREATE TABLE t_errors ({columns})")
    assert any(expected in text for text in of(table(connection, "t"), level))


@pytest.mark.parametrize(
    ("columns", "mends"),
    [
        ("record_data jsonb", "ADD COLUMN queue text"),
        (
            "record_data jsonb, id bigint, message_id text, attempts int, resolved_at timestamptz, "
            "resolution text, queue varchar(8)",
            "queue",
        ),
    ],
)
def test_a_drain_that_is_to_retry_references_needs_more_of_the_error_table(
    connection: Connection, columns: str, mends: str
) -> None:
    """Without, the drain would say so in each of its logs, and retry nothing."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    connection.execute(f"CREATE TABLE t_errors ({columns})")
    assert not of(table(connection, "t"), Level.WARNING)
    found = preflight.table_findings(connection, "t", DEFAULT_SCOPE, "batchdrain:t")
    warning = only(found, Level.WARNING)
    assert "though reference_retries asks drains to" in warning
    assert mends in warning


def test_doing_what_the_findings_say_makes_an_error_table_whole(connection: Connection) -> None:
    """Every ALTER TABLE that is proposed runs, and none is proposed afterwards."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE t_errors "
        "(record_data jsonb, record_id varchar(5) NOT NULL, more int NOT NULL)"
    )
    for found in table(connection, "t")[1:]:
        statement = found.do[found.do.index("ALTER TABLE") :].removesuffix(", or live with it")
        connection.execute(statement)
    assert table(connection, "t")[1].what == "there, and as wide as it should be"


def test_positions_that_cannot_be_read_are_none(role: Role, connection: Connection) -> None:
    assert preflight.known_positions(role.connection, ["q"]) == {}
    create_state(connection)
    assert preflight.known_positions(role.connection, ["q"]) == {}
    assert preflight.known_positions(connection, ["q"]) == {}


def test_a_server_that_goes_away_meanwhile_is_a_finding(role: Role, connection: Connection) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", [role.connection.info.backend_pid])
    (found,) = preflight.state_findings(role.connection)
    assert found.level is Level.ERROR
    assert "could not be looked at" in found.what
