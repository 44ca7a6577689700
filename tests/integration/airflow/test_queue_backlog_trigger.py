"""The trigger against real servers: when it fires, and what it lasts through."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
import redis
from airflow.triggers.base import TriggerEvent
from airflow.triggers.shared_stream import SharedStreamManager

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.async_queue import AsyncQueueHook
from batchdrain.queues.backlog import Backlog
from batchdrain.queues.opening import open_queue
from batchdrain.queues.queue import START
from batchdrain.triggers import backlog_reached, looks, queue_backlog
from batchdrain.triggers.backlog_reached import BacklogReached
from batchdrain.triggers.queue_backlog import QueueBacklogTrigger

pytestmark = pytest.mark.usefixtures("airflow_connections")

STREAM, LIST = "batchdrain:orders", "batchdrain:returns:3"
PATIENCE = 30.0


def trigger(**arguments: Any) -> QueueBacklogTrigger:
    """Return a trigger that looks often, as the triggerer makes it from what Airflow has kept."""
    given = {"queues": [STREAM, LIST], "poll_interval": 0.1, "cooldown": 1, **arguments}
    _, kept = QueueBacklogTrigger(**given).serialize()
    return QueueBacklogTrigger(**json.loads(json.dumps(kept)))


async def first_event(source: QueueBacklogTrigger | BacklogReached) -> Any:
    """Return the payload of the first event of a trigger that runs by itself."""
    async with aclosing(source.run()) as events, asyncio.timeout(PATIENCE):
        async for event in events:
            return event.payload
    raise AssertionError("it has ended without an event")


async def silent(source: QueueBacklogTrigger, seconds: float) -> None:
    """Return if the trigger doesn't fire for so long."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first_event(source), seconds)


def add(client: redis.Redis, *bodies: str) -> None:
    for body in bodies:
        client.xadd(STREAM, {"data": body})


def test_it_fires_for_a_stream_or_a_list_at_the_threshold(redis_client):
    """The event names the queues that have a backlog, and no other."""
    add(redis_client, "1", "2")
    redis_client.rpush(LIST, "1", "2", "3")
    assert asyncio.run(first_event(trigger(threshold=3))) == {"queues": {LIST: 3}}
    assert asyncio.run(first_event(trigger(threshold=2))) == {"queues": {STREAM: 2, LIST: 3}}
    asyncio.run(silent(trigger(threshold=4), 1))


def test_a_list_that_a_killed_drain_has_claimed_still_counts(redis_client):
    redis_client.rpush(LIST, "1", "2")
    queue = open_queue(redis_client, LIST)
    queue.take("killed")
    queue.claim(10, START)
    assert not redis_client.exists(LIST)
    assert asyncio.run(first_event(trigger(threshold=2))) == {"queues": {LIST: 2}}


def test_it_fires_again_after_the_cooldown_as_long_as_there_is_a_backlog(redis_client):
    """Whatever becomes of the run, the backlog is not forgotten."""
    add(redis_client, "1")

    async def moments() -> list[float]:
        found = []
        async with aclosing(trigger(cooldown=1.5).run()) as events, asyncio.timeout(PATIENCE):
            async for _ in events:
                found.append(time.monotonic())
                if len(found) == 3:
                    redis_client.delete(STREAM)
                    break
        return found

    first, second, third = asyncio.run(moments())
    assert second - first >= 1.4
    assert third - second >= 1.4


@asynccontextmanager
async def sharing(*triggers: QueueBacklogTrigger) -> AsyncIterator[list[tuple[int, Any]]]:
    """Run triggers as the triggerer does; yields the list that their events are added to."""
    manager = SharedStreamManager()
    fired: list[tuple[int, Any]] = []

    async def listen(number: int, each: QueueBacklogTrigger) -> None:
        stream = manager.subscribe(trigger_id=number, trigger=each, key=each.shared_stream_key())
        async for event in each.filter_shared_stream(stream):
            fired.append((number, event.payload["queues"]))

    listening = [asyncio.create_task(listen(*pair)) for pair in enumerate(triggers)]
    try:
        yield fired
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await manager.stop_all()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


def test_many_triggers_share_one_connection_and_each_fires_for_its_own_queues(redis_client):
    """Different queues, thresholds and cooldowns; one looks less often, and by itself."""
    triggers = [
        trigger(queues=[STREAM], threshold=2, cooldown=600),
        trigger(queues=[LIST], threshold=1, cooldown=600),
        trigger(queues=[STREAM, LIST], threshold=3, cooldown=600),
        trigger(queues=[LIST], threshold=1, cooldown=600, poll_interval=0.3),
    ]

    async def scenario() -> tuple[int, list[tuple[int, Any]]]:
        before = len(redis_client.client_list())
        async with sharing(*triggers) as fired:
            add(redis_client, "1", "2")
            await until(lambda: len(fired) == 1)
            redis_client.rpush(LIST, "1", "2", "3")
            await until(lambda: len(fired) == 4)
            connections = len(redis_client.client_list()) - before
        return connections, fired

    connections, fired = asyncio.run(scenario())
    assert connections == 2
    assert fired[0] == (0, {STREAM: 2})
    assert sorted(fired[1:]) == [(1, {LIST: 3}), (2, {LIST: 3}), (3, {LIST: 3})]
    assert not any(queue_backlog._SHARING.values())


def test_a_trigger_that_comes_later_is_served_and_one_that_leaves_is_not_asked_for(redis_client):
    early, late = trigger(queues=[STREAM], cooldown=600), trigger(queues=[LIST], cooldown=600)
    asked: list[Any] = []

    async def scenario() -> list[tuple[int, Any]]:
        manager = SharedStreamManager()
        key = early.shared_stream_key()
        first = manager.subscribe(trigger_id=1, trigger=early, key=key)
        events = early.filter_shared_stream(first)
        add(redis_client, "1")
        async with asyncio.timeout(PATIENCE):
            fired = [(1, (await anext(events)).payload["queues"])]
            second = manager.subscribe(trigger_id=2, trigger=late, key=key)
            later = late.filter_shared_stream(second)
            await events.aclose()
            await manager.unsubscribe(1, key)
            redis_client.rpush(LIST, "1")
            fired.append((2, (await anext(later)).payload["queues"]))
        asked.extend(queue_backlog._keys_of(key))
        await later.aclose()
        await manager.stop_all()
        return fired

    assert asyncio.run(scenario()) == [(1, {STREAM: 1}), (2, {LIST: 1})]
    assert asked == [(LIST,)]


def test_what_redis_refuses_to_one_trigger_does_not_blind_the_others(redis_client, caplog):
    """One key is a hash; it is told once, and not at every look."""
    redis_client.hset("batchdrain:broken", "a", "1")
    triggers = (trigger(queues=["batchdrain:broken", STREAM]), trigger(queues=[LIST]))

    async def scenario() -> list[tuple[int, Any]]:
        async with sharing(*triggers) as fired:
            redis_client.rpush(LIST, "1")
            await until(lambda: len(fired) == 2)
        return fired

    assert asyncio.run(scenario()) == [(1, {LIST: 1})] * 2
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    (sentence,) = told
    assert "batchdrain:broken is a hash, neither stream nor list" in sentence


def test_an_outage_is_waited_out_and_told_sparingly(own_valkey, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AIRFLOW_CONN_OWN", f"{own_valkey.url}?retries=0&socket_timeout=1")
    own_valkey.stop()

    async def scenario() -> list[tuple[int, Any]]:
        async with sharing(trigger(redis_conn_id="own", cooldown=600)) as fired:
            await until(lambda: "is away" in caplog.text)
            await asyncio.sleep(1.5)
            await asyncio.to_thread(own_valkey.start)
            with redis.Redis.from_url(own_valkey.url) as client:
                add(client, "1")
            await until(lambda: bool(fired))
        return fired

    assert asyncio.run(scenario()) == [(0, {STREAM: 1})]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert 1 <= len(warnings) <= 4
    assert f"own ({own_valkey.host}:{own_valkey.port}) answers again" in caplog.text


def test_a_server_that_is_killed_while_it_is_watched_is_found_again(own_valkey, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OWN", f"{own_valkey.url}?retries=0")

    async def scenario() -> list[tuple[int, Any]]:
        async with sharing(trigger(redis_conn_id="own")) as fired:
            with redis.Redis.from_url(own_valkey.url) as client:
                add(client, "1")
            await until(lambda: bool(fired))
            await asyncio.to_thread(own_valkey.kill)
            fired.clear()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own_valkey.start)
            await until(lambda: bool(fired))
        return fired

    assert asyncio.run(scenario())[0] == (0, {STREAM: 1})


def test_a_connection_that_is_missing_is_told_and_found_once_it_is_set(
    redis_client, redis_url, monkeypatch, caplog
):
    """Airflow would start a trigger that raises again at once, with a stack trace every second."""
    monkeypatch.setattr(queue_backlog, "REFUSED_SECONDS", 0.2)
    add(redis_client, "1")

    async def scenario() -> Any:
        waiting = asyncio.create_task(first_event(trigger(redis_conn_id="late")))
        await until(lambda: "connection 'late' does not exist" in caplog.text)
        monkeypatch.setenv("AIRFLOW_CONN_LATE", redis_url)
        return await waiting

    assert asyncio.run(scenario()) == {"queues": {STREAM: 1}}
    assert "No queue is watched" in caplog.text


def test_a_connection_that_is_changed_is_noticed_without_a_restart(
    redis_client, redis_url, own_valkey, monkeypatch
):
    monkeypatch.setattr(looks, "RENEWED_AFTER", 0.3)
    monkeypatch.setenv("AIRFLOW_CONN_MOVED", own_valkey.url)
    add(redis_client, "1")

    async def scenario() -> Any:
        waiting = asyncio.create_task(first_event(trigger(redis_conn_id="moved")))
        await asyncio.sleep(1)
        assert not waiting.done()
        monkeypatch.setenv("AIRFLOW_CONN_MOVED", redis_url)
        return await waiting

    assert asyncio.run(scenario()) == {"queues": {STREAM: 1}}


@pytest.mark.parametrize("error", [None, TransientError("away"), ConfigurationError("refused")])
def test_a_cancellation_that_something_below_swallows_ends_it_all_the_same(monkeypatch, error):
    """asyncio.wait_for of Python 3.11 does, at an unlucky moment; Airflow would wait for ever."""
    asked: list[str] = []

    async def survey(_: AsyncQueueHook, keys: list[str]) -> list[Backlog]:
        asked.extend(keys)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(PATIENCE)
        if error is not None:
            raise error
        return []

    monkeypatch.setattr(AsyncQueueHook, "survey", survey)

    async def scenario() -> None:
        watching = asyncio.create_task(first_event(trigger()))
        await until(lambda: bool(asked))
        watching.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([watching])
        assert watching.cancelled()

    asyncio.run(scenario())


def reached(redis_conn_id: str = "redis_default") -> BacklogReached:
    """Return the sensor's trigger, as the triggerer makes it from what Airflow has kept."""
    given = BacklogReached(
        queues=(STREAM, LIST),
        prefix="batchdrain",
        redis_conn_id=redis_conn_id,
        threshold=2,
        poll_interval=0.1,
    )
    path, kept = given.serialize()
    assert path == "batchdrain.triggers.backlog_reached.BacklogReached"
    return BacklogReached(**json.loads(json.dumps(kept)))


def test_the_trigger_of_the_sensor_lets_the_worker_end_before_it_fires(redis_client):
    """Airflow would take the end of the process that deferred for the end of the task."""
    add(redis_client, "1", "2")
    began = time.monotonic()
    assert asyncio.run(first_event(reached())) == {"queues": {STREAM: 2}}
    assert time.monotonic() - began >= backlog_reached.SETTLING_SECONDS


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_reached, "SETTLING_SECONDS", 0)


@pytest.mark.usefixtures("at_once")
def test_the_trigger_of_the_sensor_fires_once(redis_client):
    add(redis_client, "1", "2")

    async def every_event() -> list[TriggerEvent]:
        async with asyncio.timeout(PATIENCE):
            return [event async for event in reached().run()]

    (event,) = asyncio.run(every_event())
    assert event.payload == {"queues": {STREAM: 2}}


@pytest.mark.usefixtures("at_once")
def test_the_trigger_of_the_sensor_tells_when_waiting_would_not_help(redis_client):
    redis_client.set(STREAM, "text")
    payload = asyncio.run(first_event(reached()))
    assert f"{STREAM} is a string, neither stream nor list" in payload["error"]
    payload = asyncio.run(first_event(reached("nowhere")))
    assert "'nowhere' does not exist" in payload["error"]


@pytest.mark.usefixtures("at_once")
def test_the_trigger_of_the_sensor_waits_for_a_server_that_is_away(own_valkey, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OWN", f"{own_valkey.url}?retries=0")
    with redis.Redis.from_url(own_valkey.url) as client:
        add(client, "1", "2")
    own_valkey.stop()

    async def scenario() -> Any:
        waiting = asyncio.create_task(first_event(reached("own")))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await asyncio.to_thread(own_valkey.start)
        return await waiting

    assert asyncio.run(scenario()) == {"queues": {STREAM: 2}}
