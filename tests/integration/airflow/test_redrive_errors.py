"""Refused records shown, applied again and discarded by a task, against real servers."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.redrive_errors import RedriveErrorsOperator
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, parsed, push
from fix_task_context import drain_context

KEY = "batchdrain:things"
SECRET = "4711-not-for-logs"


@pytest.fixture(autouse=True)
def refused_things(
    airflow_connections: None, connection: psycopg.Connection[Any], redis_client
) -> None:
    """Three records of which one has no name, and one a name that is too long."""
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name varchar(20) NOT NULL)")
    names = ["n", None, SECRET * 2]
    push(redis_client, KEY, *(insert(id=n, name=name) for n, name in enumerate(names)))
    drained = DrainQueueOperator(task_id="drain", queue_key=KEY).execute(drain_context())
    assert drained["refused"] == 2


def redrive(action: str, **params: Any) -> dict[str, Any]:
    operator = RedriveErrorsOperator(task_id="redrive", tables="things, others")
    return operator.execute(drain_context(action=action, **{"table": "things", **params}))


def test_inspecting_shows_rows_and_no_values(capsys):
    assert redrive("inspect")["found"] == 2
    log = capsys.readouterr().out
    assert "not_null_violation" in log
    assert "string_data_right_truncation" in log
    assert SECRET not in log
    assert redrive("inspect", error_types=["not_null_violation"])["found"] == 1


def test_an_empty_text_chooses_what_is_empty_not_all():
    assert redrive("inspect", clients=[""])["found"] == 0
    assert redrive("discard", error_types=["", " "])["discarded"] == 0


def test_mended_records_are_applied_and_the_rest_discarded(connection, capsys):
    counts = redrive("redrive", error_types=["not_null_violation"], set_columns={"name": "anon"})
    assert counts == {
        "action": "redrive",
        "table": "things",
        "applied": 1,
        "refused again": 0,
        "left alone": 0,
    }
    assert "redrive things: 1 applied, 0 refused again, 0 left alone" in capsys.readouterr().out
    assert redrive("redrive")["refused again"] == 1
    assert redrive("discard")["discarded"] == 1
    assert redrive("inspect")["found"] == 0
    names = connection.execute("SELECT name FROM things ORDER BY id").fetchall()
    assert names == [("n",), ("anon",)]
    rows = connection.execute("SELECT attempts, resolution FROM things_errors ORDER BY id")
    assert rows.fetchall() == [(2, "applied"), (2, "discarded")]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"action": "replay"}, "one of inspect, redrive, discard"),
        ({"action": "inspect", "table": None}, "Param table must name a table"),
        ({"action": "inspect", "table": "pg_class"}, "these tables may be drained"),
        ({"action": "inspect", "table": "others"}, "others"),
        ({"action": "inspect", "since": "soon"}, "such as 2025-03-07T07:00:00Z"),
        ({"action": "inspect", "ids": ["x"]}, "Param ids must be"),
        ({"action": "inspect", "most": 0}, "Param most must be"),
        ({"action": "inspect", "most": 2**70}, "Param most must be"),
        ({"action": "inspect", "ids": [2**70]}, "a number that no row can have"),
        *(
            ({"action": "discard", "ids": ids}, "must be a list of row numbers")
            for ids in ("12", [1.9], [True], {"1": 2}, [float("inf")], ["x"])
        ),
        ({"action": "inspect", "error_types": ["a\0"]}, "must not hold NUL"),
        ({"action": "redrive", "set_columns": {"name": "\ud800"}}, "that is no JSON"),
        ({"action": "redrive", "set_columns": [1]}, "Param set_columns must be an object"),
    ],
)
def test_a_wrong_param_is_refused_with_a_sentence(params, sentence):
    with pytest.raises(AirflowFailException, match=sentence):
        redrive(**params)


@pytest.mark.parametrize("name", ["error_type", "errortype", "types", "tables"])
def test_a_name_that_no_param_has_is_refused_and_nothing_discarded(name, connection, monkeypatch):
    """Passed over, it would leave the choice open: all records would be discarded."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "things")
    dag = parsed(REPOSITORY / "dags" / "redrive_errors.py", "redrive_errors")
    conf = {"action": "discard", "table": "things", name: ["not_null_violation"]}
    assert dag.test(run_conf=conf).state == "failed"
    assert connection.execute("SELECT resolution FROM things_errors").fetchall() == [(None,)] * 2


def test_a_replay_keeps_the_scope_that_is_an_argument_of_the_drains(connection, redis_client):
    connection.execute("CREATE TABLE others (id integer PRIMARY KEY, n integer, tenant integer)")
    connection.execute("INSERT INTO others VALUES (1, 5, 7)")
    for operation in ("UPDATE", "DELETE"):
        record = '{"id": 1}' if operation == "DELETE" else '{"id": 1, "n": 6}'
        message = f'{{"operation": "{operation}", "client_id": 8, "record": {record}}}'
        redis_client.xadd("batchdrain:others", {"data": message})
    drain = DrainQueueOperator(
        task_id="drain", queue_key="batchdrain:others", scope="tenant=client_id"
    )
    assert drain.execute(drain_context())["refused"] == 2
    context = drain_context(action="redrive", table="others")
    forgotten = RedriveErrorsOperator(task_id="redrive", tables="others").execute(context)
    assert (forgotten["applied"], forgotten["left alone"]) == (0, 2)
    scoped = RedriveErrorsOperator(task_id="redrive", tables="others", scope="tenant=client_id")
    assert scoped.execute(context)["refused again"] == 2
    assert connection.execute("SELECT * FROM others").fetchall() == [(1, 5, 7)]


def test_a_replay_that_is_killed_cancels_its_statement(connection, database, monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LOCK_TIMEOUT", "30")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__STATEMENT_TIMEOUT", "60")
    operator = RedriveErrorsOperator(task_id="redrive", tables="things")
    killed = threading.Timer(1.0, operator.on_kill)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE things")
        killed.start()
        began = time.monotonic()
        with pytest.raises(AirflowException):
            operator.execute(drain_context(action="redrive", table="things"))
        assert time.monotonic() - began < 5
    assert connection.execute("SELECT attempts FROM things_errors").fetchall() == [(1,)] * 2


def test_the_shipped_dag_does_what_its_form_says(connection, monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "things")
    dag = parsed(REPOSITORY / "dags" / "redrive_errors.py", "redrive_errors")
    conf = {"action": "redrive", "set_columns": {"name": "anon"}}
    assert dag.test(run_conf=conf).state == "success"
    names = connection.execute("SELECT name FROM things ORDER BY id").fetchall()
    assert names == [("n",), ("anon",), ("anon",)]
