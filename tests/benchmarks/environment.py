"""Where a run took place: versions and machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psycopg
import redis

from benchmarks.competitors import Servers

_PACKAGES = (
    "batchdrain",
    "apache-airflow",
    "apache-airflow-providers-postgres",
    "asyncpg",
    "msgspec",
    "psycopg",
    "psycopg2-binary",
    "redis",
)
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


def environment(connection: psycopg.Connection[Any], servers: Servers) -> Mapping[str, str | int]:
    """Return what the figures depend on, by name."""
    with redis.Redis.from_url(servers.redis) as client:
        valkey: Any = client.info("server")
        fsync: Any = client.config_get("appendfsync")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "postgresql": _setting(connection, "server_version"),
        **{name: _setting(connection, name) for name in _SETTINGS},
        "valkey": str(valkey.get("valkey_version") or valkey["redis_version"]),
        "appendfsync": str(fsync["appendfsync"]),
        **{name: version(name) for name in _PACKAGES},
    }


def _setting(connection: psycopg.Connection[Any], name: str) -> str:
    (value,) = connection.execute(b"SELECT current_setting(%s)", (name,)).fetchone() or ("",)
    return str(value)
