"""The environment of the demo's Airflow: complete, and shut off from the machine's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchdrain.demo.airflow_settings import AirflowSettings, Ports, Secrets, environment

KNOWN = Secrets(password="p", jwt="j", fernet="f", session="s")
PORTS = Ports(api=1, worker_log=2, trigger_log=3)
SETTINGS = AirflowSettings(
    metadata_url="postgresql://me:p%40ss@127.0.0.1:5/airflow",
    postgres_url="postgresql://me:p%40ss@127.0.0.1:5/demo?sslmode=disable",
    redis_url="redis://127.0.0.1:6/7",
    options={"core": {"parallelism": 9}, "batchdrain": {"tables": "flights"}},
    variables={"EXTRA": "1"},
)


def made() -> dict[str, str]:
    return environment(SETTINGS, Path("/home"), PORTS, KNOWN)


def test_nothing_of_the_machines_airflow_postgres_or_proxy_gets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AIRFLOW__CORE__EXECUTOR", "PGHOST", "http_proxy", "PYTHONPATH", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "elsewhere")

    assert "elsewhere" not in made().values()


def test_connections_carry_every_part_of_the_urls() -> None:
    variables = made()

    assert json.loads(variables["AIRFLOW_CONN_POSTGRES_DEFAULT"]) == {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": 5,
        "login": "me",
        "password": "p@ss",
        "schema": "demo",
        "extra": {"sslmode": "disable"},
    }
    assert json.loads(variables["AIRFLOW_CONN_REDIS_DEFAULT"]) == {
        "conn_type": "redis",
        "host": "127.0.0.1",
        "port": 6,
        "extra": {"db": 7},
    }


def test_own_options_join_ours_and_win() -> None:
    variables = made()

    assert variables["AIRFLOW__CORE__PARALLELISM"] == "9"
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert variables["AIRFLOW__BATCHDRAIN__TABLES"] == "flights"
    assert variables["EXTRA"] == "1"


def test_every_server_of_airflow_has_a_port_of_its_own() -> None:
    ports = Ports.free(8080)

    assert ports.api == 8080
    assert len({ports.api, ports.worker_log, ports.trigger_log}) == 3
