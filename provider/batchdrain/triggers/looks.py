"""Looks at queues again and again, through outages, for as many watchers as there are."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from batchdrain.errors import SystemicError, TransientError
from batchdrain.hooks.async_queue import AsyncQueueHook
from batchdrain.queues.backlog import Backlog, queues_only

SHORTEST_INTERVAL = 0.1
"""Seconds between two looks, at least: less would only keep Redis busy, for Airflow itself takes
up to a second to act on what was seen."""

LONGEST_WAIT = 10.0
"""Seconds between two looks at a server that is away, at most: it is noticed soon when it is back,
and one attempt in ten seconds costs nothing."""

RENEWED_AFTER = 60.0
"""Seconds after which the connection is looked up again: one that was changed in Airflow takes
effect without a restart of the triggerer."""

Keys: TypeAlias = tuple[str, ...]
"""The keys of the queues that one watcher watches."""

_log = logging.getLogger(__name__)


async def looks(
    redis_conn_id: str, interval: float, watchers: Callable[[], Collection[Keys]]
) -> AsyncGenerator[Mapping[str, Backlog], None]:
    """Yield what the queues hold, by their keys, every `interval` seconds, for ever.

    Each look asks `watchers` anew and surveys all queues at once. While the server is away it
    waits, up to LONGEST_WAIT, and warns. What Redis refuses to one watcher is logged and left out,
    and the others go on. Raises SystemicError if there is no such connection, or if Redis refuses
    everything.
    """
    failures = 0
    while True:
        try:
            async with AsyncQueueHook(redis_conn_id) as hook:
                told: set[str] = set()
                renewal = time.monotonic() + RENEWED_AFTER
                while time.monotonic() < renewal:
                    found = await _look(hook, set(watchers()), told)
                    if failures:
                        _log.info("Redis at %s answers again", hook.address())
                        failures = 0
                    yield found
                    await rest(interval)
        except TransientError as error:
            failures += 1
            # The first, second, fourth, eighth … failure: a long outage does not fill the log.
            if not failures & (failures - 1):
                _log.warning("%s; looking again until it answers", error)
            await rest(wait_after(failures, interval))


async def rest(seconds: float) -> None:
    """Sleep; end the task instead if it has been cancelled before.

    Before Python 3.12 asyncio.wait_for, with which redis-py sends, loses a cancellation that comes
    at the moment when it is done.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)


def wait_after(failures: int, interval: float) -> float:
    """Return the seconds to wait after so many failures in a row: twice as many each time.

    At most LONGEST_WAIT, cut by a random part of up to half of it.
    """
    return min(LONGEST_WAIT, interval * 2.0 ** min(failures, 30)) * random.uniform(0.5, 1.0)


async def _look(
    hook: AsyncQueueHook, watchers: Collection[Keys], told: set[str]
) -> Mapping[str, Backlog]:
    try:
        return await _survey(hook, {key for keys in watchers for key in keys})
    except SystemicError:
        if len(watchers) < 2:
            raise
    return await _one_by_one(hook, watchers, told)


async def _one_by_one(
    hook: AsyncQueueHook, watchers: Collection[Keys], told: set[str]
) -> Mapping[str, Backlog]:
    """Look for each watcher by itself, so that a key that Redis refuses blinds only its own."""
    found: dict[str, Backlog] = {}
    refusals: list[SystemicError] = []
    for keys in watchers:
        try:
            found.update(await _survey(hook, keys))
        except SystemicError as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    for sentence in map(str, refusals):
        if sentence not in told:
            _log.error("Not watched until it is mended: %s", sentence)
            told.add(sentence)
    return found


async def _survey(hook: AsyncQueueHook, keys: Iterable[str]) -> dict[str, Backlog]:
    return queues_only(await hook.survey(list(keys)))
