"""The sensor against real servers, in the worker and deferred."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from batchdrain.sensors.queue_backlog import QueueBacklogSensor
from fix_task_context import drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

ORDERS, RETURNS = "batchdrain:orders", "batchdrain:returns"


def sensor(**arguments: Any) -> QueueBacklogSensor:
    given = {"tables": "orders, returns", "threshold": 2, "poke_interval": 0.1, **arguments}
    return QueueBacklogSensor(task_id="wait", **given)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_backlog_that_is_there_is_returned_at_once(redis_client, deferrable):
    redis_client.rpush(RETURNS, "1", "2", "3")
    redis_client.xadd(ORDERS, {"data": "1"})
    assert sensor(deferrable=deferrable).execute(drain_context()) == {RETURNS: 3}
    every = sensor(deferrable=deferrable, threshold="1").execute(drain_context())
    assert every == {ORDERS: 1, RETURNS: 3}


def test_it_is_deferred_while_there_is_none(redis_client):
    redis_client.rpush(RETURNS, "1")
    waiting = sensor(timeout=90)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(drain_context())
    assert deferred.value.timeout == timedelta(seconds=90)
    assert deferred.value.method_name == "execute_complete"
    _, arguments = deferred.value.trigger.serialize()
    assert arguments == {
        "queues": [ORDERS, RETURNS],
        "prefix": "batchdrain",
        "redis_conn_id": "redis_default",
        "threshold": 2,
        "poll_interval": 0.1,
    }
    event = {"queues": {RETURNS: 2}}
    assert waiting.execute_complete(drain_context(), event) == {RETURNS: 2}


def test_it_fails_for_good_with_the_sentence_of_its_trigger():
    with pytest.raises(AirflowFailException, match="is a hash"):
        sensor().execute_complete(drain_context(), {"error": "queue key x is a hash"})


def test_it_waits_in_the_worker_where_that_is_wanted(redis_client):
    push = threading.Timer(0.5, lambda: redis_client.rpush(RETURNS, "1", "2"))
    push.start()
    began = time.monotonic()
    assert sensor(deferrable=False, timeout=30).execute(drain_context()) == {RETURNS: 2}
    assert time.monotonic() - began >= 0.4
    push.join()


def test_it_gives_up_after_its_timeout():
    with pytest.raises(AirflowSensorTimeout):
        sensor(deferrable=False, timeout=0.3).execute(drain_context())


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"threshold": 0}, "argument threshold is 0"),
        ({"tables": "*"}, r"tables to watch are \*"),
        ({"redis_conn_id": "nowhere"}, "'nowhere' does not exist"),
        ({"tables": None, "queues": "batchdrain:text"}, "is a string, neither stream nor list"),
    ],
)
def test_what_waiting_would_not_help_fails_for_good(redis_client, deferrable, arguments, sentence):
    redis_client.set("batchdrain:text", "text")
    with pytest.raises(AirflowFailException, match=sentence):
        sensor(deferrable=deferrable, **arguments).execute(drain_context())
    with pytest.raises(AirflowSkipException):
        sensor(deferrable=deferrable, soft_fail=True, **arguments).execute(drain_context())


def test_an_outage_is_no_failure(own_valkey, monkeypatch):
    """Deferred or not, it waits until the server answers, or for its timeout."""
    monkeypatch.setenv("AIRFLOW_CONN_OWN", f"{own_valkey.url}?retries=0")
    own_valkey.stop()
    with pytest.raises(TaskDeferred):
        sensor(redis_conn_id="own").execute(drain_context())
    with pytest.raises(AirflowSensorTimeout):
        sensor(redis_conn_id="own", deferrable=False, timeout=0.3).execute(drain_context())
