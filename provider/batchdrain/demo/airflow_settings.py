"""The configuration of the demo's Airflow, as environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from batchdrain.demo.embedded import HOST, free_port

PARALLELISM = 4
"""Tasks at a time: LocalExecutor forks that many workers when it starts."""
IDLE_SECONDS = 0.5
"""How long the scheduler sleeps when it finds nothing to do: each step of a run costs about that,
and less costs a third of a core that the drains could use."""
PARSE_SECONDS = 120
"""How often the DAG files are read again."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
"""What Airflow sees of our environment: no AIRFLOW__*, PG* or proxies."""


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """What an installation works on.

    `metadata_url` is Airflow's own database, `postgres_url` the target database, `redis_url` the
    server with the queues. `options` are more options by section and name, such as
    `{"batchdrain": {"tables": "flights"}}`; `variables` more environment variables.
    """

    metadata_url: str
    postgres_url: str
    redis_url: str
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Secrets:
    """The secrets of an installation."""

    password: str
    jwt: str
    fernet: str
    session: str


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports that the components listen on."""

    api: int
    worker_log: int
    trigger_log: int

    @classmethod
    def free(cls, api: int | None = None) -> Ports:
        """Return ports that nobody listens on, the API's as given."""
        ports: list[int] = [] if api is None else [api]
        while len(ports) < 3:
            port = free_port()
            if port not in ports:
                ports.append(port)
        return cls(*ports)

    @property
    def url(self) -> str:
        """URL of UI and API."""
        return f"http://{HOST}:{self.api}"


def environment(
    settings: AirflowSettings, home: Path, ports: Ports, known: Secrets
) -> dict[str, str]:
    """Return the whole environment of an installation in the folder `home`."""
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": home / "dags",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": PARALLELISM,
            "execution_api_server_url": f"{ports.url}/execution/",
            "simple_auth_manager_users": "admin:admin",
            "simple_auth_manager_passwords_file": home / "passwords.json",
            "fernet_key": known.fernet,
        },
        "database": {"sql_alchemy_conn": _sqlalchemy(settings.metadata_url)},
        "api": {
            "host": HOST,
            "port": ports.api,
            "base_url": ports.url,
            "workers": 1,
            "secret_key": known.session,
        },
        "api_auth": {"jwt_secret": known.jwt},
        "scheduler": {"scheduler_idle_sleep_time": IDLE_SECONDS},
        "dag_processor": {"parsing_processes": 1, "min_file_process_interval": PARSE_SECONDS},
        "logging": {
            "base_log_folder": home / "logs",
            "worker_log_server_port": ports.worker_log,
            "trigger_log_server_port": ports.trigger_log,
            "colored_console_log": False,
        },
    }
    for section, values in settings.options.items():
        options[section] = {**options.get(section, {}), **values}
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "NO_PROXY": "*",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_POSTGRES_DEFAULT": _connection("postgres", settings.postgres_url),
        "AIRFLOW_CONN_REDIS_DEFAULT": _connection("redis", settings.redis_url),
        **{
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, values in options.items()
            for name, value in values.items()
        },
        **settings.variables,
    }


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _connection(kind: str, url: str) -> str:
    """Return a connection as Airflow reads it from the environment, from a server's URL."""
    parts = urlsplit(url)
    database = parts.path.lstrip("/")
    connection: dict[str, object] = {
        "conn_type": kind,
        "host": parts.hostname,
        "port": parts.port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "extra": dict(parse_qsl(parts.query)),
    }
    if kind == "redis":
        connection["extra"] = {"db": int(database or 0)}
    else:
        connection["schema"] = unquote(database)
    return json.dumps({name: value for name, value in connection.items() if value})
