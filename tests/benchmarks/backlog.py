"""A backlog of a million messages: how fast it is drained, and in how much memory."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg
import redis

from benchmarks import records, table
from benchmarks.competitors import Servers
from benchmarks.competitors.drains import fresh_key, push
from benchmarks.process import Ask, child
from benchmarks.rounds import settle_down
from benchmarks.scale import Scale
from benchmarks.table import CANOTA, WrongContentError


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rates in records/s of a short backlog and of the long one, and the growth of memory in MiB.

    Memory grows from what the process has before its first drain to the most that it ever had.
    """

    short_rate: float
    long_rate: float
    growth: float


def backlog(connection: psycopg.Connection[Any], servers: Servers, scale: Scale) -> Backlog:
    """Drain some short backlogs and then the long one, all in one process.

    Raises WrongContentError when the table does not hold afterwards what it should.
    """
    with child("benchmarks.drain_process") as ask:
        ask({"postgres": servers.postgres, "redis": servers.redis})
        before, rates = None, []
        for _ in range(scale.short_drains):
            answer = _drained(connection, servers, ask, scale.records, scale.batch)
            before = answer["before"] if before is None else before
            rates.append(scale.records / answer["seconds"])
        answer = _drained(connection, servers, ask, scale.backlog, scale.batch)
    return Backlog(
        median(rates), scale.backlog / answer["seconds"], answer["peak"] - (before or 0.0)
    )


def _drained(
    connection: psycopg.Connection[Any],
    servers: Servers,
    ask: Ask,
    count: int,
    batch: int,
) -> dict[str, float]:
    table.fill(connection, CANOTA, b"")
    key = fresh_key(CANOTA)
    with redis.Redis.from_url(servers.redis) as client:
        client.flushall()
        push(client, "stream", key, records.messages("INSERT", records.records(count)))
    settle_down(connection)
    answer = ask({"table": CANOTA, "key": key, "records": count, "batch": batch})
    # Every record has another key, and its number as quantity.
    found = connection.execute(f"SELECT count(*), sum(quantity) FROM {CANOTA}".encode()).fetchone()
    if found != (count, count * (count - 1) // 2):
        raise WrongContentError(f"{CANOTA} does not hold the {count} records of the backlog")
    return answer
