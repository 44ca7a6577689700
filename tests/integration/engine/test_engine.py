"""What one engine does to a table: results, odd names, privileges, changes, sizes."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from batchdrain.engine.position import Move
from batchdrain.engine.records import BatchResult, Malformed
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.errors import (
    BrakeError,
    ConfigurationError,
    HandedOverError,
    SystemicError,
    TransientError,
)
from fix_engine import MakeRecord, MakeRole, OpenEngine, refused, value

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.parametrize("style", STATEMENT_STYLES)

ODD_NAMES = [
    'quo"ted',
    "UPPER",
    "naïve ü",
    "50%",
    "%s",
    "{braces}",
    "$1",
    "$batchdrain$",
    "back\\slash",
    "it's",
    "select",
    "a b",
    "n",
    "n_",
    "r",
    "t",
    "u",
    "document",
    "here",
    "missing",
    "record",
    "_",
]


def rows(connection: Connection, table: str = "t") -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1".encode()).fetchall()


def test_every_record_has_a_result_in_its_place(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, _client_id text, v int)")
    connection.execute("INSERT INTO t VALUES (1, 'c1', 1), (2, 'other', 2), (3, NULL, 3)")
    result = open_engine("t").apply(
        [
            record("UPDATE", {"id": 1, "v": 9}),
            Malformed("no JSON", b"{", operation="INSERT"),
            record("UPDATE", {"id": 2, "v": 9}),
            record("DELETE", {"id": 3}),
            record("DELETE", {"id": 4}),
            record("INSERT", {"id": 1}),
            record("UPSERT", {"id": "5", "v": 5}),
            record("UPDATE", {"v": 5}),
        ]
    )
    assert refused(result) == {
        1: "malformed_message",
        2: "scope_mismatch",
        3: "scope_mismatch",
        4: "not_found",
        5: "unique_violation",
        7: "malformed_message",
    }
    assert [entry.record_id for entry in result.results] == [
        "1",
        None,
        "2",
        "3",
        "4",
        "1",
        "5",
        None,
    ]
    assert (result.applied, result.refused) == (2, 6)
    assert rows(connection) == [(1, "c1", 9), (2, "other", 2), (3, None, 3), (5, "c1", 5)]


@pytest.mark.parametrize("bad", [False, True], ids=["by sets", "isolated"])
def test_columns_may_have_any_name(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, bad: bool
) -> None:
    table = 'Odd "táble" 100%'
    columns = sql.SQL(", ").join(sql.SQL("{} int").format(sql.Identifier(n)) for n in ODD_NAMES)
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}, {}))").format(
            sql.Identifier(table), columns, *map(sql.Identifier, ODD_NAMES[:2])
        )
    )
    key = dict.fromkeys(ODD_NAMES[:2], 1)
    full = {name: place for place, name in enumerate(ODD_NAMES)} | key
    wrong = [record("INSERT", {**full, ODD_NAMES[-1]: "x"})] * bad
    engine = open_engine(table)
    assert engine.apply([record("INSERT", full), *wrong]).applied == 1
    changed = {name: -value for name, value in full.items() if name not in key}
    wrong = [record("UPDATE", {**changed, **key, ODD_NAMES[-1]: "x"})] * bad
    assert engine.apply([record("UPDATE", {**changed, **key}), *wrong]).applied == 1
    query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
    assert connection.execute(query).fetchall() == [tuple((changed | key)[n] for n in ODD_NAMES)]
    other = {**full, ODD_NAMES[0]: 2}
    wrong = [record("UPSERT", {**other, ODD_NAMES[-1]: "x"})] * bad
    assert engine.apply([record("UPSERT", other), *wrong]).applied == 1
    result = engine.apply([record("DELETE", key), record("DELETE", other), *wrong])
    assert result.applied == 2
    if bad:
        refusal = result.results[-1].refusal
        assert refusal is not None
        assert refusal.field == ODD_NAMES[-1]
    assert connection.execute(query).fetchall() == []


def test_records_may_leave_everything_to_defaults(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int DEFAULT 3)"
    )
    assert open_engine("t").apply([record("INSERT", {}), record("INSERT", b" { } ")]).applied == 2
    assert rows(connection) == [(1, 3), (2, 3)]


def test_few_privileges_are_enough(
    connection: Connection, make_role: MakeRole, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Writing, reading key and scope, and filling an error table that somebody else made."""
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, _client_id text, v int, secret int DEFAULT 1)"
    )
    open_engine("t").open()
    role = make_role(
        "GRANT INSERT (id, _client_id, v), UPDATE (v), DELETE ON t TO {role}",
        "GRANT SELECT (id, _client_id) ON t TO {role}",
        "GRANT INSERT ON t_errors TO {role}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC".replace(
            "{database}", connection.info.dbname
        ),
    )
    engine = open_engine("t", role=role)
    batch = [record("INSERT", {"id": n, "v": n}) for n in range(10)]
    batch += [record("UPDATE", {"id": 1, "v": 7}), record("DELETE", {"id": 2})]
    batch += [record("UPSERT", {"id": 3, "v": 8}), record("INSERT", {"id": 4, "v": "x"})]
    assert refused(engine.apply(batch)) == {13: "invalid_text_representation"}
    assert value(connection, "SELECT sum(v) FROM t WHERE id IN (1, 3)") == 15


@pytest.mark.parametrize(
    ("grants", "operation", "sentence"),
    [
        ((), "INSERT", "GRANT"),
        (("GRANT SELECT ON t TO {role}",), "INSERT", "may not write"),
        (("GRANT SELECT, INSERT ON t TO {role}",), "UPDATE", "may not UPDATE"),
        (("GRANT SELECT, UPDATE ON t TO {role}",), "UPSERT", "may not INSERT"),
        (("GRANT INSERT, DELETE ON t TO {role}",), "DELETE", "may not read"),
    ],
)
def test_a_missing_privilege_is_one_clear_sentence(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    grants: tuple[str, ...],
    operation: str,
    sentence: str,
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    role = make_role("GRANT CREATE ON SCHEMA public TO {role}", *grants)
    with pytest.raises(ConfigurationError, match=sentence):
        open_engine("t", role=role).apply([record(operation, {"id": 1})])
    assert rows(connection) == [(1, 1)]


def test_a_privilege_that_only_one_column_lacks_refuses_its_records_only(
    connection: Connection, make_role: MakeRole, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int, w int)")
    role = make_role(
        "GRANT SELECT, INSERT (id, v) ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}"
    )
    result = open_engine("t", role=role).apply(
        [record("INSERT", {"id": 1, "v": 1}), record("INSERT", {"id": 2, "w": 1})]
    )
    assert refused(result) == {1: "insufficient_privilege"}


def test_an_unknown_table_is_one_clear_sentence(open_engine: OpenEngine) -> None:
    with pytest.raises(ConfigurationError, match='no table "nowhere"'):
        open_engine("nowhere").open()


def test_a_column_that_is_added_meanwhile_is_known(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t")
    engine.apply([record("INSERT", {"id": 1})])
    connection.execute("ALTER TABLE t ADD COLUMN v int")
    result = engine.apply(
        [record("INSERT", {"id": 2, "v": 2}), record("INSERT", {"id": 3, "w": 3})]
    )
    assert refused(result) == {1: "undefined_column"}
    assert rows(connection) == [(1, None), (2, 2)]


@pytest.mark.parametrize("prepared", [1, 12])
def test_a_column_that_is_dropped_meanwhile_stops_only_records_that_name_it(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, prepared: int
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int, w int)")
    engine = open_engine("t")
    for n in range(prepared):
        engine.apply([record("INSERT", {"id": n, "v": n, "w": n})])
    connection.execute("ALTER TABLE t DROP COLUMN v")
    result = engine.apply([record("INSERT", {"id": 97, "v": 1}), record("INSERT", {"id": 98})])
    assert refused(result) == {0: "undefined_column"}
    result = engine.apply([record("UPDATE", {"id": 98, "w": 1}), record("UPDATE", {"id": 0})])
    assert result.applied == 2


@pytest.mark.parametrize("prepared", [1, 12])
def test_a_column_that_is_widened_meanwhile_takes_wider_values(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, prepared: int
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(3), w int)")
    engine = open_engine("t")
    for n in range(prepared):
        engine.apply([record("INSERT", {"id": n, "v": "abc", "w": 1})])
    connection.execute("ALTER TABLE t ALTER v TYPE varchar(9), ALTER w TYPE text")
    batch = [record("INSERT", {"id": 98, "v": "abcdef", "w": "x"})]
    batch.append(record("INSERT", {"id": 99, "v": "0123456789"}))
    assert refused(engine.apply(batch)) == {1: "string_data_right_truncation"}
    assert value(connection, "SELECT v || w FROM t WHERE id = 98") == "abcdefx"


def test_a_table_that_is_made_anew_meanwhile_is_drained_on(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    engine = open_engine("t")
    engine.apply([record("INSERT", {"id": 1})])
    connection.execute("DROP TABLE t; CREATE TABLE t (id text PRIMARY KEY, w int)")
    assert engine.apply([record("INSERT", {"id": "x", "w": 1})]).applied == 1


def test_a_table_that_is_dropped_meanwhile_is_one_clear_sentence(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t")
    engine.apply([record("INSERT", {"id": 1})])
    connection.execute("DROP TABLE t")
    with pytest.raises(ConfigurationError, match="no table"):
        engine.apply([record("INSERT", {"id": 2})])


def test_a_dropped_error_table_is_made_again(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t")
    engine.open()
    connection.execute("DROP TABLE t_errors")
    assert engine.apply([record("INSERT", {"id": "x"})]).refused == 1
    assert value(connection, "SELECT count(*) FROM t_errors") == 1


def test_five_thousand_records_with_some_bad_ones_are_one_batch(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)")
    engine = open_engine("t")
    bad = set(range(0, 5000, 97))
    result = engine.apply(
        [record("INSERT", {"id": n, "v": None if n in bad else n}) for n in range(5000)]
    )
    assert set(refused(result)) == bad
    assert value(connection, "SELECT count(*) FROM t") == 5000 - len(bad)
    assert engine.apply([record("DELETE", {"id": n}) for n in range(5000)]).refused == len(bad)


def test_the_last_of_many_changes_to_one_row_stays(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    batch = []
    for n in range(100):
        batch.append(record("INSERT", {"id": 1, "v": -n}))
        batch.append(record("UPDATE", {"id": "1", "v": n}))
        batch.append(record("DELETE" if n < 99 else "UPDATE", {"id": 1, "v": n}))
    assert open_engine("t").apply(batch).applied == 300
    assert rows(connection) == [(1, 99)]


def test_bytes_that_are_no_text_are_refused_alone(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    batch = [record("INSERT", {"id": 1}), record("INSERT", b'{"id": 2, "v": "\xff"}')]
    batch += [record("INSERT", b'{"id": 3, "v"'), record("INSERT", b"")]
    assert open_engine("t").apply(batch).applied == 1
    assert value(connection, "SELECT count(*) FROM t_errors") == 3


def test_a_judge_that_raises_has_the_batch_rolled_back(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t")

    def brake(result: BatchResult) -> None:
        assert result.refused == 1
        raise BrakeError("too many")

    batch = [record("INSERT", {"id": 1}), record("INSERT", {"id": "x"})]
    with pytest.raises(BrakeError):
        engine.apply(batch, judge=brake)
    assert rows(connection) == []
    assert value(connection, "SELECT count(*) FROM t_errors") == 0
    assert engine.apply(batch).applied == 1


def test_rows_position_log_and_refusals_are_one_transaction(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    older, newer = (open_engine("t", queue="batchdrain:t") for _ in range(2))
    assert older.take_over(lambda: 0).position == "0-0"
    batch = [record("INSERT", {"id": 1}), record("INSERT", {"id": "x"})]
    move = Move("0-0", "5-0", 2)
    assert older.apply(batch, move=move).applied == 1
    assert older.committed(move)
    assert older.unconfirmed_result().refused == 1
    log = "SELECT records, applied, refused, isolated FROM batchdrain.batch_log"
    assert connection.execute(log.encode()).fetchall() == [(2, 1, 1, True)]
    with pytest.raises(HandedOverError):
        older.apply([record("INSERT", {"id": 2})], move=move)
    assert newer.take_over(lambda: 0).position == "5-0"
    with pytest.raises(HandedOverError):
        older.apply([record("INSERT", {"id": 3})], move=Move("5-0", "6-0", 1))
    assert rows(connection) == [(1,)]
    assert value(connection, "SELECT position FROM batchdrain.position") == "5-0"


def test_a_lost_connection_is_renewed(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t")
    engine.apply([record("INSERT", {"id": 1})])
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(TransientError):
        engine.apply([record("INSERT", {"id": 2})])
    assert engine.apply([record("INSERT", {"id": 2})]).applied == 1


def test_an_engine_without_a_queue_has_no_position(open_engine: OpenEngine) -> None:
    with pytest.raises(SystemicError):
        open_engine("t").take_over(lambda: 0)


def test_a_batch_may_hold_nothing_to_apply(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """The position moves on all the same."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    engine = open_engine("t", queue="batchdrain:t")
    engine.take_over(lambda: 0)
    assert engine.apply([], move=Move("0-0", "1-0", 1)).results == []
    malformed = Malformed("no JSON", b"{")
    assert engine.apply([malformed], move=Move("1-0", "2-0", 1)).refused == 1
    assert value(connection, "SELECT position FROM batchdrain.position") == "2-0"


def test_the_column_is_named_wherever_jsonb_finds_the_fault(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """In the envelope's scope, and in a member that a later one overrides, too."""
    connection.execute("CREATE TABLE t (id text PRIMARY KEY, _client_id text, _ver text)")
    connection.execute("INSERT INTO t VALUES ('a', 'c1', '2')")
    batch = [
        record("INSERT", b'{"id":"\\u0000","id":"b"}'),
        msgspec.structs.replace(
            record("INSERT", {"id": "c"}), members={"client_id": b'"c1"', "ver": b"1e999999"}
        ),
        record("DELETE", {"id": "a"}),
    ]
    fields = [r.refusal and r.refusal.field for r in open_engine("t").apply(batch).results]
    assert fields == ["id", "_ver", "_client_id, _ver"]
