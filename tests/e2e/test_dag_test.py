"""Whole runs of drain DAGs in this process, by `dag.test()`, against real servers."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.engine.batch_log import totals
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, parsed, push, states


@pytest.fixture
def tables(connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Flights refer to airports, and both may be drained, the child named first."""
    connection.execute("CREATE TABLE airports (code text PRIMARY KEY, name text NOT NULL)")
    connection.execute(
        "CREATE TABLE flights (id integer PRIMARY KEY, dest text NOT NULL REFERENCES airports)"
    )
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "flights, airports")


@pytest.mark.usefixtures("airflow_connections", "tables")
def test_the_shipped_dag_drains_a_queue_and_tells_so(connection, redis_client, capsys):
    """One batch, one refused record: the log names it by id and type, and never shows values."""
    connection.execute("INSERT INTO airports VALUES ('MEX', 'Benito')")
    push(redis_client, "batchdrain:flights", *(insert(id=n, dest="MEX") for n in range(50)))
    push(redis_client, "batchdrain:flights", insert(id=99, dest="secret value"))
    run = parsed(REPOSITORY / "dags" / "drain_tables.py", "drain_tables").test()
    assert run.state == "success"
    assert set(states(run).values()) == {"success"}
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (50,)
    assert redis_client.xlen("batchdrain:flights") == 0
    log = capsys.readouterr().out
    assert "off-peak" in log or "peak" in log
    assert "batch 1: 51 messages, 51 records" in log
    assert "foreign_key_violation in dest: 1: 99" in log
    assert "batchdrain:flights → flights: empty: 50 applied, 1 refused" in log
    assert "this run: 50 applied, 1 refused, 0 lost, in 1 batches of 1 queues" in log
    assert "secret value" not in log


@pytest.mark.usefixtures("tables")
def test_parents_come_before_their_children_even_when_a_child_starts_first(
    drain_run, connection, redis_client
):
    """`dag.test()` has one slot and takes mapped tasks in any order: no row may be refused."""
    push(redis_client, "batchdrain:flights", *(insert(id=n, dest="MEX") for n in range(50)))
    push(redis_client, "batchdrain:airports", insert(code="MEX", name="Benito"))
    run = drain_run()
    assert run.state == "success", states(run)
    assert [name for name in states(run) if name.startswith("drain[")] != []
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (50,)
    assert connection.execute("SELECT count(*) FROM flights_errors").fetchone() == (0,)


@pytest.mark.usefixtures("tables")
def test_a_failing_drain_fails_the_run_but_not_the_others(
    drain_run, connection, redis_client, monkeypatch
):
    """The table of one queue is missing: the other is drained and the summary is written."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "airports, planes")
    push(redis_client, "batchdrain:planes", insert(id=1))
    push(redis_client, "batchdrain:airports", insert(code="MEX", name="Benito"))
    run = drain_run()
    assert run.state == "failed"
    outcome = states(run)
    assert sorted(outcome[f"drain[{n}]"] for n in (0, 1)) == ["failed", "success"]
    assert outcome["summarize_errors"] == "success"
    assert outcome["all_drained"] == "upstream_failed"
    assert connection.execute("SELECT count(*) FROM airports").fetchone() == (1,)
    assert redis_client.xlen("batchdrain:planes") == 1
    (entry,) = totals(connection, run.dag_id, run.run_id)
    assert (entry.queue, entry.applied) == ("batchdrain:airports", 1)


@pytest.mark.usefixtures("tables")
def test_a_run_without_a_backlog_succeeds(drain_run):
    run = drain_run()
    assert run.state == "success"
    assert states(run)["drain"] == "skipped"
    assert states(run)["all_drained"] == "success"


@pytest.mark.usefixtures("tables")
def test_params_choose_the_tables_and_the_limits(drain_run, connection, redis_client):
    push(redis_client, "batchdrain:flights", insert(id=1, dest="MEX"))
    push(redis_client, "batchdrain:airports", *(insert(code=str(n), name="A") for n in range(9)))
    run = drain_run(tables=["airports"], batch_size=2, max_records=4)
    assert run.state == "success"
    assert redis_client.xlen("batchdrain:flights") == 1
    (entry,) = totals(connection, run.dag_id, run.run_id)
    assert (entry.applied, entry.batches) == (4, 2)


@pytest.mark.usefixtures("tables")
def test_the_summary_counts_by_type_field_and_client(drain_run, connection, redis_client):
    message = {**insert(code=None, name="A"), "client_id": "c-1"}
    push(redis_client, "batchdrain:airports", message, insert(code="X", name=None))
    push(redis_client, "batchdrain:airports", insert(code="Y", name="ok"))
    run = drain_run()
    task = next(ti for ti in run.get_task_instances() if ti.task_id == "summarize_errors")
    summary = task.xcom_pull(task_ids="summarize_errors")
    assert summary["totals"][0]["applied"] == 1
    groups = summary["refused"]["public.airports"]
    assert {(g["error_type"], g["field"], g["client_id"], g["count"]) for g in groups} == {
        ("not_null_violation", "code", "c-1", 1),
        ("not_null_violation", "name", None, 1),
    }
    assert {group["example"] for group in groups} == {None, "X"}
