"""What all tests share: the servers, and an environment that leads to no other server."""

from __future__ import annotations

import os

import hypothesis

pytest_plugins = [
    "fix_airflow_home",
    "fix_drain_dag",
    "fix_postgres",
    "fix_valkey",
    "fix_sentinel",
    "fix_airflow",
    "fix_engine",
    "fix_node",
    "fix_measured",
]

# A forgotten argument must fail, not reach a server that happens to be on the machine.
for name in [name for name in os.environ if name.startswith(("PG", "AIRFLOW_CONN_"))]:
    del os.environ[name]
os.environ["PGHOST"] = "host-not-given.invalid"

# How long it takes to think of an example says how busy the machine is, not what is wrong.
hypothesis.settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_machine")
