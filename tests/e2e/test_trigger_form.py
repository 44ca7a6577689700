"""The trigger form of a real Airflow, over the REST API that the UI uses."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from redis import Redis

from batchdrain.demo import traffic
from batchdrain.demo.airflow_client import AirflowApiError
from batchdrain.demo.messages import all_messages
from fix_airflow import RunningAirflow
from traces import traces

Target = psycopg.Connection[Any]
DAG = "drain_tables"

WRONG: dict[str, tuple[Any, str]] = {
    "tables": (["planes_of_others"], "'planes_of_others' is not one of ["),
    "batch_size": (0, "0 is less than the minimum of 1"),
    "max_batch_size": ("many", "'many' is not of type 'null', 'integer'"),
    "max_records": (-5, "-5 is less than the minimum of 1"),
    "max_seconds": (100_000, "100000 is greater than the maximum of 86400"),
    "statement_style": ("copy", "'copy' is not one of [None, 'recordset', 'values']"),
    "max_refused_share": (1.5, "1.5 is greater than the maximum of 1"),
    "accept_rewound": ("yes", "'yes' is not of type 'boolean'"),
    "dry_run": ("true", "'true' is not of type 'boolean'"),
    "dry_run_limit": (0, "0 is less than the minimum of 1"),
}


def test_a_wrong_value_makes_no_run_and_is_refused_with_a_sentence(
    airflow: RunningAirflow, demo_tables: Target
) -> None:
    """Whoever calls the API is told the Param, the value and what would be right."""
    runs = len(airflow.client.runs(DAG))
    for name, (value, sentence) in WRONG.items():
        with pytest.raises(AirflowApiError) as refused:
            airflow.client.trigger(DAG, {name: value})
        assert refused.value.status == 400
        assert f"Invalid input for param {name}: {sentence}" in str(refused.value)
    assert len(airflow.client.runs(DAG)) == runs


def test_a_dry_run_tells_what_a_run_would_do_and_leaves_everything_as_it_was(
    airflow: RunningAirflow, demo_tables: Target
) -> None:
    """By real components, of two tables that were chosen; no asset event wakes other DAGs."""
    with Redis.from_url(airflow.redis_url) as redis:
        traffic.push(redis, all_messages())
        before = traces(airflow.target_url, redis)
        events = airflow.asset_events(source_dag_id=DAG)["total_entries"]
        chosen = {"dry_run": True, "tables": ["airports", "flights"], "dry_run_limit": 200}
        run_id = airflow.client.trigger(DAG, chosen)
        assert airflow.client.wait_for_run(DAG, run_id, 90)["state"] == "success"
        assert traces(airflow.target_url, redis) == before
    assert airflow.asset_events(source_dag_id=DAG)["total_entries"] == events
    log = airflow.client.task_log(DAG, run_id, "drain", 0)
    assert "dry run: nothing is changed; batchdrain:airports at redis_default" in log
    assert "of 200 records 200 would be applied and 0 refused, from the oldest" in log
    log = airflow.client.task_log(DAG, run_id, "summarize_errors")
    assert "dry run: of 2 queues" in log
    assert "this run:" not in log
