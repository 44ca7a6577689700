"""The summary of a run's refused records, whatever error tables it meets."""

from __future__ import annotations

import pytest

from batchdrain.engine.position import create_state, hold
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator
from fix_drain_dag import insert, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

SECRET = "4711-not-for-logs"


def test_one_bad_error_table_spares_the_summary_of_the_others(connection, redis_client, capsys):
    """What can't be counted is said in one sentence each, without a row's values."""
    for name in ("broken", "fine", "timeless"):
        connection.execute(f"CREATE TABLE {name} (id integer PRIMARY KEY, name text NOT NULL)")
    connection.execute(
        "CREATE TABLE timeless_errors (error_type text, record_data jsonb, created_at bigint)"
    )
    for name in ("broken", "fine", "timeless"):
        push(redis_client, f"batchdrain:{name}", insert(id=SECRET, name="n"))
        drain = DrainQueueOperator(task_id="drain", queue_key=f"batchdrain:{name}")
        assert drain.execute(drain_context())["refused"] == 1
    connection.execute("ALTER TABLE broken_errors ALTER dag_id TYPE integer USING 1")
    capsys.readouterr()
    summary = SummarizeErrorsOperator(task_id="summary").execute(drain_context())
    assert [len(groups) for groups in summary["refused"].values()] == [1]
    assert [entry["refused"] for entry in summary["totals"]] == [1, 1, 1]
    lines = capsys.readouterr().out.splitlines()
    broken, timeless = (line for line in lines if "can't be counted" in line)
    assert "broken can't be counted: invalid_text_representation" in broken
    assert '"public.timeless_errors" has no columns dag_id and run_id' in timeless
    assert SECRET not in broken + timeless


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, ["batchdrain:other", "batchdrain:things", "batchdrain:things:1"]),
        ({"tables": "*"}, ["batchdrain:other", "batchdrain:things", "batchdrain:things:1"]),
        ({"tables": "things"}, ["batchdrain:things"]),
        ({"tables": "things:2"}, ["batchdrain:things:1"]),
        ({"tables": "new"}, []),
        ({"prefix": "shop"}, ["shop:things"]),
        ({"prefix": "shop", "tables": "things"}, ["shop:things"]),
    ],
)
def test_only_the_own_queues_that_wait_for_an_operator_are_told(
    connection, capsys, arguments, told
):
    """Another DAG may drain other tables, or those of another prefix, into the same database."""
    create_state(connection)
    for queue in ("things", "things:1", "other"):
        hold(connection, f"batchdrain:{queue}", lambda: 0)
    hold(connection, "shop:things", lambda: 0)
    capsys.readouterr()
    summary = SummarizeErrorsOperator(task_id="summary", **arguments).execute(drain_context())
    assert summary["stopped"] == told
    lines = [line for line in capsys.readouterr().out.splitlines() if "is held" in line]
    assert len(lines) == len(told)
