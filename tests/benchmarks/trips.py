"""Counts the round trips to PostgreSQL that a clean batch of a drain takes."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import psycopg
import redis

from batchdrain.drain import BatchReport
from benchmarks import table
from benchmarks.competitors import Servers
from benchmarks.competitors.drains import finish, fresh_key, open_engine, push
from benchmarks.scenario import Scenario
from proxy import PostgresProxy

_DELAY = 0.003
"""Seconds by which answers are late, so that what is sent without waiting counts as one."""


class _Counter:
    """Remembers how many round trips there were when each batch had been committed."""

    def __init__(self, proxy: PostgresProxy) -> None:
        self._proxy = proxy
        self.seen: list[int] = []

    def batch(self, report: BatchReport) -> None:
        """Remember."""
        self.seen.append(self._proxy.trips)

    def sized(self, records: int, reason: str) -> None:
        """Ignore the size."""

    def note(self, sentence: str) -> None:
        """Ignore the sentence."""


def round_trips(connection: psycopg.Connection[Any], servers: Servers, scenario: Scenario) -> int:
    """Return the round trips of the batch that took most of them, the first left out."""
    table.fill(connection, scenario.table, scenario.before)
    with (
        redis.Redis.from_url(servers.redis) as client,
        PostgresProxy(servers.postgres, delay=_DELAY) as proxy,
    ):
        client.flushall()
        key = fresh_key(scenario.table)
        push(client, "stream", key, chain.from_iterable(scenario.batches))
        counter = _Counter(proxy)
        with open_engine(proxy.url, scenario.table, key) as engine:
            size = len(scenario.batches[0])
            finish(client, key, engine, size, scenario.records, counter)
    table.check(connection, scenario.table, scenario.after, scenario.refused)
    return max(after - before for before, after in pairwise(counter.seen))
