"""The engine of batchdrain, without a queue, in both styles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import psycopg

from batchdrain.engine import BatchEngine, BatchResult, EngineSettings, Operation, Record
from batchdrain.engine.target import PreparedBatch
from batchdrain.queues.envelope import Envelope
from batchdrain.queues.message import decode_all
from benchmarks.competitors import Servers
from benchmarks.scenario import Scenario

_OPERATIONS = {operation.value: operation for operation in Operation}


class NoResultError(Exception):
    """A record was given no result of its own."""


class Engine:
    """`BatchEngine.apply`, one batch after the other, a result for each record.

    With `ahead` the next batch is decoded and prepared while PostgreSQL works on this one, as a
    drain does; without, everything happens in turn.
    """

    def __init__(self, style: str = "recordset", *, ahead: bool = True) -> None:
        self._settings = EngineSettings(statement_style=style)
        self._ahead = ahead

    @contextmanager
    def __call__(self, servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        """See Competitor."""
        with BatchEngine(
            lambda: psycopg.connect(servers.postgres), scenario.table, settings=self._settings
        ) as engine:
            engine.open()

            def _run() -> None:
                refused = 0
                for result, records in _applied(engine, scenario.batches, self._ahead):
                    refused += sum(not entry.applied for entry in result.results)
                    if len(result.results) != records:
                        raise NoResultError(f"{len(result.results)} of {records} results")
                if refused != scenario.refused:
                    raise NoResultError(f"{refused} refused, not {scenario.refused}")

            yield _run


def _applied(
    engine: BatchEngine, batches: Sequence[Sequence[bytes]], ahead: bool
) -> Iterator[tuple[BatchResult, int]]:
    """Apply the batches in turn; yield each result and how many records its batch had."""
    waiting = iter(batches)
    prepared: deque[PreparedBatch] = deque()

    def _prepare() -> None:
        if not prepared:
            prepared.extend(engine.prepare(_records(batch)) for batch in islice(waiting, 1))

    _prepare()
    while prepared:
        batch = prepared.popleft()
        result = engine.apply(batch, meanwhile=_prepare if ahead else None)
        yield result, len(batch.records)
        _prepare()


def _records(messages: Sequence[bytes]) -> list[Record]:
    out: list[Record] = []
    for envelope in decode_all(messages):
        if not isinstance(envelope, Envelope):
            raise NoResultError(envelope.reason)
        operation = _OPERATIONS[envelope.operation]
        out += [Record(operation, data, envelope.members) for data in envelope.records]
    return out
