"""What another session does to a row while a batch waits for it counts as done before (§2)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from batchdrain.engine import reports, target
from batchdrain.engine.records import BatchResult, Record
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.errors import TransientError
from fix_engine import MakeRecord, OpenEngine, refused

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.parametrize("style", STATEMENT_STYLES)

MOVED = "UPDATE t SET _client_id = 'c2' WHERE id = 1"
RENUMBERED = "UPDATE t SET id = 100 WHERE id = 1"
DELETED = "DELETE FROM t WHERE id = 1"
MADE_ANEW = f"{DELETED}; INSERT INTO t VALUES (1, 'c1', 5)"


@pytest.fixture(params=["set statements", "sifting", "isolation"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How batches are attempted; where they are sifted or isolated, from the first on."""
    if request.param != "set statements":
        monkeypatch.setattr(target, "_MANY_BAD", -1.0)
    if request.param == "isolation":
        monkeypatch.setattr(target, "_MOSTLY_IN_VAIN", -1.0)
    return str(request.param)


def applied_while_waiting(
    connection: Connection, database: str, open_engine: OpenEngine, other: str, batch: list[Record]
) -> BatchResult:
    """Apply a batch that waits for what another session has done, until that commits."""
    engine = open_engine("t")
    engine.open()
    with psycopg.connect(database) as session, ThreadPoolExecutor(1) as threads:
        session.execute(other.encode())
        running = threads.submit(engine.apply, batch)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        deadline = time.monotonic() + 30
        while connection.execute(waiting).fetchone() == (0,) and time.monotonic() < deadline:
            time.sleep(0.01)
        session.commit()
        return running.result(30)


@pytest.mark.parametrize(
    ("operation", "other", "expected"),
    [
        ("UPDATE", MOVED, "scope_mismatch"),
        ("DELETE", MOVED, "scope_mismatch"),
        ("UPSERT", MOVED, "scope_mismatch"),
        ("UPDATE", RENUMBERED, "not_found"),
        ("DELETE", DELETED, "not_found"),
        ("UPSERT", DELETED, None),
        ("UPDATE", MADE_ANEW, None),
    ],
)
def test_no_record_is_called_applied_that_changed_nothing(
    connection: Connection,
    database: str,
    open_engine: OpenEngine,
    record: MakeRecord,
    mode: str,
    operation: str,
    other: str,
    expected: str | None,
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, _client_id text, v int)")
    connection.execute("INSERT INTO t VALUES (1, 'c1', 0), (2, 'c1', 0)")
    batch = [
        record(operation, {"id": 1} if operation == "DELETE" else {"id": 1, "v": 77}),
        record("UPDATE", {"id": 2, "v": 9}),
    ]
    if mode == "isolation":
        # From the block it is an error, and the drain tries again.
        try:
            result = applied_while_waiting(connection, database, open_engine, other, batch)
        except TransientError:
            result = open_engine("t").apply(batch)
    else:
        result = applied_while_waiting(connection, database, open_engine, other, batch)
    assert refused(result) == ({} if expected is None else {0: expected})
    changed = connection.execute("SELECT count(*) FROM t WHERE v = 77").fetchone()
    assert changed == (int(expected is None),)
    assert connection.execute("SELECT v FROM t WHERE id = 2").fetchone() == (9,)


@pytest.mark.parametrize("trigger", [False, True])
def test_an_upsert_whose_row_another_session_inserts_first_updates_it(
    connection: Connection,
    database: str,
    open_engine: OpenEngine,
    record: MakeRecord,
    mode: str,
    trigger: bool,
) -> None:
    """A wait for a lock never refuses a record (§4)."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    if trigger:
        connection.execute(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
            "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
        )
    result = applied_while_waiting(
        connection,
        database,
        open_engine,
        "INSERT INTO t VALUES (1, 0)",
        [record("UPSERT", {"id": 1, "v": 77})],
    )
    assert refused(result) == {}
    assert connection.execute("SELECT v FROM t").fetchone() == (77,)


def test_an_upsert_that_meets_its_key_again_and_again_is_refused(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Because of a trigger, say: the queue must not stop for it."""
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0); "
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.id := 1; RETURN NEW; END'; "
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    batch = [record("UPSERT", {"id": 2, "v": 1}), record("UPSERT", {"id": 1, "v": 5})]
    assert refused(open_engine("t").apply(batch)) == {0: "unique_violation"}
    assert connection.execute("SELECT v FROM t").fetchone() == (5,)


def test_a_batch_that_is_overtaken_each_time_is_for_later(
    connection: Connection,
    open_engine: OpenEngine,
    record: MakeRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told as a passing failure, and nothing of it stays."""

    def overtaken(_row: object, _records: object, table: Any) -> dict[int, Any]:
        raise reports.OvertakenError(table)

    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    monkeypatch.setattr("batchdrain.engine.attempt.read_report", overtaken)
    batch = [record("INSERT", {"id": 1, "v": 1}), record("UPDATE", {"id": 2, "v": 1})]
    with pytest.raises(TransientError, match="changed by another session"):
        open_engine("t").apply(batch)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
