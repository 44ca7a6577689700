"""The summary of a run's refused records, whatever error tables it meets."""

from __future__ import annotations

import pytest

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
