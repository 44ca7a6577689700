"""Whole drains, from a stream and from a list, with everything on: position, log, settling."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import redis

from batchdrain.drain import DrainLimits, DrainObserver, DrainOutcome, drain
from batchdrain.engine import BatchEngine
from batchdrain.engine.run import Run
from batchdrain.queues.opening import open_queue
from benchmarks.competitors import Servers
from benchmarks.scenario import Scenario

_PUSHED_AT_ONCE = 1_000
_shards = itertools.count()


class UnfinishedDrainError(Exception):
    """A drain did not apply all that it was given."""


class Drain:
    """`batchdrain.drain.drain` of a queue that holds all messages; `kind` is stream or list."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor. Taking the queue over and giving it back are inside the clock."""
        with redis.Redis.from_url(servers.redis) as client:
            client.flushall()
            key = fresh_key(scenario.table)
            push(client, self._kind, key, itertools.chain.from_iterable(scenario.batches))
            size = len(scenario.batches[0])
            with open_engine(servers.postgres, scenario.table, key) as engine:
                yield lambda: finish(client, key, engine, size, scenario.records)


def fresh_key(table: str) -> str:
    """Return the key of a queue of which PostgreSQL has no position: that of another shard."""
    return f"batchdrain:{table}:{next(_shards)}"


def push(client: redis.Redis, kind: str, key: str, messages: Iterable[bytes]) -> None:
    """Append messages to a stream or a list."""
    pending = iter(messages)
    while chunk := list(itertools.islice(pending, _PUSHED_AT_ONCE)):
        with client.pipeline(transaction=False) as pipeline:
            if kind == "list":
                pipeline.rpush(key, *chunk)
            else:
                _append(pipeline, key, chunk)
            pipeline.execute()


def _append(pipeline: Any, key: str, messages: Sequence[bytes]) -> None:
    for message in messages:
        pipeline.xadd(key, {"data": message})


def open_engine(postgres: str, table: str, key: str) -> BatchEngine:
    """Return an engine that is connected and has read its table."""
    engine = BatchEngine(
        lambda: psycopg.connect(postgres), table, queue=key, run=Run("bench", "bench", "drain")
    )
    engine.open()
    return engine


def finish(
    client: redis.Redis,
    key: str,
    engine: BatchEngine,
    size: int,
    records: int,
    observer: DrainObserver | None = None,
) -> DrainOutcome:
    """Drain a queue to its end, in batches of `size`.

    Raises UnfinishedDrainError unless all records were applied and none is left.
    """
    limits = DrainLimits(batch_records=size)
    outcome = drain(open_queue(client, key), engine, limits=limits, observer=observer)
    if (outcome.applied, outcome.left) != (records, 0):
        raise UnfinishedDrainError(outcome.sentence())
    return outcome
