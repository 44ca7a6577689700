"""Connections as Airflow's UI shows and tests them, over the REST API of a real Airflow."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from batchdrain.demo.valkey_server import ValkeyServer
from fix_airflow import RunningAirflow
from fix_sentinel import MASTER, SENTINEL_PASSWORD, SERVER_PASSWORD, Replicated

SECRET = "not-to-be-shown"


def pressed(airflow: RunningAirflow, **connection: Any) -> tuple[bool, str]:
    """Press the Test button; returns its light and its sentence."""
    extra = json.dumps(connection.pop("extra", {}))
    body = {"connection_id": "tested", "extra": extra, **connection}
    answer = airflow.client.request("POST", "/connections/test", body)
    return answer["status"], answer["message"]


def test_the_test_button_tells_whether_the_servers_answer(
    airflow: RunningAirflow, own_valkey: ValkeyServer
) -> None:
    """A wrong port and a wrong password each get a sentence, in which no password stands."""
    url = urlsplit(airflow.target_url)
    postgres = {
        "conn_type": "batchdrain_postgres",
        "host": url.hostname,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.path.lstrip("/"),
    }
    works, told = pressed(airflow, **postgres)
    assert (works, told) == (True, f"{url.hostname}:{url.port}{url.path} answers.")
    works, told = pressed(airflow, **{**postgres, "port": 1, "password": SECRET})
    assert not works
    assert "can't be reached" in told
    assert SECRET not in told

    redis = {"conn_type": "batchdrain_redis", "host": own_valkey.host, "port": own_valkey.port}
    assert pressed(airflow, **redis) == (True, f"{own_valkey.host}:{own_valkey.port} answers.")
    works, told = pressed(airflow, **redis, login="nobody", password=SECRET)
    assert not works
    assert "refuses the login" in told
    assert SECRET not in told
    works, told = pressed(airflow, **redis, extra={"socket_timeout": "soon"})
    assert "extra field socket_timeout" in told


@pytest.mark.parametrize("password", [SENTINEL_PASSWORD, SECRET])
def test_the_test_button_asks_the_sentinels(
    airflow: RunningAirflow, replicated_valkey: Replicated, password: str
) -> None:
    works, told = pressed(
        airflow,
        conn_type="batchdrain_redis",
        password=SERVER_PASSWORD,
        extra={
            "sentinel_master": MASTER,
            "sentinels": replicated_valkey.node,
            "sentinel_password": password,
            "db": 0,
            "ssl": False,
            "sentinel_ssl": False,
        },
    )
    assert works is (password == SENTINEL_PASSWORD)
    expected = "refuses the login" if password == SECRET else f"master {MASTER} of the sentinels"
    assert expected in told
    assert SECRET not in told
