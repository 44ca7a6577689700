"""Airflow for tests: a home directory of the session's own, with an SQLite metadata database.

The environment is set when pytest loads this file, before any test module imports Airflow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
HOME = Path(tempfile.mkdtemp(prefix="batchdrain_airflow_"))
TEST_DAGS = HOME / "dags"
TEST_DAGS.mkdir()

_BUNDLES = {
    "shipped": REPOSITORY / "dags",
    "examples": REPOSITORY / "provider" / "batchdrain" / "example_dags",
    "tests": TEST_DAGS,
}

for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(TEST_DAGS),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [
                {
                    "name": name,
                    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                    "kwargs": {"path": str(path)},
                }
                for name, path in _BUNDLES.items()
            ]
        ),
    }
)


def pytest_unconfigure() -> None:
    """Remove the session's Airflow home."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Airflow's home directory, its metadata database ready for `dag.test()`."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return HOME


@pytest.fixture
def airflow_connections(
    airflow_home: Path, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default connections of Airflow lead to the test's own databases."""
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", database)
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", redis_url)
