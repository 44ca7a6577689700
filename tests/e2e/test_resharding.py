"""Changing the number of a table's shards while producers go on, as docs/how-to/shards.md tells."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import psycopg
import pytest
import redis

from batchdrain.operators.control_queues import ControlQueuesOperator
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from fix_task_context import drain_context

KEYS = range(40)
"""Enough keys for some in each of eight shards."""


class Deployment:
    """The table `orders`: its producers, its drains, and the form that holds its queues."""

    def __init__(self, client: redis.Redis, kind: str, connection: psycopg.Connection[Any]) -> None:
        self._client = client
        self._kind = kind
        self._connection = connection

    def send(self, operation: str, number_of_shards: int | None, amount: int) -> None:
        """Send a record of each key to its queue, as producers do with so many shards."""
        for key in KEYS:
            record = {"id": key, "amount": amount}
            body = json.dumps({"operation": operation, "record": record})
            shard = "" if number_of_shards is None else f":{shard_of(key, number_of_shards)}"
            if self._kind == "list":
                self._client.rpush(f"batchdrain:orders{shard}", body)
            else:
                self._client.xadd(f"batchdrain:orders{shard}", {"data": body})

    def control(self, action: str, tables: str, numbers: Iterable[int | None]) -> None:
        """Do one thing to some shards, one after the other; None stands for all of them."""
        for number in numbers:
            ControlQueuesOperator(task_id="control", tables=tables).execute(
                drain_context(action=action, tables=["orders"], shard=number)
            )

    def drain(self, tables: str) -> set[str]:
        """Run the drains that a run of the DAG would have, the last queue first; return them."""
        listed = ListQueuesOperator(task_id="list_queues", tables=tables).execute(drain_context())
        for drain in reversed(listed):
            DrainQueueOperator(task_id="drain", **drain).execute(drain_context())
        return {str(drain["queue_key"]) for drain in listed}

    def outcome(self) -> tuple[set[int], int]:
        """Return the amounts in the table, and how many records were refused."""
        amounts = self._connection.execute("SELECT DISTINCT amount FROM orders").fetchall()
        refused = self._connection.execute("SELECT id FROM orders_errors").fetchall()
        return {int(amount) for (amount,) in amounts}, len(refused)


def shard_of(key: int, number_of_shards: int) -> int:
    """Return a key's shard, by the page's rule."""
    return crc32(str(key).encode()) % number_of_shards


@pytest.fixture(params=["stream", "list"])
def deployment(request, airflow_connections, connection, redis_client) -> Deployment:
    connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, amount integer NOT NULL)")
    return Deployment(redis_client, request.param, connection)


def test_with_a_hold_no_record_overtakes_an_older_one_of_its_key(deployment):
    """From 4 to 8 and back again: INSERTs and UPDATEs wait in different shards, none is refused."""
    deployment.send("INSERT", 4, amount=1)
    deployment.control("hold", "orders:8", range(4, 8))
    deployment.send("UPDATE", 8, amount=2)
    assert deployment.drain("orders:8") == {f"batchdrain:orders:{n}" for n in range(4)}
    deployment.control("release", "orders:8", range(4, 8))
    deployment.send("UPDATE", 8, amount=3)
    deployment.drain("orders:8")
    assert deployment.outcome() == ({3}, 0)

    deployment.send("UPDATE", 8, amount=4)
    deployment.control("hold", "orders:8", range(4))
    deployment.send("UPDATE", 4, amount=5)
    assert deployment.drain("orders:8") == {f"batchdrain:orders:{n}" for n in range(4, 8)}
    deployment.control("release", "orders:8", range(4))
    deployment.drain("orders:4")
    assert deployment.outcome() == ({5}, 0)

    deployment.send("UPDATE", 8, amount=6)
    deployment.drain("orders:8")
    assert deployment.outcome() == ({6}, 0), "a shard that comes back goes on where it was"


def test_the_first_shards_wait_until_the_old_queue_is_empty(deployment):
    """It has a DAG of its own meanwhile; without shards it is not in the list any more."""
    deployment.send("INSERT", None, amount=1)
    deployment.control("hold", "orders:4", [None])
    deployment.send("UPDATE", 4, amount=2)
    assert deployment.drain("orders:4") == set()
    assert deployment.drain("orders") == {"batchdrain:orders"}
    assert deployment.drain("orders") == set()
    deployment.control("release", "orders:4", [None])
    deployment.drain("orders:4")
    assert deployment.outcome() == ({2}, 0)


def test_without_a_hold_records_overtake(deployment):
    """What the page warns of: the new shards are drained first, and their UPDATEs find no row."""
    deployment.send("INSERT", 4, amount=1)
    deployment.send("UPDATE", 8, amount=2)
    deployment.drain("orders:8")
    moved = sum(shard_of(key, 8) >= 4 for key in KEYS)
    assert deployment.outcome() == ({1, 2}, moved)


def test_twice_as_many_shards_move_a_key_only_one_way():
    """To the shard that is so much higher as there were shards."""
    for key in range(1_000):
        assert shard_of(key, 8) - shard_of(key, 4) in (0, 4)
