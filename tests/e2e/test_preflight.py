"""The look at everything, in a real Airflow: as a task, and on the command line beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from fix_airflow import RunningAirflow

DAG = """
from batchdrain.dags.preflight import build_preflight_dag

dag = build_preflight_dag("preflight", pool="drains")  # an Airflow DAG
"""


@pytest.mark.usefixtures("demo_tables")
def test_a_task_tells_what_it_can_not_see_and_the_command_sees_it(airflow: RunningAirflow) -> None:
    """Pools, and a connection that was made in the UI, are in Airflow's metadata database alone."""
    airflow.add_dag("preflight", DAG)
    run_id = airflow.client.trigger("preflight")
    assert airflow.client.wait_for_run("preflight", run_id, 120)["state"] == "success"
    log = airflow.client.task_log("preflight", run_id, "look")
    assert "whether drains exists can't be seen from here" in log
    assert "table flights" in log
    assert "drains can run" in log

    arguments = ("--pool", "drains", "--postgres-conn-id", "made_in_ui")
    code, findings = preflight(airflow, *arguments)
    assert code == 1
    assert {each["subject"] for each in findings if each["level"] == "error"} == {
        "pool",
        "PostgreSQL",
    }
    url = urlsplit(airflow.target_url)
    connection = {
        "connection_id": "made_in_ui",
        "conn_type": "postgres",
        "host": url.hostname,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.path.lstrip("/"),
    }
    airflow.client.request("POST", "/pools", {"name": "drains", "slots": 2})
    airflow.client.request("POST", "/connections", connection)
    code, findings = preflight(airflow, *arguments)
    told = {each["subject"]: each["what"] for each in findings}
    assert code == 0
    assert told["pool"] == "drains has 2 slots for 3 queues, which take turns"
    assert "table flights" in told


def preflight(airflow: RunningAirflow, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    """Run the command in the installation's environment; return its exit code and findings."""
    done = subprocess.run(
        [sys.executable, "-m", "batchdrain", "preflight", "--json", *arguments],
        env=dict(airflow.server.environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)
