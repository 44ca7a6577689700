"""The example DAGs around backlogs at work, by `dag.test()`, against real servers."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
import redis
from airflow.sdk import Asset, AssetAll, AssetOrTimeSchedule

from batchdrain.triggers.queue_backlog import QueueBacklogTrigger
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, parsed, push, states

EXAMPLES = REPOSITORY / "provider" / "batchdrain" / "example_dags"


@pytest.fixture(autouse=True)
def flights(airflow_connections: None, connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE flights (id integer PRIMARY KEY)")


def looks(client: redis.Redis) -> int:
    """Return how often somebody has asked what kind of key a queue is."""
    calls: dict[str, Any] = client.info("commandstats")
    return int(calls.get("cmdstat_type", {"calls": 0})["calls"])


def test_the_watched_dag_drains_what_its_watcher_has_seen(connection, redis_client):
    """The watcher itself is tested with a triggerer; the run is an ordinary drain."""
    dag = parsed(EXAMPLES / "example_drain_on_backlog.py", "example_drain_on_backlog")
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert isinstance(dag.timetable.asset_condition, AssetAll)
    (asset,) = dag.timetable.asset_condition.objects
    assert isinstance(asset, Asset)
    (watcher,) = asset.watchers
    assert isinstance(watcher.trigger, QueueBacklogTrigger)
    push(redis_client, "batchdrain:flights", *(insert(id=number) for number in range(5)))
    run = dag.test()
    assert run.state == "success", states(run)
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (5,)


def test_the_waiting_dag_is_deferred_until_there_is_enough(connection, redis_client):
    """Nine messages wait, and the tenth comes after the second look, which is the trigger's."""
    push(redis_client, "batchdrain:flights", *(insert(id=number) for number in range(9)))
    begun = looks(redis_client)

    def push_the_tenth() -> None:
        deadline = time.monotonic() + 60
        while looks(redis_client) < begun + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        push(redis_client, "batchdrain:flights", insert(id=9))

    tenth = threading.Thread(target=push_the_tenth)
    tenth.start()
    run = parsed(EXAMPLES / "example_wait_for_backlog.py", "example_wait_for_backlog").test()
    tenth.join()
    assert run.state == "success", states(run)
    (waited,) = [ti for ti in run.get_task_instances() if ti.task_id == "wait_for_flights"]
    assert waited.xcom_pull(task_ids="wait_for_flights") == {"batchdrain:flights": 10}
    assert connection.execute("SELECT count(*) FROM flights").fetchone() == (10,)
