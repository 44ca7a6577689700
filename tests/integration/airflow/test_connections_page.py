"""What docs/how-to/connections.md and preflight.md show is so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis

from batchdrain.demo.valkey_server import ValkeyServer
from batchdrain.engine.position import create_state
from batchdrain.finding import Level
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.redis_client import shown_server
from batchdrain.preflight.given import Given
from batchdrain.preflight.look import look
from batchdrain.preflight.report import lines, verdict
from batchdrain.provider_info import get_provider_info
from fix_airflow_home import REPOSITORY
from page_code import code

CONNECTIONS = REPOSITORY / "docs" / "how-to" / "connections.md"
PREFLIGHT = REPOSITORY / "docs" / "how-to" / "preflight.md"
EXPORT = re.compile(r"export (AIRFLOW_CONN_\w+)='([^']*)'")


def exported() -> list[tuple[str, str]]:
    return EXPORT.findall("\n".join(code(CONNECTIONS, "bash")))


def test_every_field_of_the_forms_is_explained():
    page = CONNECTIONS.read_text(encoding="utf-8")
    for connection in get_provider_info()["connection-types"]:
        missing = [name for name in connection["conn-fields"] if f"`{name}`" not in page]
        assert missing == []


def test_every_connection_that_is_shown_is_read_as_it_is_meant(monkeypatch):
    """Those to PostgreSQL lead to its example; those to Redis to a server, sentinels or nodes."""
    shown = []
    for variable, value in exported():
        monkeypatch.setenv(variable, value)
        if variable == "AIRFLOW_CONN_POSTGRES_DEFAULT":
            assert BatchPostgresHook().location() == ("db.example", 5432, "shop")
        else:
            shown.append(shown_server(BatchPostgresHook.get_connection("redis_default")))
    assert shown == [
        "queues.example:6379",
        "queues.example:6379",
        "queues.example:6380",
        "master orders of the sentinels sentinel-1:26379, sentinel-2:26379, sentinel-3:26379",
        "node-1:6379",
    ]


@pytest.fixture
def drains(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """A name for the role that the pages call drains."""
    name = f"drains_{os.getpid()}_{id(connection)}"
    yield name
    connection.execute(f"DROP OWNED BY {name}")
    connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def url_of_drains(connection: psycopg.Connection[Any], drains: str) -> str:
    """URL of the test's database for that role."""
    info = connection.info
    return f"postgresql://{drains}:password@{info.host}:{info.port}/{info.dbname}"


@pytest.mark.usefixtures("airflow_connections")
def test_the_role_that_is_shown_is_enough(connection, drains, url_of_drains, monkeypatch):
    """There is no word about it, before the first drain and after."""
    connection.execute("CREATE TABLE customers (id serial PRIMARY KEY)")
    connection.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    (role,) = code(CONNECTIONS, "sql")
    connection.execute(role.replace("drains", drains).replace("shop", connection.info.dbname))
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", url_of_drains)

    def words() -> list[str]:
        return [
            each.what
            for each in look(Given(tables="customers, orders"))
            if each.level is not Level.OK
            and each.subject.startswith(("Postgres", "table", "schema"))
            and "fsync is off" not in each.what
        ]

    assert words() == []
    with BatchPostgresHook().connect() as own:
        create_state(own)
    assert words() == []


@pytest.mark.usefixtures("airflow_connections")
def test_the_user_that_is_shown_is_enough(own_valkey: ValkeyServer, monkeypatch, connection):
    connection.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    (command,) = code(CONNECTIONS, "text")
    with redis.Redis(port=own_valkey.port) as client:
        client.execute_command(*command.split())
        client.xadd("batchdrain:orders", {"data": "{}"})
        url = f"redis://drains:password@127.0.0.1:{own_valkey.port}/0"
        monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", url)
        found = look(Given(tables="orders"))
        client.acl_deluser("drains")
    assert not [each for each in found if each.level is Level.ERROR]
    assert any(each.what.startswith("1 that may be drained") for each in found)


TABLES = """
CREATE TABLE customers (id int PRIMARY KEY, _client_id text, _ver text, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, amount numeric);
CREATE TABLE returns (id int, reason text);
CREATE TABLE orders_errors (record_id varchar, client_id varchar(50), operation varchar(20),
  error_type varchar(50), error_message text, field_id varchar(20), record_data jsonb, ver varchar,
  created_at timestamp);
CREATE ROLE drains LOGIN PASSWORD 'password';
GRANT CREATE ON DATABASE shop TO drains;
GRANT CREATE ON SCHEMA public TO drains;
GRANT ALL ON customers, returns, orders_errors TO drains;
GRANT SELECT, INSERT, UPDATE ON orders TO drains;
"""
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory": "200mb",
    "maxmemory-policy": "allkeys-lru",
}
CHANGING = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:6000"),
    (r"version [\d.]+", "version 1"),
    (r"Valkey [\d.]+", "Valkey 1"),
    (r"it is \d\d:\d\d there, (off-)?peak", "it is noon"),
    (r" +", " "),
)
"""What is another on each machine and at each time: ports, versions, the clock; and the columns."""


def stripped(text: str) -> list[str]:
    """Return the lines without what changes, and without what tests do to be quick."""
    for pattern, instead in CHANGING:
        text = re.sub(pattern, instead, text)
    told = [line.strip() for line in text.splitlines()]
    return [line for line in told if "fsync" not in line and "warnings, " not in line]


@pytest.mark.usefixtures("airflow_connections")
def test_the_page_shows_what_the_look_says(
    own_valkey: ValkeyServer, connection, drains, url_of_drains, monkeypatch
):
    """The same tables, keys and settings give the same findings."""
    name = connection.info.dbname
    connection.execute(TABLES.replace("drains", drains).replace("shop", name))
    with redis.Redis(port=own_valkey.port) as client:
        for setting, value in SETTINGS.items():
            client.config_set(setting, value)
        client.xadd("batchdrain:orders", {"data": "{}"})
        client.rpush("batchdrain:customer", "{}")
    for variable, value in {
        "AIRFLOW_CONN_POSTGRES_DEFAULT": url_of_drains,
        "AIRFLOW_CONN_REDIS_DEFAULT": own_valkey.url,
        "AIRFLOW__BATCHDRAIN__TABLES": "customers, orders, returns",
        "AIRFLOW__BATCHDRAIN__TIMEZONE": "America/Mexico_City",
        "AIRFLOW__BATCHDRAIN__POOL": "shop",
    }.items():
        monkeypatch.setenv(variable, value)
    found = look(Given())
    said = "\n".join([*lines(found), verdict(found)])
    (shown,) = code(PREFLIGHT, "text")
    assert stripped(said.replace(drains, "drains").replace(f"/{name})", "/shop)")) == stripped(
        shown
    )
