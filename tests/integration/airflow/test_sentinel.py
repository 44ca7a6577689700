"""A queue hook that leads through Redis Sentinel, against real sentinels."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
import redis

from batchdrain.demo.servers import ValkeyServer
from batchdrain.drain import DrainLimits, Ending
from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.async_queue import AsyncQueueHook
from batchdrain.hooks.queue import RedisQueueHook
from drain_lab import KEY, TABLE, Lab, Notes, insert
from fix_sentinel import MASTER, SENTINEL_PASSWORD, SERVER_PASSWORD, Replicated, wait_until
from tls_proxy import certificate, tls_before

SECRETS = (SERVER_PASSWORD, SENTINEL_PASSWORD)


def hook_to(monkeypatch: pytest.MonkeyPatch, connection: str) -> RedisQueueHook:
    monkeypatch.setenv("AIRFLOW_CONN_QUEUES", connection)
    return RedisQueueHook("queues")


def sentence(hook: RedisQueueHook) -> str:
    """Return what the Test button shows for a connection that does not work."""
    works, told = hook.test_connection()
    assert not works
    assert not any(secret in told for secret in SECRETS)
    return told


def test_the_client_is_the_masters_and_the_address_holds_no_secret(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first of the sentinels is away."""
    node = replicated_valkey.node
    hook = hook_to(monkeypatch, replicated_valkey.connection(db=3, sentinels=f"127.0.0.1:1,{node}"))
    hook.client().xadd(KEY, {"data": b"\xff"})
    with redis.Redis(port=replicated_valkey.master().port, password=SERVER_PASSWORD, db=3) as own:
        assert own.xlen(KEY) == 1
    assert hook.depths([KEY]) == {KEY: 1}
    assert hook.open_queue(KEY).claim(1, "0-0")[0].body == b"\xff"
    where = f"master {MASTER} of the sentinels 127.0.0.1:1, {node}"
    assert hook.address() == f"queues ({where})"
    assert hook.test_connection() == (True, f"{where} answers.")
    hook.close()


def test_a_crashed_master_is_transient_until_the_new_one_answers(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same client goes on with the new master, and has what was replicated."""
    hook = hook_to(monkeypatch, replicated_valkey.connection(retries=0))
    hook.client().xadd(KEY, {"data": "1"})
    old = replicated_valkey.master()
    replicated_valkey.wait_for_replication()
    old.kill()
    with pytest.raises(TransientError) as caught:
        hook.depths([KEY])
    assert MASTER in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)

    wait_until(lambda: works(hook))
    assert hook.depths([KEY]) == {KEY: 1}
    hook.client().xadd(KEY, {"data": "2"})
    assert replicated_valkey.master() is not old
    hook.close()


def works(hook: RedisQueueHook) -> bool:
    try:
        return hook.depths([KEY]) == {KEY: 1}
    except TransientError:
        return False


def test_a_master_that_was_demoted_is_left_without_an_error(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planned failover: both servers run on, and the connection to the old one stays open."""
    hook = hook_to(monkeypatch, replicated_valkey.connection())
    hook.client().xadd(KEY, {"data": "1"})
    old = replicated_valkey.master()
    fail_over(replicated_valkey, old)
    entry = hook.client().xadd(KEY, {"data": "2"})
    assert hook.open_queue(KEY).settle(entry.decode(), [entry.decode()]) == 1
    hook.close()


def demoted(group: Replicated, server: ValkeyServer) -> bool:
    with group.client(server) as client:
        return bytes(client.role()[0]) == b"slave"


def test_an_event_loop_finds_the_master_and_the_new_one_after_a_failover(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What triggers look with; also when the first of the sentinels is away."""
    node = replicated_valkey.node
    away = replicated_valkey.connection(sentinels=f"127.0.0.1:1,{node}", retries=0)
    monkeypatch.setenv("AIRFLOW_CONN_QUEUES", away)
    old = replicated_valkey.master()

    async def surveyed() -> list[int]:
        depths = []
        async with AsyncQueueHook("queues") as hook:
            assert hook.address() == (
                f"queues (master {MASTER} of the sentinels 127.0.0.1:1, {node})"
            )
            depths.append((await hook.survey([KEY]))[0].depth)
            await asyncio.to_thread(fail_over, replicated_valkey, old)
            depths.append((await hook.survey([KEY]))[0].depth)
        return depths

    with replicated_valkey.client(old) as client:
        client.xadd(KEY, {"data": "1"})
    assert asyncio.run(surveyed()) == [1, 1]
    refused = replicated_valkey.connection(sentinel_password="wrong")
    monkeypatch.setenv("AIRFLOW_CONN_QUEUES", refused)
    with pytest.raises(ConfigurationError, match=f"{node} refuses the login"):
        asyncio.run(surveyed_once())


async def surveyed_once() -> None:
    async with AsyncQueueHook("queues") as hook:
        await hook.survey([KEY])


def fail_over(group: Replicated, old: ValkeyServer) -> None:
    """Have the sentinel make the replica the master, and return when the old one follows it."""

    def followed() -> bool:
        if group.master() is not old:
            return demoted(group, old)
        # It may refuse for a while after an earlier failover, or give this one up.
        with group.sentinel.client() as sentinel:
            sentinel.execute_command("SENTINEL FAILOVER", MASTER)
        return False

    wait_until(followed)


def test_a_drain_outlives_a_failover(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """Nothing is lost, nothing applied twice, though the replica lacks some of the settling."""
    hook = hook_to(monkeypatch, replicated_valkey.connection(retries=0))
    lab = Lab(database, "", hook.client())
    lab.sql(TABLE)
    lab.push(map(insert, range(2_000)))
    replicated_valkey.wait_for_replication()
    old = replicated_valkey.master()
    notes = Notes(lambda report: old.kill() if report.number == 5 else None)
    limits = DrainLimits(batch_records=100, attempts=100, first_pause=0.1, longest_pause=0.3)

    outcome = lab.drain(queue=hook.open_queue(KEY), observer=notes, limits=limits)

    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 2_000, 0)
    assert any("attempt 1 failed, next in" in told for told in notes.sentences)
    assert replicated_valkey.master() is not old
    lab.assert_all_applied_once(range(2_000))
    hook.close()


def test_sentinels_may_speak_tls_where_the_server_does_not(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate(tmp_path)
    with tls_before(replicated_valkey.sentinel.port, file) as port:
        extra = {"sentinels": f"127.0.0.1:{port}", "sentinel_ssl": True}
        trusting = replicated_valkey.connection(**extra, ssl_ca_certs=str(file))
        hook = hook_to(monkeypatch, trusting)
        assert hook.depths([KEY]) == {KEY: 0}
        hook.close()
        hook = hook_to(monkeypatch, replicated_valkey.connection(**extra, retries=0))
        with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
            hook.depths([KEY])


def test_what_is_wrong_with_a_connection_is_a_sentence_without_secrets(
    replicated_valkey: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose login is refused, which masters there are, and that a server is no sentinel."""

    def told(connection: str) -> str:
        hook = hook_to(monkeypatch, connection)
        with pytest.raises(ConfigurationError):
            hook.depths([KEY])
        return sentence(hook)

    group = replicated_valkey
    node = group.node
    refused = told(group.connection(sentinel_password="wrong"))
    assert f"{node} refuses the login" in refused
    assert "sentinel_password" in refused
    assert f"{node} refuses the login" in told(group.connection(sentinel_password=None))
    unknown = told(group.connection(sentinel_master="order"))
    assert f"leads to the master 'order': {node} watches only {MASTER}" in unknown
    with group.client(group.master()) as server:
        server.config_set("requirepass", "")
        port = server.connection_pool.connection_kwargs["port"]
        no_sentinel = group.connection(sentinels=f"127.0.0.1:{port}", sentinel_password=None)
        assert f"127.0.0.1:{port} is no sentinel" in told(no_sentinel)
        server.config_set("requirepass", SERVER_PASSWORD)
    wrong = {**json.loads(group.connection()), "password": "wrong"}
    assert f"Redis at {MASTER} refuses the login" in told(json.dumps(wrong))


def test_sentinels_that_are_away_are_transient_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = hook_to(
        monkeypatch,
        "redis://:secret@/0?sentinel_master=orders&sentinels=127.0.0.1:1,127.0.0.1:2"
        f"&sentinel_password={SENTINEL_PASSWORD}&retries=0",
    )
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 does not answer.*127\.0\.0\.1:2 "):
        hook.depths([KEY])
    assert time.monotonic() - began < 5
    assert "does not answer" in sentence(hook)


@pytest.mark.parametrize(
    ("extra", "nodes"),
    [
        ({"sentinels": "a:1, b"}, [("a", 1), ("b", 26379)]),
        ({"sentinels": ["a", "b:2"]}, [("a", 26379), ("b", 2)]),
        ({"sentinels": "[::1]:5,[fe80::1]"}, [("::1", 5), ("fe80::1", 26379)]),
        ({}, [("host", 6000)]),
    ],
)
def test_sentinels_are_read_from_the_connection(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, object], nodes: list[tuple[str, int]]
) -> None:
    """A list or a text, with or without ports; or else the connection's own host is the one."""
    connection = {
        "conn_type": "redis",
        "host": "host",
        "port": 6000,
        "extra": {"sentinel_master": MASTER, **extra},
    }
    client = hook_to(monkeypatch, json.dumps(connection)).client()
    assert list(client.connection_pool.sentinel_manager._group.nodes) == nodes


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sentinels=a:1", "sentinel_master of the Airflow connection 'queues' must name"),
        ("sentinel_master=m&sentinels=a:port", "sentinels .* must look like host-1:26379"),
        ("sentinel_master=m&sentinels=a:70000", "sentinels .* must look like"),
        ("sentinel_master=m&sentinels=:1", "sentinels .* must look like"),
        ("sentinel_master=m&cluster=true", "cluster .* must be false"),
        ("sentinel_master=m&sentinel_ssl=perhaps", "sentinel_ssl .* must be true or false"),
    ],
)
def test_a_bad_field_is_named(monkeypatch: pytest.MonkeyPatch, query: str, named: str) -> None:
    hook = hook_to(monkeypatch, f"redis://127.0.0.1:1/?{query}")
    with pytest.raises(ConfigurationError, match=named):
        hook.client()
    assert hook.test_connection()[0] is False
