"""Whole runs of drain DAGs in this process, by `dag.test()`, against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import ParamValidationError

from batchdrain.engine.batch_log import totals
from fix_airflow_home import REPOSITORY, TEST_DAGS
from fix_drain_dag import insert, parsed, push, states
from traces import traces


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
def test_a_dry_run_from_the_form_tells_all_and_changes_nothing(
    drain_run, connection, database, redis_client, capsys
):
    """Not even the state is there afterwards; and the same run, let loose, applies what it said."""
    push(redis_client, "batchdrain:airports", insert(code="MEX", name="Benito"))
    push(redis_client, "batchdrain:flights", *(insert(id=n, dest="MEX") for n in range(3)))
    connection.execute("INSERT INTO airports VALUES ('JFK', 'secret value')")
    push(redis_client, "batchdrain:flights", insert(id=9, dest="JFK"))
    before = traces(database, redis_client)
    run = drain_run(dry_run=True)
    assert run.state == "success", states(run)
    assert traces(database, redis_client) == before
    task = next(ti for ti in run.get_task_instances() if ti.task_id == "summarize_errors")
    summary = task.xcom_pull(task_ids="summarize_errors")
    told = {each["queue"]: (each["would_apply"], each["would_refuse"]) for each in summary["tried"]}
    assert told == {"batchdrain:airports": (1, 0), "batchdrain:flights": (1, 3)}
    assert (summary["dry_run"], summary["failed"]) == (True, [])
    log = capsys.readouterr().out
    assert "2 queues to try" in log
    assert "would refuse: foreign_key_violation in dest: 3: 0, 1, 2" in log
    assert "may still wait in the queue of another table" in log
    assert "dry run: of 2 queues 2 records would be applied and 3 refused" in log
    assert "this run:" not in log
    assert "secret value" not in log
    run = drain_run(tables=["airports", "flights"])
    assert [entry.applied for entry in totals(connection, run.dag_id, run.run_id)] == [1, 4]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"dryrun": True}, "there is no such Param: did you mean 'dry_run'? Nothing was done."),
        (
            {"min_batch_size": 9, "max_batch_size": 8},
            "min_batch_size is 9, but max_batch_size is 8",
        ),
    ],
)
def test_what_the_form_cannot_check_fails_the_first_task_with_a_sentence(
    drain_run, redis_client, capsys, params, sentence
):
    push(redis_client, "batchdrain:airports", insert(code="MEX", name="Benito"))
    run = drain_run(**params)
    assert states(run)["list_queues"] == "failed"
    assert sentence in capsys.readouterr().out
    assert redis_client.xlen("batchdrain:airports") == 1


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("params", [{"dry_run": "true"}, {"batch_size": "many"}])
def test_a_wrong_type_makes_no_run(drain_run, params):
    (name,) = params
    with pytest.raises(ParamValidationError, match=f"Invalid input for param {name}: .* not of"):
        drain_run(**params)


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


@pytest.fixture
def own_pool(airflow_home: Path) -> Iterator[str]:
    """A pool in the metadata database."""
    from airflow.models.pool import Pool

    Pool.create_or_update_pool("own", slots=2, description="", include_deferred=False)
    yield "own"
    Pool.delete_pool("own")


@pytest.mark.usefixtures("airflow_connections", "tables")
def test_a_dag_whose_drains_have_a_pool_of_their_own_can_be_tried(own_pool, redis_client):
    """`dag.test()` takes one task after the other, first the one that watches the pool."""
    file = TEST_DAGS / "drain_in_pool.py"
    file.write_text(
        "from batchdrain.dags.factory import build_drain_dag  # an Airflow DAG\n"
        f"dag = build_drain_dag('drain_in_pool', schedule=None, pool='{own_pool}')\n"
    )
    push(redis_client, "batchdrain:airports", insert(code="MEX", name="Benito"))
    run = parsed(file, "drain_in_pool").test()
    assert run.state == "success", states(run)
    assert states(run)["watch_pool"] == "success"
