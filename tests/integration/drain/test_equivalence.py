"""A drain leaves and refuses what applying the queue's records one at a time would (SEMANTICS, §1).

And a dry run foretells it.

Records travel in messages of one or many, compressed or not, through a stream or a list, and are
applied in batches of any size. `-m long` tries 2,000 queues for each style and kind of queue.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from batchdrain.drain import DrainLimits, Ending, drain, rehearse
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import create_state
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings
from batchdrain.queues.list import ListQueue
from batchdrain.queues.stream import StreamQueue
from changes import changes, quick, thorough
from copies import Copies, agreed
from oracle import ANY, Change
from table_case import TableCase
from table_cases import CASES

Connection = psycopg.Connection[Any]
KINDS = {"stream": StreamQueue, "list": ListQueue}


@dataclass(frozen=True)
class Backlog:
    """What waits in a queue: the table's case, its records, and how they are sent and applied."""

    case: TableCase
    records: tuple[Change, ...]
    together: int
    compressed: bool
    batch_records: int

    def messages(self) -> list[bytes]:
        """The records as messages, at most `together` in one."""
        bodies = []
        for (operation, members), alike in groupby(
            self.records, lambda change: (change.operation, change.members)
        ):
            data = [change.data for change in alike]
            for begin in range(0, len(data), self.together):
                bodies.append(_message(operation, members, data[begin : begin + self.together]))
        return [gzip.compress(body) for body in bodies] if self.compressed else bodies


def _message(operation: str, members: Any, records: Sequence[bytes]) -> bytes:
    scope = b"".join(b'"%b": %b, ' % (name.encode(), value) for name, value in members.items())
    many = b'"records": [%b]' % b", ".join(records)
    content = b'"record": %b' % records[0] if len(records) == 1 else many
    return b'{"operation": "%b", %b%b}' % (operation.encode(), scope, content)


@st.composite
def backlogs(draw: st.DrawFn) -> Backlog:
    """A backlog for one of the tables."""
    case = draw(st.sampled_from(CASES))
    return Backlog(
        case,
        tuple(draw(st.lists(changes(case), min_size=1, max_size=40))),
        together=draw(st.integers(1, 10)),
        compressed=draw(st.booleans()),
        batch_records=draw(st.integers(1, 50)),
    )


Check = Callable[[settings], None]
"""Compares drains and oracle on many backlogs."""


@pytest.fixture(params=STATEMENT_STYLES)
def style(request: pytest.FixtureRequest) -> str:
    """The statement style of the drains."""
    return str(request.param)


@pytest.fixture(params=list(KINDS))
def check(
    request: pytest.FixtureRequest,
    style: str,
    connection: Connection,
    database: str,
    redis_client: redis.Redis,
) -> Iterator[Check]:
    """See Check."""
    made: dict[str, tuple[Copies, BatchEngine]] = {}
    create_state(connection)
    connection.execute(
        """
GRANT USAGE ON SCHEMA batchdrain TO PUBLIC;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA batchdrain TO PUBLIC"""
    )

    def opened(case: TableCase) -> tuple[Copies, BatchEngine]:
        if case.name not in made:
            copies = Copies(connection, case, database)
            table = f"{copies.ours}.t"
            chosen = EngineSettings(statement_style=style)
            engine = BatchEngine(copies.connect, table, queue=_key(case), settings=chosen)
            made[case.name] = (copies, engine)
            engine.open()
        return made[case.name]

    def compare(thoroughness: settings) -> None:
        @thoroughness
        @given(backlogs())
        def compare_backlogs(backlog: Backlog) -> None:
            _compare(*opened(backlog.case), redis_client, request.param, backlog)

        compare_backlogs()

    yield compare
    for copies, engine in made.values():
        engine.close()
        copies.close()


def _key(case: TableCase) -> str:
    return f"batchdrain:{case.name}"


def _compare(
    copies: Copies, engine: BatchEngine, client: redis.Redis, kind: str, backlog: Backlog
) -> None:
    copies.begin_anew()
    key = _key(backlog.case)
    for message in backlog.messages():
        if kind == "stream":
            client.xadd(key, {"data": message})
        else:
            client.rpush(key, message)
    told = rehearse(KINDS[kind](client, key), engine)
    copies.check_rows()
    limits = DrainLimits(batch_records=backlog.batch_records, max_refused_share=1.0)
    outcome = drain(KINDS[kind](client, key), engine, limits=limits)
    everything = copies.verdicts(backlog.records)
    assert list(map(agreed, told.result.results, everything)) == everything
    verdicts = [verdict for verdict in everything if verdict is not None]
    copies.check_rows()
    assert (outcome.ending, outcome.left) == (Ending.EMPTY, 0)
    assert (outcome.records, outcome.refused) == (len(backlog.records), len(verdicts))
    for (_, error_type, field), verdict in zip(copies.refusals(), verdicts, strict=True):
        assert error_type == verdict.error_type
        assert verdict.field in (field, ANY)


def test_a_queue_is_what_its_records_are_one_at_a_time(check: Check) -> None:
    check(settings(quick, max_examples=40))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_it_is_so_for_many_queues(check: Check) -> None:
    check(thorough(2000))
