"""A producer at a steady rate, and an observer of when its records are there and what waits."""

from __future__ import annotations

import json
import statistics
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psycopg
from redis import Redis

TABLE = "CREATE TABLE {table} (id bigint PRIMARY KEY, payload text)"
_TICK = 0.02
"""Seconds between two portions of messages, and between two looks; latencies are that coarse."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from XADD until the record was visible, of all records pushed."""

    records: int
    p50: float
    p95: float
    longest: float

    def __str__(self) -> str:
        return (
            f"{self.records} records: p50 {self.p50:.2f} s, p95 {self.p95:.2f} s, "
            f"max {self.longest:.2f} s"
        )


@dataclass
class SteadyLoad:
    """Pushes INSERTs with growing ids to a table's stream while its context is open.

    `rate` is in records per second, one in a message; afterwards `wait_until_applied` and the
    figures. `depths` has pairs of seconds since the start and messages in the stream.
    """

    redis_url: str
    database: str
    table: str
    rate: float
    depths: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pushed = 0
        self._began = time.monotonic()
        self._pushed_at: list[float] = []
        self._seen_at: list[float] = []
        self._stop_pushing = threading.Event()
        self._stop_looking = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._push, self._look)]
        self._failure: BaseException | None = None

    @property
    def key(self) -> str:
        """The stream's key."""
        return f"batchdrain:{self.table}"

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Push no more; when the test has failed look no more either."""
        self.stop()
        if error is not None:
            self._end()

    def only_push(self) -> None:
        """Push without a look at the table, which may be locked; `stop` ends that."""
        self._began = time.monotonic()
        self._threads[0].start()

    def stop(self) -> None:
        """Push no more."""
        self._stop_pushing.set()
        self._threads[0].join()

    def wait_until_applied(self, seconds: float) -> None:
        """Return when every record is there; raises AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self._seen_at) < self.pushed and not self._failure:
            if time.monotonic() > deadline:
                self._end()
                raise AssertionError(
                    f"{len(self._seen_at)} of {self.pushed} {self.table} are there"
                )
            time.sleep(_TICK)
        self._end()
        if self._failure:
            raise self._failure

    def latencies(self) -> Latencies:
        """Return the figures of all records that are there."""
        waited = [
            seen - pushed for pushed, seen in zip(self._pushed_at, self._seen_at, strict=False)
        ]
        percentiles = statistics.quantiles(waited, n=100)
        return Latencies(len(waited), percentiles[49], percentiles[94], max(waited))

    def deepest(self, begin: float = 0.0, end: float = float("inf")) -> int:
        """Return the most messages that the stream held between two times, in seconds."""
        return max(depth for at, depth in self.depths if begin <= at < end)

    def _end(self) -> None:
        self._stop_looking.set()
        self._threads[1].join()

    def _push(self) -> None:
        with Redis.from_url(self.redis_url) as redis:
            while not self._stop_pushing.is_set():
                due = int((time.monotonic() - self._began) * self.rate)
                with redis.pipeline(transaction=False) as pipeline:
                    for number in range(self.pushed, due):
                        record = {"id": number, "payload": "steady"}
                        message = json.dumps({"operation": "INSERT", "record": record})
                        pipeline.xadd(self.key, {"data": message})
                    now = time.monotonic()
                    pipeline.execute()
                self._pushed_at.extend([now] * (due - self.pushed))
                self.pushed = due
                self._stop_pushing.wait(_TICK)

    def _look(self) -> None:
        try:
            with (
                psycopg.connect(self.database, autocommit=True) as connection,
                Redis.from_url(self.redis_url) as redis,
            ):
                while not self._stop_looking.wait(_TICK):
                    # Records are applied in queue order, so all up to the newest are there.
                    query = f"SELECT coalesce(max(id) + 1, 0) FROM {self.table}"
                    (there,) = connection.execute(query).fetchone() or (0,)
                    now = time.monotonic()
                    self._seen_at.extend([now] * (there - len(self._seen_at)))
                    self.depths.append((now - self._began, int(redis.xlen(self.key))))
        except BaseException as error:
            self._failure = error
            raise
