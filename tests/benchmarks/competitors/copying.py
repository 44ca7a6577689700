"""COPY: with rows formatted in Python, and with blocks that were formatted beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import psycopg

from benchmarks.competitors import Servers
from benchmarks.competitors.reading import inserted
from benchmarks.scenario import Scenario
from benchmarks.table import copy_block, copy_statement


@contextmanager
def formatted(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """COPY of rows that psycopg formats; one per batch."""
    statement = copy_statement(scenario.table)
    with psycopg.connect(servers.postgres, autocommit=True) as connection:

        def _run() -> None:
            cursor = connection.cursor()
            for batch in scenario.batches:
                with cursor.copy(statement) as copy:
                    for row in inserted(batch):
                        copy.write_row(row)

        yield _run


@contextmanager
def preformatted(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
    """COPY of finished blocks, one per batch: the limit, for nothing is parsed inside the clock."""
    statement = copy_statement(scenario.table)
    blocks = [
        copy_block(msgspec.json.decode(message)["record"] for message in batch)
        for batch in scenario.batches
    ]
    with psycopg.connect(servers.postgres, autocommit=True) as connection:

        def _run() -> None:
            cursor = connection.cursor()
            for block in blocks:
                with cursor.copy(statement) as copy:
                    copy.write(block)

        yield _run
