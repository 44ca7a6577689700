"""The engine of batchdrain, without a queue, in both styles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from batchdrain.engine import BatchEngine, EngineSettings, Operation, Record
from batchdrain.queues.message import Envelope, decode
from benchmarks.competitors import Servers
from benchmarks.scenario import Scenario

_OPERATIONS = {operation.value: operation for operation in Operation}


class NoResultError(Exception):
    """A record was given no result of its own."""


class Engine:
    """`BatchEngine.apply`, one batch after the other, a result for each record.

    With `ahead` a thread decodes the next batch while PostgreSQL works on this one, as a drain
    does; without, everything happens in turn.
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
            source = _decoded_ahead if self._ahead else _decoded

            def _run() -> None:
                refused = 0
                for records in source(scenario.batches):
                    result = engine.apply(records)
                    refused += sum(not entry.applied for entry in result.results)
                    if len(result.results) != len(records):
                        raise NoResultError(f"{len(result.results)} of {len(records)} results")
                if refused != scenario.refused:
                    raise NoResultError(f"{refused} refused, not {scenario.refused}")

            yield _run


def _decoded(batches: Sequence[Sequence[bytes]]) -> Iterator[list[Record]]:
    yield from map(_records, batches)


def _decoded_ahead(batches: Sequence[Sequence[bytes]]) -> Iterator[list[Record]]:
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(_records, batches[0])
        for batch in batches[1:]:
            records = following.result()
            following = thread.submit(_records, batch)
            yield records
        yield following.result()


def _records(messages: Sequence[bytes]) -> list[Record]:
    out: list[Record] = []
    for message in messages:
        envelope = decode(message)
        if not isinstance(envelope, Envelope):
            raise NoResultError(envelope.reason)
        operation = _OPERATIONS[envelope.operation]
        out += [Record(operation, data, envelope.members) for data in envelope.records]
    return out
