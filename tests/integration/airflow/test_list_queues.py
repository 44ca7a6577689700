"""The list of queues against real servers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from batchdrain.cadence import Cadence
from batchdrain.engine.position import create_state
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from batchdrain.operators.pool_check import check_pool
from batchdrain.queues.opening import open_queue
from batchdrain.queues.queue import START
from fix_drain_dag import insert, push
from fix_task_context import TaskStandIn, drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")


@pytest.fixture
def tables(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE airports (id integer PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE flights (id integer PRIMARY KEY, dest integer REFERENCES airports)"
    )


def listed(
    task: TaskStandIn | None = None, *, tables: str, chosen: Sequence[str] = (), **params: Any
) -> list[dict[str, Any]]:
    operator = ListQueuesOperator(task_id="list_queues", tables=tables)
    return operator.execute(drain_context(task, tables=list(chosen), **params))


def keys(found: list[dict[str, Any]]) -> list[str]:
    return [arguments["queue_key"] for arguments in found]


@pytest.mark.usefixtures("tables")
def test_queues_with_a_backlog_are_listed_with_the_ids_their_parents_have_to_pass(redis_client):
    for n in (0, 2):
        push(redis_client, f"batchdrain:flights:{n}", insert(id=n, dest=1))
    last_id = redis_client.xadd("batchdrain:airports", {"data": "{}"}).decode()
    push(redis_client, "batchdrain:flights:7", insert(id=9, dest=1))
    assert listed(tables="flights:3, airports") == [
        {"queue_key": "batchdrain:airports", "parents": {}},
        {"queue_key": "batchdrain:flights:0", "parents": {"batchdrain:airports": last_id}},
        {"queue_key": "batchdrain:flights:2", "parents": {"batchdrain:airports": last_id}},
    ]
    chosen = listed(tables="flights:3, airports", chosen=["airports"])
    assert keys(chosen) == ["batchdrain:airports"]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("allowed", ["airports", "*"])
def test_a_list_is_listed_also_when_a_killed_drain_has_claimed_all_of_it(redis_client, allowed):
    """Its key is gone then, and its messages are in flight."""
    redis_client.rpush("batchdrain:airports", "{}")
    assert keys(listed(tables=allowed)) == ["batchdrain:airports"]
    queue = open_queue(redis_client, "batchdrain:airports")
    queue.take("killed")
    (message,) = queue.claim(10, START)
    assert not redis_client.exists("batchdrain:airports")
    assert keys(listed(tables=allowed)) == ["batchdrain:airports"]
    queue.settle(message.id, [message.id])
    assert listed(tables=allowed) == []


def test_no_backlog_lists_nothing():
    assert listed(tables="flights") == []


@pytest.mark.usefixtures("tables")
def test_a_star_finds_the_queues_and_leaves_out_what_nobody_should_reach(redis_client, connection):
    connection.execute("CREATE TABLE flights_errors (id integer PRIMARY KEY)")
    create_state(connection)
    names = ("airports", "flights_errors", "batchdrain.position", "missing", "pg_catalog.pg_class")
    for name in names:
        push(redis_client, f"batchdrain:{name}", insert(id=1))
    assert keys(listed(tables="*")) == ["batchdrain:airports", "batchdrain:missing"]


@pytest.mark.usefixtures("tables")
def test_a_cycle_of_references_is_broken(redis_client, connection, caplog):
    connection.execute("ALTER TABLE airports ADD best integer REFERENCES flights")
    push(redis_client, "batchdrain:flights", insert(id=1))
    push(redis_client, "batchdrain:airports", insert(id=1))
    found = listed(tables="flights, airports")
    assert sorted(bool(arguments["parents"]) for arguments in found) == [False, True]


@pytest.mark.usefixtures("tables")
def test_a_queue_is_left_to_the_run_that_works_on_it(redis_client, connection):
    """While that run drains airports, flights are listed and wait for it."""
    push(redis_client, "batchdrain:airports", insert(id=1))
    other = TaskStandIn("test_dag", "other run", "drain", map_index=0)
    DrainQueueOperator(task_id="drain", queue_key="batchdrain:airports").execute(
        drain_context(other)
    )
    connection.execute("UPDATE batchdrain.position SET owner = 'token'")
    last_id = redis_client.xadd("batchdrain:airports", {"data": "{}"}).decode()
    push(redis_client, "batchdrain:flights", insert(id=1, dest=1))
    for state in ("running", "up_for_retry"):
        task = TaskStandIn(others={"other run": {"drain_0": state}})
        assert listed(task, tables="airports, flights") == [
            {"queue_key": "batchdrain:flights", "parents": {"batchdrain:airports": last_id}}
        ]
    task = TaskStandIn(others={"other run": {"drain_0": "failed"}})
    assert len(listed(task, tables="airports, flights")) == 2


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(("flag", "left_out"), [("held", True), ("rewound", False)])
def test_a_held_queue_is_left_out_but_one_that_went_back_fails_in_every_run(
    redis_client, connection, flag, left_out
):
    push(redis_client, "batchdrain:airports", insert(id=1))
    create_state(connection)
    connection.execute(
        f"INSERT INTO batchdrain.position (queue, position, {flag}) "
        "VALUES ('batchdrain:airports', '9-9', true)"
    )
    assert keys(listed(tables="airports")) == ([] if left_out else ["batchdrain:airports"])


def test_peak_or_off_peak_is_logged(capsys, monkeypatch):
    now = datetime.now(UTC)
    minute = now.hour * 60 + now.minute
    peak = Cadence(60, 15, (minute, (minute + 5) % 1440), "UTC")
    off_peak = Cadence(60, 15, ((minute + 60) % 1440, (minute + 65) % 1440), "UTC")
    for cadence, word in ((peak, "peak ("), (off_peak, "off-peak (")):
        ListQueuesOperator(task_id="l", tables="t", cadence=cadence).execute(drain_context())
        assert word in capsys.readouterr().out


def test_drains_that_wait_for_a_slot_while_none_runs_make_the_pool_suspect(monkeypatch):
    monkeypatch.setattr("batchdrain.operators.pool_check._known", lambda _: None)
    check_pool("orders", TaskStandIn(), "drain", patience=0)
    with pytest.raises(Exception, match="2 drains wait for a slot of the pool 'orders'"):
        check_pool("orders", TaskStandIn(waiting=2), "drain", patience=0)
    operator = ListQueuesOperator(task_id="l", tables="t", drain_pool="orders")
    monkeypatch.setattr("batchdrain.operators.pool_check._known", lambda _: False)
    with pytest.raises(AirflowFailException, match="does not exist"):
        operator.execute(drain_context())


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(("linger", "stays"), [("off", False), ("peak", False), ("always", True)])
def test_parents_linger_when_they_are_told_to_and_children_do_not(redis_client, linger, stays):
    """Now is not in the peak window; an empty queue lingers, too."""
    push(redis_client, "batchdrain:flights", insert(id=1, dest=1))
    redis_client.xgroup_create("batchdrain:airports", "g", mkstream=True)
    redis_client.xgroup_destroy("batchdrain:airports", "g")
    operator = ListQueuesOperator(
        task_id="list_queues",
        tables="airports, flights",
        linger=linger,
        cadence=Cadence(60, 15, None, "UTC"),
    )
    found = operator.execute(drain_context())
    lingering = [arguments["queue_key"] for arguments in found if arguments.get("linger")]
    assert lingering == (["batchdrain:airports"] if stays else [])
    assert "batchdrain:flights" in keys(found)
