"""The example DAGs at work, by `dag.test()`, on the demo's tables and real servers."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from batchdrain.provider_info import get_provider_info
from fix_airflow import SCHEMA
from fix_airflow_home import REPOSITORY
from fix_drain_dag import parsed, states
from webhook_server import chat, webhook

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

EXAMPLES = REPOSITORY / "provider" / "batchdrain" / "example_dags"
CODE = "\n".join(file.read_text(encoding="utf-8") for file in EXAMPLES.glob("example_*.py"))


def run(dag_id: str, **params: Any) -> DagRun:
    """Run an example to its end, with the Params given."""
    finished: DagRun = parsed(EXAMPLES / f"{dag_id}.py", dag_id).test(run_conf=params)
    return finished


@pytest.fixture(autouse=True)
def tables(airflow_connections: None, connection: psycopg.Connection[Any]) -> None:
    """The demo's tables, with one airline and one airport."""
    connection.execute(SCHEMA.read_bytes())
    connection.execute("INSERT INTO airlines VALUES ('9E', 'Endeavor', 'IATA', '1')")
    connection.execute(
        "INSERT INTO airports VALUES ('JFK', 'Kennedy', 40, -73, 13, -5, 'A', NULL, 'FAA', '1')"
    )


def push(client: Any, table: str, client_id: str, *records: dict[str, Any]) -> None:
    """Append a message that inserts the records."""
    message = {"operation": "INSERT", "client_id": client_id, "ver": "1", "records": records}
    client.xadd(f"batchdrain:{table}", {"data": json.dumps(message)})


def flight(number: int, dest: str = "JFK") -> dict[str, Any]:
    """Return a flight's record."""
    return {
        "carrier": "9E",
        "flight": number,
        "time_hour": "2013-01-01T10:00:00Z",
        "origin": "EWR",
        "dest": dest,
        "sched_dep_time": "10:00",
        "sched_arr_time": "11:00",
        "distance": 21,
        "tailnum": "",
    }


def rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("dag_id", ["example_drain_dag", "example_drain_queue"])
def test_the_drains_apply_what_waits(connection, redis_client, dag_id):
    push(redis_client, "flights", "EWR", *(flight(number) for number in range(10)))
    finished = run(dag_id)
    assert finished.state == "success", states(finished)
    assert rows(connection, "SELECT count(*) FROM flights") == [(10,)]
    assert redis_client.xlen("batchdrain:flights") == 0


def test_a_drain_that_would_fail_is_not_begun(connection, redis_client):
    """Without its primary key the table can't be drained; with it the same DAG drains it."""
    push(redis_client, "flights", "EWR", flight(1))
    connection.execute("ALTER TABLE flights DROP CONSTRAINT flights_pkey")
    refused = run("example_preflight")
    assert states(refused) == {"preflight": "failed", "drain_flights": "upstream_failed"}
    assert states(run("example_preflight_dag")) == {"look": "failed"}
    connection.execute("ALTER TABLE flights ADD PRIMARY KEY (carrier, flight, time_hour)")
    assert states(run("example_preflight_dag")) == {"look": "success"}
    finished = run("example_preflight")
    assert finished.state == "success", states(finished)
    assert rows(connection, "SELECT count(*) FROM flights") == [(1,)]


def test_what_comes_after_the_drains_runs_only_if_they_changed_something(redis_client):
    assert states(run("example_list_queues"))["analyze_flights"] == "skipped"
    push(redis_client, "flights", "EWR", flight(1))
    finished = run("example_list_queues")
    assert finished.state == "success", states(finished)
    assert states(finished)["analyze_flights"] == "success"


def test_the_run_fails_with_a_drain_even_though_the_summary_is_written(connection, redis_client):
    """One queue's table is missing: what can be drained is, and the leaf makes it known."""
    connection.execute("DROP TABLE flights")
    push(redis_client, "flights", "EWR", flight(1))
    push(redis_client, "airlines", "IATA", {"carrier": "AA", "name": "American"})
    finished = run("example_list_queues")
    assert finished.state == "failed"
    assert states(finished)["summarize_errors"] == "success"
    assert states(finished)["all_drained"] == "upstream_failed"
    assert rows(connection, "SELECT count(*) FROM airlines") == [(2,)]


def test_a_queue_is_held_while_something_else_changes_its_table(connection, redis_client):
    push(redis_client, "flights", "EWR", flight(1))
    run("example_drain_queue")
    finished = run("example_control_queues")
    assert finished.state == "success", states(finished)
    assert rows(connection, "SELECT tailnum FROM flights") == [(None,)]
    assert rows(connection, "SELECT held FROM batchdrain.position") == [(False,)]


def test_a_queue_is_released_even_if_the_work_fails_and_the_run_fails_with_it(connection):
    connection.execute("ALTER TABLE flights RENAME TO gone")
    finished = run("example_control_queues")
    assert finished.state == "failed"
    assert states(finished)["release_flights"] == "success"
    assert rows(connection, "SELECT held FROM batchdrain.position") == [(False,)]


def test_flights_that_lacked_their_airport_are_applied_once_it_is_there(connection, redis_client):
    push(redis_client, "flights", "EWR", flight(1, dest="SJU"), flight(2, dest="BQN"))
    run("example_drain_queue")
    assert rows(connection, "SELECT count(*) FROM flights") == [(0,)]
    airport = {"name": "Luis Muñoz Marín", "lat": 18, "lon": -66, "alt": 9, "tz": -4, "dst": "N"}
    push(redis_client, "airports", "FAA", {"faa": "SJU", **airport})
    finished = run("example_redrive_errors")
    assert finished.state == "success", states(finished)
    assert rows(connection, "SELECT flight FROM flights") == [(1,)]
    found = rows(connection, "SELECT resolution, attempts FROM flights_errors ORDER BY id")
    assert found == [("applied", 2), (None, 2)]


@pytest.mark.parametrize(
    ("dag_id", "params"),
    [
        ("example_control_dag", {"tables": ["flights"]}),
        ("example_redrive_dag", {"table": "flights"}),
    ],
)
def test_the_forms_show_what_is_there(redis_client, capsys, dag_id, params):
    push(redis_client, "flights", "EWR", flight(1, dest="SJU"))
    run("example_drain_queue")
    capsys.readouterr()
    finished = run(dag_id, **params)
    assert finished.state == "success", states(finished)
    shown = capsys.readouterr().out
    assert ("batchdrain:flights" in shown) or ("foreign_key_violation" in shown)


def test_a_chat_hears_of_thresholds(redis_client, monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    push(redis_client, "flights", "EWR", flight(1), flight(2, dest="SJU"))
    with webhook() as (port, posted):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        assert run("example_alerts").state == "success"
    ((_, body),) = posted
    assert "1 of 2 records were refused (50.0%), more than 20.0%" in body["text"]
    assert "this run: 1 applied, 1 refused" in body["text"]


def test_the_hook_tells_what_became_of_each_record(connection):
    finished = run("example_hook")
    (task,) = finished.get_task_instances()
    assert task.xcom_pull(task_ids=task.task_id) == ["US"]
    assert rows(connection, "SELECT name FROM airlines") == [("Pinnacle Airlines",)]
    assert rows(connection, "SELECT error_type FROM airlines_errors") == [("not_found",)]


def public_classes() -> list[str]:
    """Return the names of all that the provider offers to DAGs: operators, hooks and so on."""
    info = get_provider_info()
    modules = [
        module
        for kind in ("operators", "sensors", "triggers")
        for entry in info.get(kind, [])
        for module in entry["python-modules"]
    ]
    found = [path.rsplit(".", 1)[1] for path in info.get("notifications", [])]
    for module in modules:
        found += [
            name
            for name, thing in vars(import_module(module)).items()
            if inspect.isclass(thing)
            and thing.__module__ == module
            and name.endswith(("Operator", "Sensor", "Trigger"))
        ]
    return found


@pytest.mark.parametrize("name", public_classes())
def test_every_operator_sensor_trigger_and_notifier_has_an_example(name):
    assert f"import {name}" in CODE or f", {name}" in CODE


def test_every_factory_has_an_example():
    factories = [
        name
        for file in Path(REPOSITORY / "provider" / "batchdrain" / "dags").glob("*.py")
        for name in vars(import_module(f"batchdrain.dags.{file.stem}"))
        if name.startswith("build_") and name.endswith("_dag")
    ]
    assert {"build_drain_dag", "build_control_dag", "build_redrive_dag"} <= set(factories)
    assert [name for name in factories if f"{name}(" not in CODE] == []
