"""The demo's whole installation: PostgreSQL, Valkey, the tables, and Airflow."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from batchdrain.demo.airflow_server import AirflowServer
from batchdrain.demo.airflow_settings import AirflowSettings
from batchdrain.demo.dataset import TABLES
from batchdrain.demo.servers import PostgresServer, ValkeyServer

DAG_ID = "drain_tables"
BY_HAND = ("control_queues", "redrive_errors", "preflight_dag")
"""The files, beside the drain's, of the DAGs that are only triggered by hand."""

TARGET = "demo"
METADATA = "airflow"
"""The databases of the demo's tables and of Airflow itself."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The servers, all running but Airflow, which is there to be started.

    `fresh` tells whether the tables were made just now.
    """

    postgres: PostgresServer
    valkey: ValkeyServer
    airflow: AirflowServer
    fresh: bool

    @property
    def target_url(self) -> str:
        """URL of the database with the demo's tables."""
        return self.postgres.url_of(TARGET)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection to that database that commits each statement."""
        return psycopg.connect(self.target_url, autocommit=True, options="-c timezone=UTC")


@contextmanager
def installation(
    *, keep: Path | None = None, port: int | None = None, every: int | None = None
) -> Iterator[Installation]:
    """Start PostgreSQL and Valkey, make the tables when missing, and stop everything in the end.

    `keep` is a folder in which all data outlives the installation; without it nothing remains.
    `port` is the port of Airflow's UI. `every` is the schedule's cadence in seconds, peak or not,
    instead of the configuration's defaults.
    """
    data = None if keep is None else keep / "servers"
    with PostgresServer(keep=data) as postgres, ValkeyServer(keep=data) as valkey:
        for database in (METADATA, TARGET):
            _create_database(postgres.url, database)
        target = postgres.url_of(TARGET)
        fresh = _create_tables(target)
        cadence = {} if every is None else {"cadence": every, "peak_window": "none"}
        settings = AirflowSettings(
            metadata_url=postgres.url_of(METADATA),
            postgres_url=target,
            redis_url=valkey.url,
            options={"batchdrain": {"tables": ", ".join(TABLES), **cadence}},
        )
        with ExitStack() as stack:
            shipped = importlib.resources.files("batchdrain.dags")
            files = [
                stack.enter_context(importlib.resources.as_file(shipped / f"{name}.py"))
                for name in (DAG_ID, *BY_HAND)
            ]
            airflow = AirflowServer(
                settings,
                {file.name: file for file in files},
                keep=None if keep is None else keep / "airflow",
                port=port,
            )
            try:
                yield Installation(postgres, valkey, airflow, fresh)
            finally:
                airflow.close()


def _create_database(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _create_tables(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('flights') IS NOT NULL").fetchone()
        if found == (True,):
            return False
        schema = importlib.resources.files("batchdrain.demo") / "schema.sql"
        connection.execute(schema.read_bytes())
        return True
