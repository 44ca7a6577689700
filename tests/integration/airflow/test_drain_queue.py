"""The drain operator against real servers."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from batchdrain.engine.position import positions
from batchdrain.operators.assets import tables_alias
from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_drain_dag import insert, push
from fix_task_context import TaskStandIn, drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:things"


@pytest.fixture(autouse=True)
def things(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")


def drain(**arguments: Any) -> DrainQueueOperator:
    return DrainQueueOperator(task_id="drain", **{"queue_key": KEY, **arguments})


def test_it_returns_counts_and_announces_the_tables_asset(redis_client, connection):
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(5)), insert(id=9, name=None))
    context = drain_context()
    counts = drain(batch_size=2).execute(context)
    del counts["seconds"], counts["isolated"]
    assert counts == {
        "queue": KEY,
        "table": "things",
        "ending": "empty",
        "messages": 6,
        "records": 6,
        "applied": 5,
        "refused": 1,
        "lost": 0,
        "batches": 3,
        "left": 0,
    }
    ((asset, extra),) = context["outlet_events"][tables_alias()].added
    where = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
    assert asset.uri == f"postgres://{where}/public/things"
    assert extra["applied"] == 5


@pytest.mark.parametrize("section", [None, "others, things"])
def test_a_list_is_drained_from_the_end_at_which_producers_do_not_push(
    redis_client, connection, monkeypatch, section
):
    """The argument says so, or the section: the UPDATE that came last is applied last."""
    arguments: dict[str, Any] = {"left_push": True}
    if section:
        monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LEFT_PUSH", section)
        arguments = {}
    renamed = {"operation": "UPDATE", "record": {"id": 1, "name": "last"}}
    for message in (insert(id=1, name="first"), renamed):
        redis_client.lpush(KEY, json.dumps(message))
    counts = drain(**arguments).execute(drain_context())
    assert (counts["applied"], counts["refused"], counts["left"]) == (2, 0, 0)
    assert connection.execute("SELECT name FROM things").fetchall() == [("last",)]
    redis_client.lpush(KEY, json.dumps(insert(id=2, name="again")))
    assert drain(**arguments).execute(drain_context())["applied"] == 1


def test_nothing_is_announced_when_nothing_was_applied(redis_client):
    push(redis_client, KEY, insert(id=1, name=None))
    context = drain_context()
    drain().execute(context)
    assert not context["outlet_events"]


def test_a_retry_announces_what_earlier_tries_of_its_run_have_applied(redis_client):
    """Airflow drops what a try that fails has added; the earlier run has had its own event."""
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(5)))
    earlier = TaskStandIn(run_id="earlier")
    drain(max_records=2, batch_size=2).execute(drain_context(earlier))
    drain(max_records=2, batch_size=2).execute(drain_context())
    retried = drain_context(TaskStandIn(try_number=2))
    assert drain().execute(retried)["applied"] == 1
    ((_, extra),) = retried["outlet_events"][tables_alias()].added
    assert (extra["applied"], extra["batches"], extra["left"]) == (3, 2, 0)
    nothing = drain_context(TaskStandIn(run_id="later", try_number=2))
    drain().execute(nothing)
    assert not nothing["outlet_events"]


def test_another_table_can_be_named(redis_client, connection):
    connection.execute("CREATE TABLE elsewhere (id integer PRIMARY KEY, name text)")
    push(redis_client, KEY, insert(id=1, name="n"))
    drain(table="elsewhere").execute(drain_context())
    assert connection.execute("SELECT count(*) FROM elsewhere").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "params", "sizes"),
    [
        ({"max_batch_size": 10}, {}, [10, 10, 10, 10]),
        ({"min_batch_size": 20, "max_batch_size": 20}, {}, [20, 20]),
        ({"batch_size": 15, "max_batch_size": 5}, {}, [15, 15, 10]),
        ({"batch_size": 15}, {"batch_size": 40}, [40]),
        ({}, {"min_batch_size": 2, "max_batch_size": 30}, [30, 10]),
    ],
)
def test_batches_adapt_within_limits_unless_a_number_is_given(
    arguments, params, sizes, redis_client, connection
):
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(40)))
    drain(**{"min_batch_size": 1, **arguments}).execute(drain_context(**params))
    logged = connection.execute("SELECT records FROM batchdrain.batch_log ORDER BY id").fetchall()
    assert [records for (records,) in logged] == sizes


def test_limits_of_batches_that_contradict_are_refused(redis_client):
    push(redis_client, KEY, insert(id=1, name="n"))
    with pytest.raises(AirflowFailException, match="min_batch_size is 9, but max_batch_size is 8"):
        drain(min_batch_size=9, max_batch_size=8).execute(drain_context())
    assert redis_client.xlen(KEY) == 1


@pytest.mark.parametrize("where", ["argument", "param", "section", "default"])
def test_the_statement_style_can_be_chosen(where, redis_client, connection, monkeypatch):
    push(redis_client, KEY, insert(id=1, name="n"))
    if where == "section":
        monkeypatch.setenv("AIRFLOW__BATCHDRAIN__STATEMENT_STYLE", "values")
    arguments = {"statement_style": "values"} if where == "argument" else {}
    params = {"statement_style": "values"} if where == "param" else {}
    drain(**arguments).execute(drain_context(**params))
    style = "recordset" if where == "default" else "values"
    logged = connection.execute("SELECT style, applied FROM batchdrain.batch_log").fetchall()
    assert logged == [(style, 1)]


def test_the_owner_is_named_after_the_task_instance(redis_client, connection):
    push(redis_client, KEY, insert(id=1, name="n"))
    drain().execute(drain_context(TaskStandIn("dag", "run", "drain", 2, map_index=3)))
    assert positions(connection, [KEY])[KEY].owner_run == "dag run drain[3] try 2"


def test_the_brake_fails_the_task_for_good_and_consumes_nothing(redis_client):
    push(redis_client, KEY, *(insert(id=n, name=None) for n in range(20)))
    with pytest.raises(AirflowFailException, match="not_null_violation in column name"):
        drain(brake_after=10).execute(drain_context())
    assert redis_client.xlen(KEY) == 20
    drain(brake_after=10).execute(drain_context(max_refused_share=1))
    assert redis_client.xlen(KEY) == 0


@pytest.fixture
def sigterm_kills():
    """Send SIGTERM to this process after a while; it is handled as Airflow's task runner does."""
    timers: list[threading.Timer] = []
    before = signal.getsignal(signal.SIGTERM)

    def kill(operator: DrainQueueOperator, seconds: float) -> None:
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)))
        timers[-1].start()

    yield kill
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGTERM, before)


def test_a_killed_drain_ends_within_four_seconds_and_keeps_what_it_has_not_applied(
    redis_client, connection, database, sigterm_kills, capsys
):
    """A lock holds the batch up; SIGTERM cancels its statement, and the log tells the outcome."""
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(5)))
    operator = drain()
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
        sigterm_kills(operator, 1.0)
        started = time.monotonic()
        with pytest.raises(AirflowException, match="stopped") as failed:
            operator.execute(drain_context())
    assert time.monotonic() - started < 5.0
    assert not isinstance(failed.value, AirflowFailException)
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{KEY}: failed for now: stopped from outside, 5 left in the queue" in last
    assert "this try has committed nothing" in last
    assert redis_client.xlen(KEY) == 5
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    drain().execute(drain_context(TaskStandIn(try_number=2)))
    assert connection.execute("SELECT count(*) FROM things").fetchone() == (5,)


def test_a_kill_before_the_start_stops_it_at_once(redis_client):
    push(redis_client, KEY, insert(id=1, name="n"))
    operator = drain()
    operator.on_kill()
    with pytest.raises(AirflowException, match="stopped from outside"):
        operator.execute(drain_context())
    assert redis_client.xlen(KEY) == 1


def test_a_killed_drain_of_an_empty_queue_succeeds():
    operator = drain()
    operator.on_kill()
    assert operator.execute(drain_context())["ending"] == "stopped"


def test_a_child_gives_its_slot_back_once_and_then_goes_on(redis_client, connection):
    push(redis_client, KEY, insert(id=1, name="n"))
    child = drain(parents={"batchdrain:parents": "5-0"}, parent_wait=0.3)
    with pytest.raises(AirflowException, match="come first"):
        child.execute(drain_context())
    assert redis_client.xlen(KEY) == 1
    assert child.execute(drain_context(TaskStandIn(try_number=2)))["applied"] == 1
