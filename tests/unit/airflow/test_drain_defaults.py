"""What a drain is given that its DAG says nothing of, mapped or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.serialization.serialized_objects import DagSerialization

from batchdrain.operators.assets import tables_alias
from batchdrain.operators.backoff import JITTERED, JitteredBackoff
from batchdrain.operators.drain_queue import RETRIES, DrainQueueOperator

KEY = "batchdrain:orders"


def drains(default_args: Mapping[str, Any] | None = None, **arguments: Any) -> tuple[Any, Any]:
    """Return a task and a mapped one, the latter as a worker makes it of the DAG's file."""
    with DAG("d", schedule=None, default_args=dict(default_args or {})) as dag:
        task = DrainQueueOperator(task_id="one", queue_key=KEY, **arguments)
        mapped = DrainQueueOperator.partial(task_id="many", **arguments).expand(queue_key=[KEY])
    known = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    unmapped = mapped.unmap({"queue_key": KEY})
    for name, made in (("one", task), ("many", unmapped)):
        assert known.get_task(name).retries == made.retries
        assert len(known.get_task(name).outlets) == len(made.outlets)
    assert mapped.outlets == task.outlets
    return task, unmapped


def test_a_drain_is_tried_again_and_tells_of_its_table_mapped_or_not():
    for task in drains():
        assert (task.retries, task.retry_policy) == (RETRIES, JITTERED)
        assert task.outlets == [tables_alias()]


@pytest.mark.parametrize("place", ["argument", "default_args"])
def test_what_the_author_says_of_retries_and_outlets_holds(place):
    given = {"retries": 1, "retry_delay": timedelta(minutes=5), "outlets": [Asset("x://y")]}
    for task in drains(**given) if place == "argument" else drains(given):
        assert (task.retries, task.retry_delay) == (1, timedelta(minutes=5))
        assert task.retry_policy.longest_delay(1) == 300
        assert task.outlets == [Asset("x://y")]


def test_the_delays_of_airflow_are_those_of_our_policy_and_of_no_other():
    delays = {"retry_delay": 10, "max_retry_delay": timedelta(seconds=30)}
    for task in drains(**delays):
        assert [task.retry_policy.longest_delay(n) for n in (1, 2, 3)] == [10, 20, 30]
    for policy in (None, JitteredBackoff(1, 9)):
        for task in drains(**delays, retry_policy=policy):
            assert task.retry_policy == policy
