"""A real Airflow for tests: its four components, started once, with a drain DAG.

It works on a target database and a Redis database of its own, on the servers of the other tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from redis import Redis

import batchdrain
from batchdrain.demo.airflow_client import AirflowApiError, AirflowClient
from batchdrain.demo.airflow_server import AirflowServer
from batchdrain.demo.airflow_settings import AirflowSettings
from batchdrain.demo.dataset import TABLES
from fix_postgres import fresh_database
from fix_valkey import empty_database

DAG = """
from batchdrain.dags.factory import build_drain_dag

dag = build_drain_dag("drain_tables", schedule=None)  # an Airflow DAG that tests alone start
"""
SCHEMA = Path(batchdrain.__path__[0]) / "demo" / "schema.sql"
VIEWER = "viewer"
"""A user who may look at everything and change nothing; Airflow makes the password."""
OPTIONS: dict[str, dict[str, object]] = {
    "batchdrain": {"tables": ", ".join(TABLES)},
    "dag_processor": {"refresh_interval": 2, "min_file_process_interval": 2},
    "core": {
        "dags_are_paused_at_creation": False,
        "simple_auth_manager_users": f"admin:admin,{VIEWER}:viewer",
        "test_connection": "Enabled",
    },
}


@dataclass(frozen=True, slots=True)
class RunningAirflow:
    """Airflow, and the databases that its default connections lead to."""

    server: AirflowServer
    target_url: str
    redis_url: str

    @property
    def client(self) -> AirflowClient:
        """The REST API."""
        return self.server.client

    def viewer(self) -> AirflowClient:
        """Return the REST API as VIEWER."""
        passwords = json.loads((self.server.home / "passwords.json").read_text(encoding="utf-8"))
        return AirflowClient(self.server.url, VIEWER, passwords[VIEWER])

    def asset_events(self, **query: str) -> Any:
        """Return what the REST API answers on asset events.

        Airflow 3.3 answers 500 while a run that one of them has created hasn't started yet: its
        answer needs a start_date. A scheduler starts a run within seconds.
        """
        path = f"/assets/events?{urlencode({'limit': '100', **query})}"
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.client.request("GET", path)
            except AirflowApiError as error:
                if error.status != 500 or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def add_dag(self, dag_id: str, text: str) -> None:
        """Serve one more DAG file, and return when its DAG can be run."""
        (self.server.home / "dags" / f"{dag_id}.py").write_text(text, encoding="utf-8")
        self.server.wait_for_dag(dag_id)

    def command(self, *arguments: str) -> str:
        """Run an `airflow` command of the same installation and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=dict(self.server.environment),
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the machine for themselves: Airflow takes all of it."""
    for item in items:
        if "airflow" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def airflow(postgres_url: str, valkey_url: str) -> Iterator[RunningAirflow]:
    """The session's Airflow; the DAG `drain_tables` drains the demo's tables, on demand only."""
    redis_url = empty_database(valkey_url)
    with fresh_database(postgres_url) as metadata, fresh_database(postgres_url) as target:
        settings = AirflowSettings(metadata, target, redis_url, options=OPTIONS)
        with AirflowServer(settings, {}) as server:
            running = RunningAirflow(server, target, redis_url)
            running.add_dag("drain_tables", DAG)
            yield running


@pytest.fixture
def demo_tables(airflow: RunningAirflow) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the target database, with the demo's tables empty and nothing drained yet."""
    with (
        psycopg.connect(airflow.target_url, autocommit=True) as connection,
        Redis.from_url(airflow.redis_url) as redis,
    ):
        redis.flushdb()
        connection.execute("DROP SCHEMA IF EXISTS batchdrain CASCADE")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(SCHEMA.read_bytes())
        connection.execute("SET timezone = 'UTC'")
        yield connection
        redis.flushdb()
