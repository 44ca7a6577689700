"""Server and keys are looked at before a drain relies on them: each finding, provoked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis

from batchdrain.demo.valkey_server import ValkeyServer
from batchdrain.finding import Finding, Level
from batchdrain.queues import preflight_keys
from batchdrain.queues.opening import open_queue
from batchdrain.queues.preflight import server_findings
from batchdrain.queues.preflight_keys import found_keys, queue_findings
from batchdrain.queues.queue import START

KEY = "batchdrain:orders"
PASSWORD = "not-to-be-shown"
SETTINGS = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
}
"""A server as it should be."""


@pytest.fixture
def client(own_valkey: ValkeyServer) -> Iterator[redis.Redis]:
    """A client of a server of the tests' own, as it should be at first."""
    with redis.Redis(port=own_valkey.port) as opened:
        for name, value in SETTINGS.items():
            opened.config_set(name, value)
        yield opened
        opened.replicaof("NO", "ONE")


def of(findings: list[Finding], level: Level) -> list[str]:
    """Return what the findings of a level say, and what to do, each as one text."""
    return [f"{each.what} → {each.do}" for each in findings if each.level is level]


def only(findings: list[Finding], level: Level) -> str:
    """Return the one finding of a level."""
    (text,) = of(findings, level)
    return text


def test_a_good_server_is_ok_and_named(client: redis.Redis) -> None:
    found = server_findings(client, "queues (h:1)")
    assert {each.level for each in found} == {Level.OK}
    assert found[0].what.startswith("queues (h:1) answers: Valkey ")


@pytest.mark.parametrize(
    ("settings", "level", "expected"),
    [
        ({"appendonly": "no"}, Level.WARNING, "a restart loses every message"),
        (
            {"appendonly": "no", "save": "3600 1"},
            Level.WARNING,
            "since the last snapshot (save 3600 1)",
        ),
        ({"appendfsync": "everysec"}, Level.INFO, "messages of the last second"),
        ({"appendfsync": "no"}, Level.WARNING, "appendfsync no"),
        (
            {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"},
            Level.WARNING,
            "queues too (maxmemory-policy allkeys-lru)",
        ),
        (
            {"maxmemory": "1gb", "maxmemory-policy": "volatile-ttl"},
            Level.INFO,
            "keys that have an expiry when its memory is full (volatile-ttl)",
        ),
        ({"maxmemory": "1gb"}, Level.OK, "noeviction"),
        ({"maxmemory-policy": "allkeys-lru"}, Level.OK, "maxmemory 0"),
    ],
)
def test_what_a_crash_or_full_memory_costs_is_told(
    client: redis.Redis, settings: Mapping[str, str], level: Level, expected: str
) -> None:
    for name, value in settings.items():
        client.config_set(name, value)
    found = server_findings(client, "a")
    assert any(expected in text for text in of(found, level))
    worst = {Level.OK} if level is Level.OK else {Level.OK, level}
    assert {each.level for each in found} == worst


def test_memory_that_is_nearly_full_is_a_warning(client: redis.Redis) -> None:
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))
    assert "of its memory is used" in only(server_findings(client, "a"), Level.WARNING)


def test_a_replica_is_an_error(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", 1)
    assert "it is a replica" in only(server_findings(client, "a"), Level.ERROR)


class Answering(redis.Redis):
    """A server that says something else of itself than the real one."""

    told: Mapping[str, Any] = {}
    untold: tuple[str, ...] = ()

    def info(self, *args: Any, **more: Any) -> Any:
        real = {**super().info(*args, **more), **self.told}
        return {name: value for name, value in real.items() if name not in self.untold}


def test_what_this_server_can_not_be_brought_to_say_is_understood_too(
    client: redis.Redis, own_valkey: ValkeyServer
) -> None:
    """An old version, a disk that is full, a service that hides what it does."""
    with Answering(port=own_valkey.port) as other:
        other.told, other.untold = {"redis_version": "6.2.14"}, ("valkey_version",)
        assert "is Redis 6.2.14; batchdrain needs" in only(server_findings(other, "a"), Level.ERROR)
        other.told, other.untold = {"aof_last_write_status": "err"}, ()
        assert "append-only file" in only(server_findings(other, "a"), Level.WARNING)
        other.told, other.untold = {}, ("aof_enabled", "maxmemory_policy")
        assert len(of(server_findings(other, "a"), Level.INFO)) == 2


@pytest.fixture
def user(client: redis.Redis, own_valkey: ValkeyServer) -> Iterator[Any]:
    """Make a client whose user has these keys and commands."""
    opened: list[redis.Redis] = []

    def _user(keys: list[str], commands: list[str]) -> redis.Redis:
        client.acl_setuser(
            "limited",
            enabled=True,
            passwords=[f"+{PASSWORD}"],
            keys=keys,
            commands=commands,
            reset=True,
        )
        opened.append(redis.Redis(port=own_valkey.port, username="limited", password=PASSWORD))
        return opened[-1]

    yield _user
    for each in opened:
        each.close()
    client.acl_deluser("limited")


def test_a_server_that_keeps_its_settings_to_itself_is_no_error(user: Any) -> None:
    """Without CONFIG, as in a managed service; without INFO, too; neither is a reason to crash."""
    without_config = server_findings(user(["*"], ["+@all", "-config"]), "a")
    assert "CONFIG GET is refused" in only(without_config, Level.INFO)
    without_info = server_findings(user(["*"], ["+@all", "-config", "-info"]), "a")
    assert "may not ask INFO" in only(without_info, Level.INFO)


@pytest.mark.parametrize("kind", ["stream", "list"])
def test_rights_that_a_drain_lacks_are_an_error_and_what_mends_it_is_enough(
    user: Any, client: redis.Redis, kind: str
) -> None:
    """A user of the queue's key alone lacks the keys beside it; with the proposed ACL it drains."""
    if kind == "stream":
        client.xadd(KEY, {"data": "1"})
    else:
        client.rpush(KEY, "1")
    reading = user(["batchdrain:*"], ["+@read", "+@connection"])
    (found,) = (each for each in queue_findings(reading, [KEY]) if each.level is Level.ERROR)
    assert ("XDEL" if kind == "stream" else "EVAL") in found.what
    assert "EXISTS" in found.what
    words = found.do.split()
    proposed = user(
        [word[1:] for word in words if word.startswith("~")],
        [word for word in words if word.startswith("+")],
    )
    assert of(queue_findings(proposed, [KEY]), Level.ERROR) == []
    queue = open_queue(proposed, KEY)
    queue.take("drain")
    queue.standing(START, 0)
    (message,) = queue.claim(10, START)
    assert queue.settle(message.id, [message.id]) == 1
    queue.give_back(message.id)
    assert [str(key) for key in found_keys(proposed, "batchdrain").queues] == [KEY]


def test_keys_of_another_type_and_keys_that_expire_are_told(client: redis.Redis) -> None:
    client.set("batchdrain:text", "x")
    client.xadd(KEY, {"data": "1"})
    client.expire(KEY, 1000)
    found = queue_findings(client, ["batchdrain:text", KEY, "batchdrain:none"])
    assert found[0].what == "3 that may be drained (1 as streams, 1 empty, 1 no queues)"
    assert "it is a string" in only(found, Level.ERROR)
    assert "it expires in " in only(found, Level.WARNING)


def test_consumer_groups_of_others_are_told_ours_is_not(client: redis.Redis) -> None:
    client.xadd(KEY, {"data": "1"})
    client.xgroup_create(KEY, "batchdrain", "0")
    assert {each.level for each in queue_findings(client, [KEY])} == {Level.OK}
    client.xgroup_create(KEY, "reports", "0")
    assert "reports has not read" in only(queue_findings(client, [KEY]), Level.WARNING)
    client.xreadgroup("reports", "me", {KEY: ">"})
    assert "1 left" in only(queue_findings(client, [KEY]), Level.WARNING)
    client.xack(KEY, "reports", client.xinfo_stream(KEY)["last-generated-id"])
    assert "reports reads it, too" in only(queue_findings(client, [KEY]), Level.INFO)


def test_queues_are_found_by_their_keys_and_by_the_keys_beside_them(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any type, wholly in flight or not; other programs' keys are left alone."""
    client.xadd("batchdrain:a.b:3", {"data": "1"})
    client.set("batchdrain:text", "x")
    client.set("{batchdrain:drained}:seq", "4")
    client.rpush("{batchdrain:killed}:inflight:7", "x")
    client.set("batchdrain:a:b:c", "x")
    for other in ("other:a", "xbatchdrain:a", "{other:a}:seq"):
        client.set(other, "x")
    found = found_keys(client, "batchdrain")
    keys = ["batchdrain:a.b:3", "batchdrain:drained", "batchdrain:killed", "batchdrain:text"]
    assert [str(key) for key in found.queues] == keys
    assert found.complete
    (bad,) = found.bad
    assert "batchdrain:a:b:c" in bad
    monkeypatch.setattr(preflight_keys, "_MOST_KEYS", 5)
    assert not found_keys(client, "batchdrain").complete
    assert found_keys(client, "batchdrain", everything=True) == found


def test_looking_writes_nothing(client: redis.Redis) -> None:
    """Redis counts every change of its data."""
    client.xadd(KEY, {"data": "1"})
    client.xgroup_create(KEY, "reports", "0")
    client.rpush("batchdrain:list", "1")
    before = client.info("persistence")["rdb_changes_since_last_save"]
    server_findings(client, "a")
    queue_findings(client, [KEY, "batchdrain:list", "batchdrain:none"])
    found_keys(client, "batchdrain")
    assert client.info("persistence")["rdb_changes_since_last_save"] == before
    assert sorted(client.keys("*")) == [b"batchdrain:list", KEY.encode()]


def test_a_server_that_goes_away_meanwhile_is_a_finding(own_valkey: ValkeyServer) -> None:
    with redis.Redis(port=own_valkey.port, password=PASSWORD, retry=None) as client:
        own_valkey.stop()
        for found in (server_findings(client, "a"), queue_findings(client, [KEY])):
            assert PASSWORD not in only(found, Level.ERROR)
            assert "is away" in only(found, Level.ERROR)
