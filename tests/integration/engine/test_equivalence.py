"""A batch leaves and refuses what applying its records one at a time would (SEMANTICS, §1).

The engine and the oracle get the same records on two copies of one table. `-m long` tries many
more batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from batchdrain.engine.catalog import read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import BatchResult, Operation, Record, RecordResult
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings
from oracle import ANY, Change, Oracle, Verdict
from table_cases import CASES, TableCase

Connection = psycopg.Connection[Any]

_POISON = ['"\\u0000"', '"a\\u0000b"', "1e999999", "[1e-999999]", '"\\ud800"', '{"x": "\\udc00"}']
_NO_RECORD = [b"5", b"null", b"[]", b'"\\u0000"', b"{}", b'{"nope": 1e999999}']

quick = settings(
    derandomize=True,
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
thorough = settings(quick, derandomize=False, max_examples=400)


@st.composite
def changes(draw: st.DrawFn, case: TableCase) -> Change:
    """One record for the table: mostly sensible, wrong in every way that the contract names."""
    members = {"client_id": draw(st.sampled_from(case.clients)).encode()}
    members["ver"] = draw(st.sampled_from(case.versions)).encode()
    oddity = draw(st.integers(0, 59))
    if oddity == 1:
        del members[draw(st.sampled_from(sorted(members)))]
    operation = draw(st.sampled_from(("INSERT", "INSERT", "UPDATE", "UPDATE", "DELETE", "UPSERT")))
    if oddity == 2:
        return Change(operation, draw(st.sampled_from(_NO_RECORD)), members)
    listed = []
    for column, texts in case.values.items():
        share = 19 if column in case.key else 2 if column in case.seldom else 10
        if draw(st.integers(1, 20)) <= share:
            listed.append((column, draw(st.sampled_from(texts))))
    if oddity == 3:
        listed.append((draw(st.sampled_from(["nope", "ID", "", "\\u0000"])), "1"))
    if oddity in (4, 5):
        listed.append((draw(st.sampled_from(list(case.values))), draw(st.sampled_from(_POISON))))
    if oddity == 6 and listed:
        listed.append((listed[0][0], draw(st.sampled_from(case.values[listed[0][0]]))))
    data = ", ".join(f'"{column}": {text}' for column, text in listed)
    return Change(operation, f"{{{data}}}".encode(), members)


def batches(case: TableCase) -> st.SearchStrategy[tuple[list[Change], list[int]]]:
    """A sequence of records, and where it is split into batches."""
    return st.tuples(
        st.lists(changes(case), min_size=1, max_size=40),
        st.lists(st.integers(0, 40), max_size=2).map(sorted),
    )


class Copies:
    """A table twice: in schema `theirs` for the oracle, in `ours` for the engine."""

    def __init__(self, connection: Connection, case: TableCase, url: str, style: str) -> None:
        self._connection = connection
        self._case = case
        self._role = f"r{uuid4().hex}"
        connection.execute(f"CREATE ROLE {self._role}".encode())
        for schema in ("ours", "theirs"):
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(case.ddl.replace("{s}", schema).encode())
            connection.execute(
                f"""
GRANT USAGE, CREATE ON SCHEMA {schema} TO {self._role};
GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {self._role}""".encode()
            )
        self._engine = BatchEngine(
            lambda: self._connect(url), "ours.t", settings=EngineSettings(statement_style=style)
        )
        self._engine.open()
        self._asked = self._connect(url)
        assert read_table(self._asked, "ours.t").cutting == case.cutting
        self._oracle = Oracle(self._asked, "theirs", "t")

    def _connect(self, url: str) -> Connection:
        return psycopg.connect(url, autocommit=True, options=f"-c role={self._role}")

    def close(self) -> None:
        """Close the connections and drop the role."""
        self._engine.close()
        self._asked.close()
        self._connection.execute(f"DROP OWNED BY {self._role}; DROP ROLE {self._role}".encode())

    def check(self, batch: Sequence[Change], splits: Sequence[int]) -> None:
        """Apply the same records to both, and compare all that the contract determines."""
        for schema in ("ours", "theirs"):
            self._connection.execute(
                f"TRUNCATE {schema}.t CASCADE; {self._case.seed.replace('{s}', schema)}".encode()
            )
        self._connection.execute("TRUNCATE ours.t_errors")
        verdicts = self._oracle.apply(batch)
        bounds = [0, *splits, len(batch)]
        results: list[BatchResult] = []
        for start, end in pairwise(bounds):
            results.append(self._engine.apply(_records(batch, start, end)))
        ours = [result for batched in results for result in batched.results]
        assert len(ours) == len(batch)
        assert sum(batched.refused for batched in results) == sum(map(bool, verdicts))
        for change, entry, verdict in zip(batch, ours, verdicts, strict=True):
            assert _agreed(entry, verdict) == verdict, change
        assert self._rows("ours") == self._rows("theirs")
        assert self._kept() == [
            (entry.message_id, entry.refusal.error_type, entry.refusal.field)
            for entry in ours
            if entry.refusal is not None
        ]

    def _rows(self, schema: str) -> list[tuple[Any, ...]]:
        """The rows as text; what the clock or a sequence gave only tells that it did."""
        tables = [f"{schema}.t", *([f"{schema}.{self._case.beside}"] if self._case.beside else ())]
        rows = []
        for table in tables:
            for (row,) in self._connection.execute(f"SELECT to_jsonb(t) FROM {table} t".encode()):
                if str(row.get("_updated_at")) > "2010":
                    row["_updated_at"] = "now"
                if self._case.undetermined and row[self._case.undetermined] >= 1000:
                    row[self._case.undetermined] = "next"
                rows.append((table.removeprefix(schema), sorted(row.items(), key=repr)))
        return sorted(rows, key=repr)

    def _kept(self) -> list[tuple[Any, ...]]:
        return self._connection.execute(
            "SELECT message_id, error_type, field_id FROM ours.t_errors ORDER BY message_id::int"
        ).fetchall()


def _agreed(ours: RecordResult, theirs: Verdict | None) -> Verdict | None:
    """What the engine says of a record, the field left open where the oracle leaves it open."""
    if ours.refusal is None:
        return None
    open_field = theirs is not None and theirs.field == ANY
    return Verdict(ours.refusal.error_type, ANY if open_field else ours.refusal.field)


def _records(batch: Sequence[Change], start: int, end: int) -> list[Record]:
    return [
        Record(Operation(change.operation), change.data, change.members, str(ordinal))
        for ordinal, change in enumerate(batch)
        if start <= ordinal < end
    ]


@pytest.fixture(params=STATEMENT_STYLES)
def copies(
    request: pytest.FixtureRequest, connection: Connection, database: str
) -> Iterator[Callable[[TableCase], Copies]]:
    """Makes the two copies of a case's table."""
    made: list[Copies] = []

    def make(case: TableCase) -> Copies:
        made.append(Copies(connection, case, database, request.param))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_batch_is_what_its_records_are_one_at_a_time(
    case: TableCase, copies: Callable[[TableCase], Copies]
) -> None:
    _check(copies(case), case, quick)


@pytest.mark.parametrize("name", ["uuid_key", "secondary_unique", "rules"])
def test_it_is_so_where_the_server_may_not_isolate(
    name: str, connection: Connection, copies: Callable[[TableCase], Copies]
) -> None:
    connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    case = next(case for case in CASES if case.name == name)
    _check(copies(case), case, quick)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plpgsql", [True, False], ids=["on the server", "by halving"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_so_for_many_batches(
    case: TableCase, plpgsql: bool, connection: Connection, copies: Callable[[TableCase], Copies]
) -> None:
    if not plpgsql:
        connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    _check(copies(case), case, thorough)


def _check(both: Copies, case: TableCase, thoroughness: settings) -> None:
    @thoroughness
    @given(batches(case))
    def check(given_batch: tuple[list[Change], list[int]]) -> None:
        both.check(*given_batch)

    check()
