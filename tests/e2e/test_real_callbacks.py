"""What Airflow's real components call outside of tasks: a run's deadline, and its failure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from redis import Redis

from fix_airflow import RunningAirflow
from fix_airflow_home import REPOSITORY
from webhook_server import SECRET, chat, webhook

EXAMPLES = REPOSITORY / "provider" / "batchdrain" / "example_dags"
Target = psycopg.Connection[Any]


@pytest.fixture
def posted(airflow: RunningAirflow) -> Iterator[list[tuple[str, Any]]]:
    """What is posted to the chat that the Airflow connection `chat` leads to."""
    with webhook() as (port, texts):
        connection = {"connection_id": "chat", **json.loads(chat(port))}
        airflow.client.request("POST", "/connections", connection)
        try:
            yield texts
        finally:
            airflow.client.request("DELETE", "/connections/chat")


def push(airflow: RunningAirflow) -> None:
    """Append a message for the airlines."""
    record = {"carrier": "AA", "name": "American"}
    message = {"operation": "INSERT", "client_id": "IATA", "ver": "1", "record": record}
    with Redis.from_url(airflow.redis_url) as redis:
        redis.xadd("batchdrain:airlines", {"data": json.dumps(message)})


def told_of(run_id: str, posted: list[tuple[str, Any]], seconds: float = 120) -> tuple[str, str]:
    """Return the path and the text of what is posted of a run."""
    deadline = time.monotonic() + seconds
    while not (found := [(path, body["text"]) for path, body in posted if run_id in body["text"]]):
        assert time.monotonic() < deadline, f"nothing was posted of {run_id}: {posted}"
        time.sleep(0.1)
    assert len(found) == 1
    return found[0]


def logs(airflow: RunningAirflow) -> str:
    """Return all that the components and the tasks have logged."""
    files = [file for file in airflow.server.home.rglob("*.log") if file.is_file()]
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def test_a_run_that_is_late_is_told_while_it_still_runs(
    airflow: RunningAirflow, demo_tables: Target, posted: list[tuple[str, Any]]
) -> None:
    """The example's deadline after one second: a lock keeps its drain, and the chat hears of it."""
    example = (EXAMPLES / "example_deadline.py").read_text(encoding="utf-8")
    in_a_second = example.replace("timedelta(minutes=10)", "timedelta(seconds=1)")
    assert in_a_second != example
    airflow.add_dag("example_deadline", in_a_second)
    push(airflow)
    with psycopg.connect(airflow.target_url) as other:
        other.execute("LOCK TABLE airlines IN ACCESS EXCLUSIVE MODE")
        run_id = airflow.client.trigger("example_deadline")
        path, text = told_of(run_id, posted)
    assert path == f"/{SECRET}"
    assert text.startswith(f"example_deadline, run {run_id}: still running at 20")
    assert airflow.client.wait_for_run("example_deadline", run_id, 90)["state"] == "success"
    versions = airflow.client.request("GET", "/dags/example_deadline/dagVersions")
    assert versions["total_entries"] == 1, "parsing it again must change nothing"
    assert SECRET not in logs(airflow)


def test_a_run_that_fails_is_told(
    airflow: RunningAirflow, demo_tables: Target, posted: list[tuple[str, Any]]
) -> None:
    """Airflow's DAG processor calls the notifier of the example."""
    example = (EXAMPLES / "example_alerts.py").read_text(encoding="utf-8")
    airflow.add_dag("example_alerts", example)
    demo_tables.execute("DROP TABLE airlines CASCADE")
    push(airflow)
    run_id = airflow.client.trigger("example_alerts")
    assert airflow.client.wait_for_run("example_alerts", run_id, 90)["state"] == "failed"
    assert told_of(run_id, posted) == (f"/{SECRET}", f"example_alerts, run {run_id} failed.")
    assert SECRET not in logs(airflow)
