"""Runs that start, and sensors that resume, because messages wait; with a real triggerer."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

import psycopg
import pytest
from redis import Redis

from batchdrain.demo.valkey_server import ValkeyServer
from fix_airflow import RunningAirflow

Target = psycopg.Connection[Any]

_MANY_WATCHING = """
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

watchers = [
    AssetWatcher(
        name=f"watcher_{{number}}",
        trigger=MessageQueueTrigger(
            scheme="batchdrain+redis", queues=f"batchdrain:{name}:{{number}}", cooldown=600
        ),
    )
    for number in range({count})
]
with DAG("{name}", schedule=[Asset("{name}", watchers=watchers)]):
    EmptyOperator(task_id="nothing")
"""

_WATCHING = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from batchdrain.triggers.queue_backlog import QueueBacklogTrigger

trigger = {trigger}
asset = Asset("{name}", watchers=[AssetWatcher(name="{name}", trigger=trigger)])
with DAG("{name}", schedule=[asset]):
    EmptyOperator(task_id="nothing")
"""

_DRAINING = """
from airflow.sdk import Asset, AssetWatcher

from batchdrain.dags.factory import build_drain_dag
from batchdrain.triggers.queue_backlog import QueueBacklogTrigger

trigger = QueueBacklogTrigger(tables="{name}", threshold=3)
asset = Asset("{name}", watchers=[AssetWatcher(name="{name}", trigger=trigger)])
dag = build_drain_dag("{name}", tables="{name}", schedule=[asset])  # an Airflow DAG
"""

_WAITING = """
from airflow.sdk import DAG

from batchdrain.sensors.queue_backlog import QueueBacklogSensor

# The first task of a cold Airflow may fail, for the API builds itself up meanwhile.
with DAG("{name}", schedule=None, default_args={{"retries": 2, "retry_delay": 1}}):
    QueueBacklogSensor(task_id="wait", tables=["{name}", "other"], threshold=2, poke_interval=0.2)
"""

PROMISED_SECONDS = 3.0
"""From XADD to a started run."""


@contextmanager
def served(airflow: RunningAirflow, name: str, text: str, **parts: str) -> Iterator[None]:
    """Serve a DAG, which is paused in the end: then nothing is watched any more."""
    airflow.add_dag(name, text.format(name=name, **parts))
    try:
        yield
    finally:
        airflow.client.pause(name, True)


def eventually(found: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what is found as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "nothing was found in time"
        time.sleep(0.05)
    return value


def started(airflow: RunningAirflow, dag_id: str) -> list[float]:
    """Return when the runs of a DAG have started, in seconds of the epoch, in order."""
    times = [run["start_date"] for run in airflow.client.runs(dag_id)]
    return sorted(datetime.fromisoformat(each).timestamp() for each in times if each)


def nth_start(airflow: RunningAirflow, dag_id: str, number: int, seconds: float = 60) -> float:
    """Return when that many runs have started, once they have."""
    eventually(lambda: len(started(airflow, dag_id)) >= number, seconds)
    return started(airflow, dag_id)[number - 1]


def events(airflow: RunningAirflow, name: str) -> list[tuple[float, Any]]:
    """Return when an asset's watcher fired, and what it told, in order."""
    found = [
        (datetime.fromisoformat(event["timestamp"]).timestamp(), event["extra"])
        for event in airflow.asset_events(name_pattern=name)["asset_events"]
    ]
    assert all(extra["from_trigger"] for _, extra in found)
    return sorted((moment, extra["payload"]) for moment, extra in found)


def watchers(airflow: RunningAirflow) -> int:
    """Return how many triggers the triggerer has taken up so far."""
    log = (airflow.server.home / "triggerer.log").read_text(encoding="utf-8")
    return log.count(" starting ")


@pytest.fixture
def redis(airflow: RunningAirflow, demo_tables: Target) -> Iterator[Redis]:
    with Redis.from_url(airflow.redis_url) as client:
        yield client


def test_a_run_starts_within_three_seconds_of_a_message(
    airflow: RunningAirflow, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """By Airflow's MessageQueueTrigger; as many watchers as messages share their looks at Redis."""
    name, count = "started_soon", 9
    seconds = []
    before = watchers(airflow)
    with served(airflow, name, _MANY_WATCHING, count=str(count)):
        eventually(lambda: watchers(airflow) == before + count)
        for number in range(count):
            time.sleep(random.random())
            pushed = time.time()
            redis.xadd(f"batchdrain:{name}:{number}", {"data": "{}"})
            seconds.append(nth_start(airflow, name, number + 1) - pushed)
    shown = ", ".join(f"{each:.2f}" for each in sorted(seconds))
    with capsys.disabled():
        sys.stdout.write(f"\nXADD to a started run, seconds: {shown}\n")
    told = [payload["queues"] for _, payload in events(airflow, name)]
    assert told == [{f"batchdrain:{name}:{number}": 1} for number in range(count)]
    assert median(seconds) < PROMISED_SECONDS


def test_a_queue_below_the_threshold_starts_nothing_and_a_cooldown_is_kept(
    airflow: RunningAirflow, redis: Redis
) -> None:
    """A list, which stays as it is: the trigger fires again when the cooldown is over."""
    name = "watched_list"
    trigger = f'QueueBacklogTrigger(tables=["empty", "{name}"], threshold=3, cooldown=6)'
    before = watchers(airflow)
    with served(airflow, name, _WATCHING, trigger=trigger):
        eventually(lambda: watchers(airflow) > before)
        redis.rpush(f"batchdrain:{name}", "1", "2")
        time.sleep(4)
        assert events(airflow, name) == []
        redis.rpush(f"batchdrain:{name}", "3")
        eventually(lambda: len(events(airflow, name)) == 3)
        found = events(airflow, name)
    assert [payload for _, payload in found] == [{"queues": {f"batchdrain:{name}": 3}}] * 3
    gaps = [later[0] - former[0] for former, later in pairwise(found)]
    # An event is written down up to a second or two after the trigger has fired.
    assert min(gaps) > 4
    assert 10 < sum(gaps) < 30


def test_what_waits_is_drained(airflow: RunningAirflow, demo_tables: Target, redis: Redis) -> None:
    """An asset instead of a schedule: at the threshold a run applies all there is."""
    name = "drained_soon"
    demo_tables.execute(f"CREATE TABLE {name} (id integer PRIMARY KEY)")
    with served(airflow, name, _DRAINING):
        for number in range(3):
            message = {"operation": "INSERT", "record": {"id": number}}
            redis.xadd(f"batchdrain:{name}", {"data": json.dumps(message)})
        count = f"SELECT count(*) FROM {name}"
        eventually(lambda: demo_tables.execute(count).fetchone() == (3,), seconds=120)
        eventually(lambda: redis.xlen(f"batchdrain:{name}") == 0)
        run = airflow.client.runs(name)[-1]
        assert airflow.client.wait_for_run(name, run["dag_run_id"], 60)["state"] == "success"
    assert run["run_type"] == "asset_triggered"


def test_a_sensor_is_deferred_until_a_queue_is_deep_enough(
    airflow: RunningAirflow, redis: Redis
) -> None:
    """It takes no slot meanwhile, and returns which queues are, and how deep."""
    name = "waited_for"
    with served(airflow, name, _WAITING):
        redis.rpush(f"batchdrain:{name}", "1")
        run_id = airflow.client.trigger(name)

        def state() -> str:
            return str(airflow.client.task_instances(name, run_id)[0]["state"])

        eventually(lambda: state() == "deferred", seconds=120)
        time.sleep(2)
        assert state() == "deferred"
        redis.rpush(f"batchdrain:{name}", "2", "3")
        assert airflow.client.wait_for_run(name, run_id, 60)["state"] == "success"
        path = f"/dags/{name}/dagRuns/{run_id}/taskInstances/wait/xcomEntries/return_value"
        assert airflow.client.request("GET", path)["value"] == {f"batchdrain:{name}": 3}
        (task,) = airflow.client.task_instances(name, run_id)
        log = airflow.client.task_log(name, run_id, "wait", attempt=task["try_number"])
    assert f"waiting for a backlog of batchdrain:{name}, batchdrain:other" in log
    assert f"batchdrain:{name}: 3 messages" in log


def test_an_outage_of_redis_is_told_and_waited_out(
    airflow: RunningAirflow, own_valkey: ValkeyServer
) -> None:
    """The triggerer lives on, and a message that comes afterwards starts a run."""
    name = "watched_through_outages"
    trigger = f'QueueBacklogTrigger(tables="{name}", redis_conn_id="{name}", cooldown=5)'
    log = airflow.server.home / "triggerer.log"
    body = {"connection_id": name, "conn_type": "redis", "host": own_valkey.host}
    airflow.client.request("POST", "/connections", {**body, "port": own_valkey.port})
    with served(airflow, name, _WATCHING, trigger=trigger):
        with Redis.from_url(own_valkey.url) as client:
            client.xadd(f"batchdrain:{name}", {"data": "{}"})
            # The triggerer builds an API of its own when it first reads a connection from Airflow.
            nth_start(airflow, name, 1, seconds=180)
            client.delete(f"batchdrain:{name}")
        own_valkey.kill()
        eventually(lambda: f":{own_valkey.port}/0 is away" in log.read_text("utf-8"))
        own_valkey.start()
        again = f"{name} ({own_valkey.host}:{own_valkey.port}) answers again"
        eventually(lambda: again in log.read_text("utf-8"))
        runs = len(started(airflow, name))
        with Redis.from_url(own_valkey.url) as client:
            client.xadd(f"batchdrain:{name}", {"data": "{}"})
            nth_start(airflow, name, runs + 1)
            client.delete(f"batchdrain:{name}")
