"""What OpenLineage is told of tasks, through its own extraction, against real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.redrive_errors import RedriveErrorsOperator
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, push
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:things"
SECRET = "4711-not-for-lineage"


@pytest.fixture(autouse=True)
def things(connection: psycopg.Connection[Any], redis_client) -> None:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
    push(redis_client, KEY, *(insert(id=n, name=SECRET) for n in range(3)), insert(id=9, name=None))


def told(operator: Any, state: TaskInstanceState = TaskInstanceState.SUCCESS) -> Any:
    """Return what OpenLineage's listener would send of a task, as plain JSON."""
    run = SimpleNamespace(run_id="run")
    found = ExtractorManager().extract_metadata(run, operator, state, None)
    return {
        "inputs": [json.loads(Serde.to_json(dataset)) for dataset in found.inputs],
        "outputs": [json.loads(Serde.to_json(dataset)) for dataset in found.outputs],
    }


def counted(dataset: Any) -> int:
    facets = dataset.get("outputFacets") or dataset["inputFacets"]
    (statistics,) = facets.values()
    rows: int = statistics["rowCount"]
    return rows


def test_a_drain_goes_from_its_queue_to_its_table_and_its_error_table(connection, redis_url):
    operator = DrainQueueOperator(task_id="drain", queue_key=KEY)
    operator.execute(drain_context())
    lineage = told(operator)
    (queue,), (table, errors) = lineage["inputs"], lineage["outputs"]
    redis = urlsplit(redis_url)
    assert queue["namespace"] == f"redis://{redis.hostname}:{redis.port}"
    assert queue["name"] == f"{redis.path.strip('/') or 0}/{KEY}"
    info = connection.info
    assert table["namespace"] == errors["namespace"] == f"postgres://{info.host}:{info.port}"
    assert table["name"] == f"{info.dbname}.public.things"
    assert errors["name"] == f"{info.dbname}.public.things_errors"
    assert [counted(each) for each in (queue, table, errors)] == [4, 3, 1]
    fields = table["facets"]["schema"]["fields"]
    assert [(field["name"], field["type"]) for field in fields] == [
        ("id", "integer"),
        ("name", "text"),
    ]
    assert SECRET not in json.dumps(lineage)


def test_without_refused_records_the_table_is_the_only_output(redis_client):
    redis_client.delete(KEY)
    push(redis_client, KEY, insert(id=5, name="n"))
    operator = DrainQueueOperator(task_id="drain", queue_key=KEY)
    operator.execute(drain_context())
    (table,) = told(operator)["outputs"]
    assert counted(table) == 1


def test_a_drain_that_fails_tells_what_this_try_has_committed(redis_client):
    """The brake stops it at its second batch."""
    push(redis_client, KEY, *(insert(id=n, name=None) for n in range(100, 140)))
    operator = DrainQueueOperator(task_id="drain", queue_key=KEY, batch_size=4, brake_after=8)
    with pytest.raises(AirflowFailException):
        operator.execute(drain_context())
    table, errors = told(operator, TaskInstanceState.FAILED)["outputs"]
    assert (counted(table), counted(errors)) == (3, 1)


def test_a_drain_that_knows_no_table_has_no_lineage():
    operator = DrainQueueOperator(task_id="drain", queue_key="batchdrain:nothing")
    with pytest.raises(AirflowException):
        operator.execute(drain_context())
    assert told(operator, TaskInstanceState.FAILED) == {"inputs": [], "outputs": []}


def test_a_replay_goes_from_the_error_table_to_the_table():
    DrainQueueOperator(task_id="drain", queue_key=KEY).execute(drain_context())
    operator = RedriveErrorsOperator(task_id="redrive", tables="things")
    mended = {"action": "redrive", "table": "things", "set_columns": {"name": "n"}}
    operator.execute(drain_context(**mended))
    lineage = told(operator)
    (errors,), (table,) = lineage["inputs"], lineage["outputs"]
    assert errors["name"].endswith(".public.things_errors")
    assert table["name"].endswith(".public.things")
    assert counted(table) == 1


# Airflow itself reads the descriptions of all providers that are installed, so it comes first.
_WITHOUT = """
import sys
import airflow.sdk

before = set(sys.modules)

extra = ("openlineage", "airflow.providers.openlineage")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(extra):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv[1])
import importlib, pkgutil
import batchdrain
for module in pkgutil.walk_packages(batchdrain.__path__, "batchdrain."):
    if ".demo" not in module.name:
        importlib.import_module(module.name)
from batchdrain.dags.factory import build_drain_dag
from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_task_context import drain_context
build_drain_dag("airflow", tables="things")
counts = DrainQueueOperator(task_id="t", queue_key="batchdrain:things").execute(drain_context())
loaded = [name for name in set(sys.modules) - before if name.startswith(extra)]
print("applied:", counts["applied"], "loaded:", loaded)
"""


def test_without_the_extra_everything_works_and_nothing_of_it_is_imported():
    tests = str(REPOSITORY / "tests")
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, tests],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "applied: 3" in done.stdout, done.stderr
    assert "loaded: []" in done.stdout
