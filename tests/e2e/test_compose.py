"""docker-compose.yaml, with every service's own command, health check and secrets, but no Docker.

The tests use one composition, one after the other: it is started, used, started again, stopped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from batchdrain.demo import traffic
from batchdrain.demo.airflow_client import AirflowApiError, AirflowClient
from batchdrain.demo.expectation import expected_tables, reconcile
from compose_file import EXAMPLE, REPOSITORY, read_environment, seconds
from composed import Composition, composition

pytestmark = pytest.mark.timeout(600)
"""The first test's time includes the start of all services."""

DAG = "drain_tables"
SECRET = re.compile(r".*_(PASSWORD|KEY|SECRET)")


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The .env that a fresh clone gets from `make secrets`, with a table more and rare runs."""
    clone = tmp_path_factory.mktemp("clone")
    shutil.copy(EXAMPLE, clone)
    shutil.copytree(REPOSITORY / "deploy", clone / "deploy")
    subprocess.run(["sh", "deploy/make_secrets.sh"], cwd=clone, check=True, capture_output=True)
    made = read_environment(clone / ".env")
    tables = made["BATCHDRAIN_TABLES"] + ",orders"
    rare = {"BATCHDRAIN_CADENCE": "3600", "BATCHDRAIN_PEAK_WINDOW": "none"}
    return {**made, **rare, "BATCHDRAIN_TABLES": tables}


@pytest.fixture(scope="module")
def composed(
    variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """All services, started and healthy."""
    with composition(tmp_path_factory.mktemp("composed"), variables) as all_services:
        all_services.up()
        yield all_services


@pytest.fixture(scope="module")
def api(composed: Composition) -> AirflowClient:
    """The REST API, as the user of .env."""
    port = composed.network.port("airflow-api-server", 8080)
    password = composed.variables["AIRFLOW_ADMIN_PASSWORD"]
    return AirflowClient(f"http://127.0.0.1:{port}", "admin", password)


@pytest.fixture
def target(composed: Composition) -> Iterator[psycopg.Connection[Any]]:
    """The target database, as its superuser."""
    with psycopg.connect(composed.postgres("target-db").url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


@pytest.fixture
def queues(composed: Composition) -> Iterator[redis.Redis]:
    """The queues, as a producer reaches them."""
    port = composed.network.port("queues", 6379)
    with redis.Redis(port=port, password=composed.variables["QUEUES_PASSWORD"]) as client:
        yield client


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def test_the_demo_and_a_table_that_the_superuser_made_are_drained(
    composed: Composition, api: AirflowClient, target: psycopg.Connection, queues: redis.Redis
) -> None:
    """XADD, a run that is triggered, rows; by no superuser, and while the queues are full."""
    composed.airflow("demo").run_to_the_end()
    target.execute("CREATE TABLE orders (id integer PRIMARY KEY, amount numeric)")
    message = '{"operation": "INSERT", "record": {"id": 1, "amount": 12.5}}'
    queues.xadd("batchdrain:orders", {"data": message})
    assert not api.import_errors()
    room = queues.config_get("maxmemory")["maxmemory"]
    queues.config_set("maxmemory", 1)
    with pytest.raises(redis.OutOfMemoryError):
        queues.xadd("batchdrain:orders", {"data": message})
    api.pause(DAG, paused=False)
    run = api.wait_for_run(DAG, api.trigger(DAG), 180)
    assert run["state"] == "success"
    wait_for(lambda: traffic.left(queues) == 0)
    api.pause(DAG, paused=True)
    queues.config_set("maxmemory", room)
    assert target.execute("SELECT id, amount FROM orders").fetchall() == [(1, 12.5)]
    assert reconcile(target, expected_tables()) == []
    role = target.execute(
        "SELECT rolsuper, nspowner = r.oid FROM pg_roles AS r, pg_namespace "
        "WHERE rolname = 'batchdrain' AND nspname = 'batchdrain'"
    )
    assert role.fetchone() == (False, True)


def test_the_queues_lose_nothing(queues: redis.Redis) -> None:
    """What docs/promises.md asks of Redis, told by the server itself."""
    settings = queues.config_get("appendonly", "appendfsync", "maxmemory-policy", "maxmemory")
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(1024**3),
    }


@pytest.mark.parametrize("wrong", ["", "airflow", "postgres"])
def test_nobody_gets_in_without_the_secrets(
    composed: Composition, api: AirflowClient, wrong: str
) -> None:
    """Neither without a password nor with a usual one, over the network."""
    port = composed.network.port("queues", 6379)
    client = redis.Redis(port=port, password=wrong, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    for name in ("metadata-db", "target-db"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(composed.postgres(name).url, password=wrong).close()
    with pytest.raises(AirflowApiError) as refused:
        AirflowClient(api.url, "admin", wrong).request("GET", "/dags")
    assert refused.value.status in (400, 401)


def test_no_secret_shows(composed: Composition) -> None:
    """Not in a container's environment or command, which `docker inspect` shows, nor in a log."""
    shown = [str(spec) for spec in composed.specs.values()]
    shown += [str(container.environment) for container in composed.containers.values()]
    logs = [log.read_text() for log in (composed.folder / "volumes/airflow-logs").rglob("*.log")]
    assert logs
    text = "\n".join([*shown, *logs, composed.output()])
    assert "orders" in text
    for name, value in composed.variables.items():
        assert not SECRET.fullmatch(name) or value not in text, name


def test_starting_again_changes_nothing_that_a_user_changed(
    composed: Composition, api: AirflowClient, variables: dict[str, str]
) -> None:
    """`docker compose up` prepares Airflow each time; what is there stays as it is."""
    found = {c["connection_id"]: c for c in api.request("GET", "/connections")["connections"]}
    host = {name: (c["host"], c["login"], c["schema"]) for name, c in found.items()}
    assert host["postgres_default"] == ("127.0.0.1", "batchdrain", "target")
    assert host["redis_default"] == ("127.0.0.1", None, None)
    changed = {**found["redis_default"], "description": "ours"}
    api.request("PATCH", "/connections/redis_default?update_mask=description", changed)
    composed.airflow("airflow-init").run_to_the_end()
    assert api.request("GET", "/connections/redis_default")["description"] == "ours"
    AirflowClient(api.url, "admin", variables["AIRFLOW_ADMIN_PASSWORD"]).request("GET", "/dags")


def drains(api: AirflowClient) -> dict[tuple[str, int], str]:
    """Return the state of each task that drains a queue, by run and map index."""
    tasks = [task for run in api.runs(DAG) for task in api.task_instances(DAG, run["dag_run_id"])]
    return {
        (task["dag_run_id"], task["map_index"]): task["state"]
        for task in tasks
        if task["task_id"] == "drain"
    }


def test_a_stop_lets_a_drain_end_and_loses_nothing(
    composed: Composition, api: AirflowClient, target: psycopg.Connection, queues: redis.Redis
) -> None:
    """SIGTERM to the scheduler's container in mid-drain: the task is up for a retry, not lost."""
    with psycopg.connect(composed.postgres("target-db").url) as other:
        other.execute("LOCK TABLE orders")
        for number in range(2, 5):
            message = f'{{"operation": "INSERT", "record": {{"id": {number}, "amount": 1}}}}'
            queues.xadd("batchdrain:orders", {"data": message})
        api.pause(DAG, paused=False)
        api.trigger(DAG)
        waiting = (
            "SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND usename = 'batchdrain'"
        )
        wait_for(lambda: target.execute(waiting).fetchone() == (True,))
        running = [task for task, state in drains(api).items() if state == "running"]
        composed.containers["airflow-scheduler"].stop()
    states = drains(api)
    ended = {states[task] for task in running}
    assert "up_for_retry" in ended
    assert "running" not in ended
    assert queues.xlen("batchdrain:orders") == 3
    assert target.execute("SELECT count(*) FROM orders").fetchone() == (1,)


def test_all_stop_in_time_and_then_no_health_check_succeeds(composed: Composition) -> None:
    """Each ends by itself within its `stop_grace_period`; a check that can't fail tells nothing.

    But Airflow's scheduler now and then waits in vain for a process of its LocalExecutor, and is
    killed then, as Docker does it.
    """
    took = composed.down()
    for name in composed.long_running():
        grace = seconds(composed.specs[name]["stop_grace_period"])
        assert name == "airflow-scheduler" or took[name] < grace, composed.output()
        assert composed.containers[name].ailment() is not None, name
