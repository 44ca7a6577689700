"""Pruning the target database and Redis with the statements of docs/how-to/pruning.md."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_drain_dag import insert
from fix_task_context import drain_context
from page_code import code
from walkthrough import HOW_TO

KEY = "batchdrain:orders"


@pytest.fixture
def statements() -> list[str]:
    """The page's statements in their order."""
    return code(HOW_TO / "pruning.md", "sql")


@pytest.fixture(autouse=True)
def orders(airflow_connections: None, connection: Any) -> None:
    connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, amount numeric)")


def drain() -> dict[str, Any]:
    return DrainQueueOperator(task_id="drain", queue_key=KEY).execute(drain_context())


def send(client: Any, kind: str, **record: Any) -> None:
    """Append a message to the stream or the list."""
    body = json.dumps(insert(**record))
    if kind == "stream":
        client.xadd(KEY, {"data": body})
    else:
        client.rpush(KEY, body)


def test_old_batches_and_resolved_records_go_and_the_others_stay(
    connection, redis_client, statements
):
    send(redis_client, "stream", id=1, amount=1)
    send(redis_client, "stream", id=2, amount="a lot")
    drain()
    send(redis_client, "stream", id=3, amount="much")
    drain()
    count, batches, errors, _ = statements
    assert connection.execute(count).fetchall() == [(KEY, 2)]
    assert connection.execute(batches).rowcount == 0
    assert connection.execute(errors).rowcount == 0
    connection.execute(
        "UPDATE batchdrain.batch_log SET finished_at = now() - interval '31 days' WHERE records = 2"
    )
    connection.execute("UPDATE orders_errors SET created_at = now() - interval '99 days'")
    connection.execute(
        "UPDATE orders_errors SET resolution = 'discarded', resolved_at = created_at "
        "WHERE record_id = '3'"
    )
    assert connection.execute(batches).rowcount == 1
    assert connection.execute(errors).rowcount == 1
    send(redis_client, "stream", id=4, amount=4)
    assert drain()["applied"] == 1


@pytest.mark.parametrize("kind", ["stream", "list"])
def test_the_row_of_a_queue_may_go_once_redis_knows_nothing_of_it(
    connection, redis_client, statements, kind
):
    """As long as the row is there, a queue that begins anew is one that went back."""
    *_, forget = statements
    for number in range(3):
        send(redis_client, kind, id=number)
    drain()
    redis_client.flushdb()
    send(redis_client, kind, id=10)
    with pytest.raises(AirflowFailException, match="Accept the queue as it is now"):
        drain()
    redis_client.flushdb()
    assert connection.execute(forget).rowcount == 1
    send(redis_client, kind, id=10)
    assert drain()["applied"] == 1
