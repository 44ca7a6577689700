"""A queue hook that leads to a Redis Cluster, against a real one of a single node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from batchdrain.demo.servers import ValkeyServer
from batchdrain.drain import Ending
from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.queue import RedisQueueHook
from drain_lab import KEY, KINDS, TABLE, Lab, insert
from fix_sentinel import wait_until

PASSWORD = "pass-of-the-cluster"
EVERY_SLOT = (0, 16383)


@pytest.fixture(scope="module")
def node() -> Iterator[ValkeyServer]:
    """The only node of a cluster, which serves every slot."""
    settings: dict[str, str | int | float | bool] = {
        "cluster-enabled": True,
        "requirepass": PASSWORD,
    }
    with (
        ValkeyServer(fsync=False, settings=settings) as server,
        redis.Redis(port=server.port, password=PASSWORD) as client,
    ):
        client.execute_command("CLUSTER ADDSLOTSRANGE", *EVERY_SLOT)
        wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield server


def hook_to(monkeypatch: pytest.MonkeyPatch, port: int, **fields: Any) -> RedisQueueHook:
    extra = {"cluster": True, "retries": 0, **fields.pop("extra", {})}
    connection = {
        "conn_type": "batchdrain_redis",
        "host": "127.0.0.1",
        "port": port,
        "password": PASSWORD,
        "extra": extra,
        **fields,
    }
    monkeypatch.setenv("AIRFLOW_CONN_QUEUES", json.dumps(connection))
    return RedisQueueHook("queues")


@pytest.mark.parametrize("kind", KINDS)
def test_queues_in_a_cluster_are_found_and_drained(
    node: ValkeyServer, monkeypatch: pytest.MonkeyPatch, database: str, kind: str
) -> None:
    """Streams and lists: what lies beside a queue is in its slot."""
    hook = hook_to(monkeypatch, node.port)
    lab = Lab(database, "", hook.client(), kind)
    lab.sql(TABLE)
    hook.client().flushall()
    lab.push(map(insert, range(500)))
    assert hook.scan("batchdrain") == [KEY]
    assert hook.depths([KEY]) == {KEY: 500}
    outcome = lab.drain(queue=hook.open_queue(KEY, left_push=kind == "left list"))
    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 500, 0)
    lab.assert_all_applied_once(range(500))
    hook.close()


def test_what_is_wrong_with_a_cluster_is_a_sentence(
    node: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No node answers, or none takes the login; any node of those named will do."""
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1/0 is away") as away:
        hook_to(monkeypatch, 1).depths([KEY])
    assert PASSWORD not in str(away.value)
    with pytest.raises(ConfigurationError, match="refuses the login") as refused:
        hook_to(monkeypatch, node.port, password="wrong-password").depths([KEY])
    assert "wrong-password" not in str(refused.value)
    bad = hook_to(monkeypatch, node.port, extra={"startup_nodes": "a:b"})
    assert "startup_nodes" in bad.test_connection()[1]
    further = {"startup_nodes": f"127.0.0.1:{node.port}"}
    hook = hook_to(monkeypatch, 1, extra=further)
    assert hook.test_connection()[0] is True
    hook.close()
