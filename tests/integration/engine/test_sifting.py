"""What looks bad is kept apart, and the good records lose next to nothing by it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.engine import target
from batchdrain.engine.attempt import Attempt, Mode, Work
from batchdrain.engine.settings import STATEMENT_STYLES
from fix_engine import MakeRecord, OpenEngine, refused, value

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.parametrize("style", STATEMENT_STYLES)


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> list[Mode]:
    """The modes in which batches are attempted; every batch is suspected of bad records."""
    tried: list[Mode] = []
    run = Attempt.run

    def noted(self: Attempt, connection: Connection, work: Work, *rest: Any) -> Any:
        tried.append(work.mode)
        return run(self, connection, work, *rest)

    monkeypatch.setattr(target, "_MANY_BAD", -1.0)
    monkeypatch.setattr(Attempt, "run", noted)
    return tried


CREATE = "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL CHECK (v < 100), at timestamptz)"


def test_what_looks_bad_and_what_is_taken_is_refused_in_one_attempt(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, modes: list[Mode]
) -> None:
    connection.execute(CREATE)
    connection.execute("INSERT INTO t VALUES (7, 0)")
    batch = [record("INSERT", {"id": n, "v": n % 100}) for n in range(200)]
    batch[3] = record("INSERT", {"id": 3, "v": "a dozen"})
    batch[5] = record("INSERT", {"id": 5, "v": 1, "at": "soon"})
    batch[6] = record("INSERT", {"id": 6})
    result = open_engine("t").apply(batch)
    assert refused(result) == {
        3: "invalid_text_representation",
        5: "invalid_datetime_format",
        6: "not_null_violation",
        7: "unique_violation",
    }
    assert result.isolated
    assert modes == [Mode.SIFTING]
    assert value(connection, "SELECT count(*) FROM t") == 197
    fields = "SELECT string_agg(field_id, ' ' ORDER BY id) FROM t_errors"
    assert value(connection, fields) == "v at v id"
    # That of the row that was there, and one of all the others: no subtransaction wrote any.
    assert value(connection, "SELECT count(DISTINCT xmin::text) FROM t") == 2


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        ("id bigint PRIMARY KEY", {"id": list(range(40))}),
        ("id numeric PRIMARY KEY", {"id": list(range(40))}),
        ("id uuid PRIMARY KEY", {"id": [f"{n:032x}" for n in range(40)]}),
        ('id text COLLATE "C" PRIMARY KEY', {"id": [f"k{n}" for n in range(40)]}),
        ("id varchar(4) PRIMARY KEY", {"id": [f"k{n}" for n in range(40)]}),
        ("id char(4) PRIMARY KEY", {"id": [f"k{n}" for n in range(40)]}),
        ('"Taken" int PRIMARY KEY', {"Taken": list(range(40))}),
        (
            "a int, taken text, PRIMARY KEY (a, taken)",
            {"a": [n // 3 for n in range(40)], "taken": [str(n % 3) for n in range(40)]},
        ),
    ],
)
def test_taken_keys_are_refused_whatever_their_type(
    connection: Connection,
    open_engine: OpenEngine,
    record: MakeRecord,
    modes: list[Mode],
    keys: str,
    columns: dict[str, list[object]],
) -> None:
    connection.execute(f"CREATE TABLE t ({keys})".encode())
    batch = [
        record("INSERT", dict(zip(columns, key, strict=True)))
        for key in zip(*columns.values(), strict=True)
    ]
    engine = open_engine("t")
    assert engine.apply([batch[n] for n in (4, 17, 18)]).refused == 0
    assert refused(engine.apply(batch)) == dict.fromkeys((4, 17, 18), "unique_violation")
    assert modes == [Mode.SIFTING] * 2
    assert value(connection, "SELECT count(*) FROM t") == 40


def test_a_clean_batch_is_not_isolated(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, modes: list[Mode]
) -> None:
    connection.execute(CREATE)
    engine = open_engine("t")
    for operation in ("INSERT", "UPDATE", "UPSERT", "DELETE"):
        result = engine.apply([record(operation, {"id": n, "v": 1}) for n in range(9)])
        assert (result.applied, result.isolated) == (9, False)
    assert modes == [Mode.SIFTING] * 4


def test_what_only_looks_bad_is_applied(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, modes: list[Mode]
) -> None:
    connection.execute(CREATE)
    batch = [record("INSERT", {"id": n, "v": 1}) for n in range(5)]
    batch[2] = record("INSERT", {"id": "2", "v": 1, "at": "1 March 2025 7:00"})
    assert open_engine("t").apply(batch).refused == 0
    assert modes == [Mode.SIFTING]
    assert value(connection, "SELECT count(*) FROM t WHERE v = 1") == 5


def test_what_cannot_be_seen_is_found_all_the_same(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, modes: list[Mode]
) -> None:
    """After some batches that were sifted in vain, sifting is left alone."""
    connection.execute(CREATE)
    engine = open_engine("t")
    for start in range(0, 80, 10):
        batch = [record("INSERT", {"id": start + n, "v": 1}) for n in range(10)]
        batch[4] = record("INSERT", {"id": start + 4, "v": 100})
        assert refused(engine.apply(batch)) == {4: "check_violation"}
    assert modes[:2] == [Mode.SIFTING, Mode.ON_SERVER]
    assert modes[-2:] == [Mode.ON_SERVER] * 2
    assert value(connection, "SELECT count(*) FROM t") == 72


def test_records_of_one_key_are_not_sifted(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, modes: list[Mode]
) -> None:
    """What comes after a record of the same key must not be applied before it."""
    connection.execute(CREATE)
    batch = [
        record("INSERT", {"id": 1, "v": 1, "at": "1 March 2025 7:00"}),
        record("UPDATE", {"id": 1, "v": 2}),
    ]
    assert open_engine("t").apply(batch).refused == 0
    assert modes == [Mode.ON_SERVER]
    assert value(connection, "SELECT v FROM t") == 2
