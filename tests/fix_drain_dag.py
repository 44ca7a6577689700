"""What tests of whole DAG runs need: a DAG for `dag.test()`, messages, and states."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from fix_airflow_home import TEST_DAGS

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

_DAG_FILE = '''"""A drain DAG of the tests' own, made by the factory of the Airflow provider."""

from batchdrain.dags.factory import build_drain_dag

dag = build_drain_dag("drain_test", schedule=None, parent_wait=0.5, retries=1)
'''


def parsed(file: Path, dag_id: str) -> DAG:
    """Parse a DAG file as Airflow does, and return one of its DAGs."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(file, bundle_name="tests")
    assert not bag.import_errors
    return bag.dags[dag_id]


def push(client: redis.Redis, key: str, *messages: dict[str, Any]) -> None:
    """Append messages to a stream."""
    for message in messages:
        client.xadd(key, {"data": json.dumps(message)})


def insert(**record: Any) -> dict[str, Any]:
    """Return a message that inserts one record."""
    return {"operation": "INSERT", "record": record}


def states(run: DagRun) -> dict[str, str]:
    """Return the states of a run's tasks, by id and map index."""
    return {
        ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": str(ti.state)
        for ti in run.get_task_instances()
    }


@pytest.fixture
def drain_run(airflow_connections: None) -> Callable[..., DagRun]:
    """Run the tests' drain DAG to its end, with the Params given."""
    file = TEST_DAGS / "drain_test.py"
    file.write_text(_DAG_FILE)

    def run(**params: Any) -> DagRun:
        finished: DagRun = parsed(file, "drain_test").test(run_conf=params)
        return finished

    return run
