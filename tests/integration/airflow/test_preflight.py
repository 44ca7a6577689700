"""The look at everything that a drain relies on, as a task and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from batchdrain.__main__ import main
from batchdrain.engine.position import create_state, hold, positions
from batchdrain.finding import Finding, Level
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.preflight import PreflightOperator
from batchdrain.preflight.given import Given
from batchdrain.preflight.look import look
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, parsed, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections", "things")

KEY = "batchdrain:things"
SECRET = "4711-not-to-be-shown"


@pytest.fixture
def things(connection: psycopg.Connection[Any], redis_client) -> None:
    """A table and a message for it."""
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    push(redis_client, KEY, insert(id=1))


def found(level: Level, given: Given | None = None) -> dict[str, str]:
    """Return what is found of a level, by subject, the last of each."""
    findings = look(given or Given(tables="things"))
    assert SECRET not in repr(findings)
    return {each.subject: each.what for each in findings if each.level is level}


def test_where_drains_can_run_there_is_no_error_and_nothing_is_changed(
    connection, redis_client, capsys
):
    """The task's log has the table; no schema, no error table and no key is made."""
    before = redis_client.info("persistence")["rdb_changes_since_last_save"]
    counts = PreflightOperator(task_id="look", tables="things").execute(drain_context())
    assert counts["error"] == 0
    assert counts["ok"] > 8
    log = capsys.readouterr().out
    assert "public.things: key id; scope none" in log
    assert "the schema and tables are created by the first drain" in log
    assert "1 that may be drained (1 as streams)" in log
    assert "drains can run" in log
    made = "SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE"
    assert connection.execute(f"{made} nspname = 'batchdrain')").fetchone() == (0,)
    assert connection.execute("SELECT to_regclass('things_errors')").fetchone() == (None,)
    assert redis_client.info("persistence")["rdb_changes_since_last_save"] == before


def test_where_a_drain_would_fail_the_task_fails_and_names_the_first_reason(capsys):
    operator = PreflightOperator(task_id="look", tables="things, gone", drain_pool="nowhere")
    with pytest.raises(AirflowFailException, match=r"2 errors.*nowhere does not exist") as caught:
        operator.execute(drain_context())
    assert caught.value.__cause__ is None
    log = capsys.readouterr().out
    assert "airflow pools set nowhere 4" in log
    assert 'no table "gone"' in log


def test_a_database_that_can_not_be_reached_leaves_the_rest_to_be_looked_at(database, monkeypatch):
    """Away, a wrong password, an extra field that it doesn't know, no connection at all."""
    url = urlsplit(database)
    away = url._replace(netloc=f"user:{SECRET}@127.0.0.1:1").geturl()
    stranger = url._replace(netloc=f"nobody:{SECRET}@{url.hostname}:{url.port}").geturl()
    for connection, expected in (
        (away, "can't be reached"),
        (stranger, "can't be reached or refuses the login"),
        (f"{database}?sslmodus=require", 'invalid connection option "sslmodus"'),
    ):
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", connection)
        errors = found(Level.ERROR)
        assert list(errors) == ["PostgreSQL"]
        assert expected in errors["PostgreSQL"]
    assert "queues" in found(Level.OK)
    missing = found(Level.ERROR, Given("things", postgres_conn_id="nowhere"))
    assert "AIRFLOW_CONN_NOWHERE" in missing["PostgreSQL"]


def test_every_problem_comes_with_what_to_do(monkeypatch, connection, redis_client):
    """Of those that this test can bring about at once."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABELS", "x")
    monkeypatch.setenv("AIRFLOW__CORE__HIDE_SENSITIVE_VAR_CONN_FIELDS", "False")
    connection.execute("CREATE TABLE bare (id int); CREATE TABLE things_errors (record_id text)")
    redis_client.hset("batchdrain:bare", "a", "x")
    redis_client.rpush("batchdrain:others", "x")
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "redis://127.0.0.1:1/0?retries=0")
    for given in (Given("things, bare", pool="none"), Given("things", redis_conn_id="away")):
        problems = [each for each in look(given) if each.level in (Level.WARNING, Level.ERROR)]
        assert len(problems) > 4
        assert [each for each in problems if not each.do] == []


def test_an_error_table_from_which_drains_could_not_retry_is_told_if_they_should(
    monkeypatch, connection
):
    """Of a table with shards the queue with the longest key counts."""
    connection.execute(
        "CREATE TABLE things_errors (record_data jsonb, id bigint, message_id text, attempts int, "
        "resolved_at timestamptz, resolution text, queue varchar(20))"
    )
    for retries, shards, told in ((0, 12, False), (3, 8, False), (3, 12, True)):
        monkeypatch.setenv("AIRFLOW__BATCHDRAIN__REFERENCE_RETRIES", str(retries))
        problems = look(Given(f"things:{shards}"))
        assert any("though reference_retries asks" in each.what for each in problems) is told


def test_a_queue_server_that_can_not_be_reached_leaves_the_rest_to_be_looked_at(
    redis_url, monkeypatch
):
    url = urlsplit(redis_url)
    away = f"redis://:{SECRET}@127.0.0.1:1/0?retries=0"
    stranger = url._replace(netloc=f"nobody:{SECRET}@{url.hostname}:{url.port}").geturl()
    for connection, expected in (
        (away, "is away"),
        (stranger, "refuses the login"),
        (f"{redis_url}?socket_timeout=soon", "extra field socket_timeout"),
        (f"{redis_url}?cluster=true&startup_nodes=a:b", "startup_nodes"),
    ):
        monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", connection)
        errors = found(Level.ERROR)
        assert list(errors) == ["Redis"]
        assert expected in errors["Redis"]
    assert "table things" in found(Level.OK)
    missing = found(Level.ERROR, Given("things", redis_conn_id="nowhere"))
    assert "AIRFLOW_CONN_NOWHERE" in missing["Redis"]


def test_keys_that_no_table_covers_are_told(redis_client):
    """Of a table that is not in the list, of a shard that is not, of no table at all."""
    for key in ("batchdrain:others", "batchdrain:things:4", "{batchdrain:killed}:inflight:3"):
        redis_client.rpush(key, "x")
    warned = found(Level.WARNING)["queues"]
    assert warned == (
        "there are keys of no table, or shard, that may be drained: "
        "batchdrain:killed, batchdrain:others, batchdrain:things:4"
    )
    redis_client.rpush("batchdrain:a:b:c", "x")
    told = [each.what for each in look(Given("things")) if each.subject == "queues"]
    assert any("names no table: queue key 'batchdrain:a:b:c' is wrong" in what for what in told)


def test_with_a_star_the_tables_are_those_of_the_queues(connection, redis_client):
    connection.execute("CREATE TABLE plain_errors (id integer PRIMARY KEY)")
    for key in ("batchdrain:gone", "batchdrain:plain_errors"):
        redis_client.rpush(key, "x")
    star = Given(tables="*")
    assert "table things" in found(Level.OK, star)
    assert list(found(Level.ERROR, star)) == ["table gone"]
    assert (
        "of tables that * does not cover: batchdrain:plain_errors"
        in (found(Level.WARNING, star)["queues"])
    )


def test_queues_that_wait_for_an_operator_are_told(connection, redis_client):
    """Held, short of messages that were dropped unread, and gone back behind the position."""
    drain = DrainQueueOperator(task_id="drain", queue_key=KEY)
    drain.execute(drain_context())
    assert KEY not in {**found(Level.INFO), **found(Level.WARNING), **found(Level.ERROR)}
    hold(connection, KEY, lambda: 0)
    assert "on hold" in found(Level.INFO)[KEY]
    push(redis_client, KEY, insert(id=2), insert(id=3))
    redis_client.xtrim(KEY, 1, approximate=False)
    assert "1 of its messages were dropped" in found(Level.WARNING)[KEY]
    redis_client.delete(KEY)
    push(redis_client, KEY, insert(id=4))
    assert "holds less than PostgreSQL has applied" in found(Level.ERROR)[KEY]
    assert positions(connection, [KEY])[KEY].rewound is False


def test_state_of_an_earlier_drain_is_used_as_it_is(connection):
    create_state(connection)
    assert found(Level.OK)["schema batchdrain"] == "there, and usable"


def test_pools_are_asked_for_where_the_metadata_database_can_be(airflow_home, monkeypatch):
    """Airflow's own has slots; where nobody may ask, it is told, and is no error."""
    assert "default_pool has 128 slots" in found(Level.OK)["pool"]
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LINGER", "always")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LINGER_SLOTS", "65")
    assert "of which drains that linger may hold 65" in found(Level.WARNING)["pool"]
    monkeypatch.setattr("airflow.settings.engine", None)
    assert "which every Airflow has" in found(Level.OK)["pool"]
    unseen = found(Level.INFO, Given("things", pool="orders"))
    assert "whether orders exists can't be seen from here" in unseen["pool"]


def test_the_shipped_dag_looks_and_fails_where_a_drain_would(monkeypatch, capsys):
    dag = parsed(REPOSITORY / "dags" / "preflight.py", "preflight")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "things")
    assert dag.test().state == "success"
    assert "drains can run" in capsys.readouterr().out
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "gone")
    assert dag.test().state == "failed"
    assert "a drain would fail" in capsys.readouterr().out


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "batchdrain", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **variables},
    )


def test_the_command_exits_with_1_where_a_drain_would_fail():
    done = command("preflight", "--tables", "gone", "--problems")
    assert done.returncode == 1
    assert done.stderr == ""
    *table, last = done.stdout.splitlines()
    assert any(line.startswith("error    table gone") for line in table)
    assert not any(line.startswith(("ok", "info")) for line in table)
    assert last.endswith("a drain would fail")


def test_the_command_prints_json_for_other_programs_and_exits_with_0():
    done = command("preflight", "--json", AIRFLOW__BATCHDRAIN__TABLES="things")
    assert (done.returncode, done.stderr) == (0, "")
    findings = [Finding(**each) for each in json.loads(done.stdout)]
    assert "table things" in {each.subject for each in findings}


def test_the_command_explains_itself(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["preflight", "--help"])
    assert "Exits with 1 when a drain would fail" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_no_metadata_database_is_made_where_there_is_none(tmp_path):
    """Airflow would make a file of SQLite as soon as it is asked for a pool or a connection."""
    done = command("preflight", "--tables", "things", AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "airflow.db").exists()
