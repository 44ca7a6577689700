"""A batch leaves and refuses what applying its records one at a time would (SEMANTICS, §1).

The engine and the oracle get the same records on two copies of one table. `-m long` tries many
more batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings

from batchdrain.engine import target
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import Operation, Record
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings
from changes import batches, quick, thorough
from copies import Copies, agreed
from oracle import Change
from table_case import TableCase
from table_cases import CASES

Connection = psycopg.Connection[Any]

Check = Callable[[TableCase, settings], None]
"""Compares engine and oracle on many batches for one table."""


@pytest.fixture(params=STATEMENT_STYLES)
def check(request: pytest.FixtureRequest, connection: Connection, database: str) -> Iterator[Check]:
    """See Check."""
    made: list[tuple[Copies, BatchEngine]] = []

    def compare(case: TableCase, thoroughness: settings) -> None:
        copies = Copies(connection, case, database)
        engine = BatchEngine(
            copies.connect,
            f"{copies.ours}.t",
            settings=EngineSettings(statement_style=request.param),
        )
        made.append((copies, engine))
        engine.open()

        @thoroughness
        @given(batches(case))
        def compare_batches(given_batch: tuple[list[Change], list[int]]) -> None:
            _compare(copies, engine, *given_batch)

        compare_batches()

    yield compare
    for copies, engine in made:
        engine.close()
        copies.close()


def _compare(
    copies: Copies, engine: BatchEngine, batch: Sequence[Change], splits: Sequence[int]
) -> None:
    copies.begin_anew()
    verdicts = copies.verdicts(batch)
    bounds = [0, *splits, len(batch)]
    results = [engine.apply(_records(batch, start, end)) for start, end in pairwise(bounds)]
    ours = [result for batched in results for result in batched.results]
    assert len(ours) == len(batch)
    assert sum(batched.refused for batched in results) == sum(map(bool, verdicts))
    for change, entry, verdict in zip(batch, ours, verdicts, strict=True):
        assert agreed(entry, verdict) == verdict, change
    copies.check_rows()
    assert copies.refusals() == [
        (entry.message_id, entry.refusal.error_type, entry.refusal.field)
        for entry in ours
        if entry.refusal is not None
    ]


def _records(batch: Sequence[Change], start: int, end: int) -> list[Record]:
    return [
        Record(Operation(change.operation), change.data, change.members, str(ordinal))
        for ordinal, change in enumerate(batch)
        if start <= ordinal < end
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_batch_is_what_its_records_are_one_at_a_time(case: TableCase, check: Check) -> None:
    check(case, quick)


@pytest.mark.parametrize("name", ["uuid_key", "secondary_unique", "rules"])
def test_it_is_so_where_the_server_may_not_isolate(
    name: str, connection: Connection, check: Check
) -> None:
    connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    check(next(case for case in CASES if case.name == name), quick)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.cutting == "waves"], ids=lambda case: case.name
)
def test_it_is_so_where_what_looks_bad_is_kept_apart(
    case: TableCase, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every batch is sifted, from the first on, however often that is in vain."""
    monkeypatch.setattr(target, "_MANY_BAD", -1.0)
    monkeypatch.setattr(target, "_MOSTLY_IN_VAIN", 2.0)
    check(case, quick)


_LONG = 150
"""Examples for each table, style and way to isolate: more than 6,000 for each style in all."""


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plpgsql", [True, False], ids=["on the server", "by halving"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_so_for_many_batches(
    case: TableCase, plpgsql: bool, connection: Connection, check: Check
) -> None:
    if not plpgsql:
        connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    check(case, thorough(_LONG))
