"""Refused records are applied again, each once, and their rows tell what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from batchdrain.engine import refused_records
from batchdrain.engine.catalog import read_table
from batchdrain.engine.error_table import ErrorTable
from batchdrain.engine.position import hold
from batchdrain.engine.redrive import Patch, Redrive, RedriveOutcome
from batchdrain.engine.refused_records import Choice, RefusedRecords
from batchdrain.engine.run import Run
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import ConfigurationError, TransientError
from fix_engine import MakeRecord, MakeRole, OpenEngine, value

Connection = psycopg.Connection[Any]

ROWS = """
SELECT record_id, error_type, attempts, resolution FROM t_errors ORDER BY id"""


def replay(database: str, run: Run, queue: str | None = None) -> Redrive:
    """Return what a task of that run works with, for the table t."""
    return Redrive(
        lambda: psycopg.connect(database, autocommit=True),
        "t",
        settings=EngineSettings(),
        run=run,
        queue=queue,
    )


@pytest.fixture
def redrive(connection: Connection, database: str) -> Redrive:
    connection.execute("CREATE TABLE parents (id int PRIMARY KEY)")
    connection.execute("""
CREATE TABLE t (id int PRIMARY KEY, _client_id text, _ver text, parent int REFERENCES parents,
                v numeric CHECK (v < 100))""")
    return replay(database, Run("redrive_errors", "r", "redrive"))


@pytest.fixture
def orphans(redrive: Redrive, open_engine: OpenEngine, record: MakeRecord) -> None:
    """Ten records whose parents were missing when they came."""
    batch = [record("INSERT", {"id": n, "parent": n, "v": 1}) for n in range(10)]
    assert open_engine("t").apply(batch).refused == 10


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(ROWS.encode()).fetchall()


def quiet(sentence: str) -> None:
    """Hear nothing."""


@pytest.mark.usefixtures("orphans")
def test_what_can_be_applied_by_now_is_and_the_rest_stays(
    connection: Connection, redrive: Redrive
) -> None:
    connection.execute("INSERT INTO parents SELECT generate_series(0, 6)")
    assert redrive.apply(Choice(), 100, note=quiet) == RedriveOutcome(7, 3, 0)
    assert rows(connection) == [
        *((str(n), "foreign_key_violation", 2, "applied") for n in range(7)),
        *((str(n), "foreign_key_violation", 2, None) for n in range(7, 10)),
    ]
    # With the scope that they had.
    assert value(connection, "SELECT count(*) FROM t WHERE _client_id = 'c1' AND _ver = '1'") == 7
    assert value(connection, "SELECT count(resolved_at) FROM t_errors") == 7
    connection.execute("INSERT INTO parents SELECT generate_series(7, 9)")
    assert redrive.apply(Choice(), 100, note=quiet) == RedriveOutcome(3, 0, 0)
    assert redrive.apply(Choice(), 100, note=quiet) == RedriveOutcome()
    assert [resolution for *_, resolution in rows(connection)] == ["applied"] * 10


@pytest.mark.usefixtures("orphans")
def test_a_record_that_is_refused_for_another_reason_shows_the_newest(
    connection: Connection, redrive: Redrive
) -> None:
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    patch = Patch({"v": b"100"})
    choice = Choice(ids=[1])
    assert redrive.apply(choice, 100, patch=patch, note=quiet) == RedriveOutcome(0, 1, 0)
    assert rows(connection)[0] == ("0", "check_violation", 2, None)
    assert value(connection, "SELECT record_data ->> 'v' FROM t_errors WHERE id = 1") == "1"


@pytest.mark.usefixtures("orphans")
def test_columns_can_be_set_and_left_out(connection: Connection, redrive: Redrive) -> None:
    patch = Patch({"v": b"12345678901234567.25e-15"}, ["parent"])
    assert redrive.apply(Choice(), 2, patch=patch, note=quiet) == RedriveOutcome(2, 0, 0)
    found = connection.execute(b"SELECT id, parent, v::text FROM t ORDER BY id").fetchall()
    assert found == [(0, None, "12.34567890123456725"), (1, None, "12.34567890123456725")]


def test_a_choice_narrows_by_all_that_it_names(
    connection: Connection, redrive: Redrive, open_engine: OpenEngine, record: MakeRecord
) -> None:
    batch = [
        record("INSERT", {"id": 1, "parent": 1}),
        record("INSERT", {"id": 2, "v": 200}),
        record("UPDATE", {"id": 3, "v": 1}),
    ]
    open_engine("t").apply(batch)
    connection.execute("UPDATE t_errors SET client_id = 'c2' WHERE id = 2")
    connection.execute("UPDATE t_errors SET created_at = '2020-01-01' WHERE id = 3")

    def found(choice: Choice) -> list[int]:
        return [row.id for row in redrive.inspect(choice, 10)]

    now = datetime.now(UTC)
    assert found(Choice()) == [1, 2, 3]
    assert found(Choice(types=["not_found", "check_violation"])) == [2, 3]
    assert found(Choice(clients=["c1"])) == [1, 3]
    assert found(Choice(ids=[2, 3], types=["not_found"])) == [3]
    assert found(Choice(since=now - timedelta(hours=1))) == [1, 2]
    assert found(Choice(until=datetime(2020, 1, 2, tzinfo=UTC))) == [3]
    assert redrive.discard(Choice(clients=["c2"]), 10) == 1
    assert found(Choice()) == [1, 3]
    assert rows(connection)[1] == ("2", "check_violation", 1, "discarded")


@pytest.mark.usefixtures("orphans")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_task_that_dies_leaves_every_record_applied_once(
    connection: Connection, redrive: Redrive, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed before the commit nothing has happened, after it everything of the batch."""
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    resolve: Callable[..., int] = RefusedRecords.resolve

    class KilledError(Exception):
        """Stands for SIGKILL."""

    def die(self: RefusedRecords, *arguments: Any) -> int:
        resolve(self, *arguments)
        raise KilledError

    if moment == "before":
        with monkeypatch.context() as patched:
            patched.setattr(RefusedRecords, "resolve", die)
            with pytest.raises(KilledError):
                redrive.apply(Choice(), 100, note=quiet)
        assert value(connection, "SELECT count(*) FROM t") == 0
        assert [resolution for *_, resolution in rows(connection)] == [None] * 10
    else:
        redrive.apply(Choice(), 4, note=quiet)
    redrive.apply(Choice(), 100, note=quiet)
    assert value(connection, "SELECT count(*) FROM t") == 10
    assert [resolution for *_, resolution in rows(connection)] == ["applied"] * 10


@pytest.mark.usefixtures("orphans")
def test_of_two_at_once_one_applies_and_the_other_changes_nothing(
    connection: Connection, database: str, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has read the same rows, and finds them resolved when it is about to commit."""
    connection.execute("ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY")
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    # Without their keys the records could be applied twice.
    keyless = Patch({}, ["id"])
    read: Callable[..., Any] = RefusedRecords.read
    rival = replay(database, Run("redrive_errors", "other", "redrive"))

    def read_late(self: RefusedRecords, *arguments: Any) -> Any:
        found = read(self, *arguments)
        with monkeypatch.context() as undone:
            undone.setattr(RefusedRecords, "read", read)
            if found:
                rival.apply(Choice(), 100, patch=keyless, note=quiet)
        return found

    monkeypatch.setattr(RefusedRecords, "read", read_late)
    with pytest.raises(TransientError, match=r"10 of the rows in .* were resolved by another"):
        redrive.apply(Choice(), 100, patch=keyless, note=quiet)
    assert value(connection, "SELECT count(*) FROM t") == 10


@pytest.mark.usefixtures("orphans")
def test_a_hold_that_comes_between_keeps_a_queues_records_from_being_applied(
    connection: Connection, database: str, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the task that holds the queue has ended, nothing of it is applied any more."""
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    connection.execute("UPDATE t_errors SET queue = 'batchdrain:t'")
    read: Callable[..., Any] = RefusedRecords.read
    of_queue = replay(database, Run("drain", "r", "drain"), queue="batchdrain:t")
    assert of_queue.may_have_records()

    def hold_late(self: RefusedRecords, *arguments: Any) -> Any:
        found = read(self, *arguments)
        assert len(found) == 10
        hold(connection, "batchdrain:t", lambda: 0)
        return found

    monkeypatch.setattr(RefusedRecords, "read", hold_late)
    with pytest.raises(TransientError, match="was held"):
        of_queue.apply(Choice(), 100, note=quiet)
    assert value(connection, "SELECT count(*) FROM t") == 0
    assert not of_queue.may_have_records()


def test_bytes_that_jsonb_could_not_hold_are_applied_as_they_arrived(
    connection: Connection, redrive: Redrive, open_engine: OpenEngine, record: MakeRecord
) -> None:
    bodies = [b'{"id": 1, "v": 1e999999}', b'{"id": 2, "v": 200}']
    batch = [record("INSERT", body) for body in bodies]
    open_engine("t").apply(batch)
    patch = Patch({"v": b"7"})
    assert redrive.apply(Choice(), 10, patch=patch, note=quiet) == RedriveOutcome(2, 0, 0)
    assert value(connection, "SELECT sum(v) FROM t") == 14


def test_what_was_no_message_or_may_be_clipped_is_left_alone_and_named(
    connection: Connection, redrive: Redrive, open_engine: OpenEngine, record: MakeRecord
) -> None:
    open_engine("t").apply([record("INSERT", {"id": n, "parent": 1}) for n in range(5)])
    connection.execute("UPDATE t_errors SET operation = NULL WHERE id = 1")
    connection.execute("UPDATE t_errors SET client_id = repeat('c', 50) WHERE id = 2")
    fields = json.dumps({"batchdrain_fields": {"a": "b"}})
    connection.execute("UPDATE t_errors SET record_data = %s WHERE id = 3", (fields,))
    connection.execute("UPDATE t_errors SET ver = 'a\\u0000b' WHERE id = 4")
    connection.execute("UPDATE t_errors SET error_type = 'malformed_message' WHERE id = 5")
    told: list[str] = []
    assert redrive.apply(Choice(), 10, note=told.append) == RedriveOutcome(0, 0, 5)
    assert told[:5] == [
        "row 1 is left alone: its operation is not known",
        "row 2 is left alone: its client_id may have been clipped",
        "row 3 is left alone: it was no message",
        "row 4 is left alone: its ver may have been escaped",
        "row 5 is left alone: it was malformed; push it again once it is mended, and discard the "
        "row",
    ]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Lima"])
def test_times_are_compared_whatever_the_session_s_zone(
    connection: Connection,
    database: str,
    redrive: Redrive,
    open_engine: OpenEngine,
    record: MakeRecord,
    zone: str,
) -> None:
    connection.execute("CREATE TABLE t_errors (record_data jsonb, created_at timestamptz)")
    connection.execute("""
ALTER TABLE t_errors ADD id bigint GENERATED ALWAYS AS IDENTITY, ADD message_id text,
    ADD attempts int DEFAULT 1, ADD resolved_at timestamptz, ADD resolution text""")
    name = connection.info.dbname
    connection.execute(f"ALTER DATABASE \"{name}\" SET timezone = '{zone}'".encode())
    open_engine("t").apply([record("INSERT", {"id": 1, "parent": 1})])
    now = datetime.now(UTC)
    assert redrive.inspect(Choice(since=now + timedelta(hours=1)), 10) == []
    (found,) = redrive.inspect(Choice(since=now - timedelta(hours=1)), 10)
    assert found.created_at is not None
    assert abs(found.created_at - now.replace(tzinfo=None)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER id TYPE text", "Column id .* must be of type bigint"),
        ("ALTER message_id TYPE varchar(10)", "Column message_id .* must be of type text"),
        ("ALTER resolution TYPE varchar(5)", "Column resolution .* must be of type text"),
    ],
)
@pytest.mark.usefixtures("orphans")
def test_columns_that_cannot_hold_what_they_have_to_are_named(
    connection: Connection, redrive: Redrive, change: str, sentence: str
) -> None:
    connection.execute("ALTER TABLE t_errors ALTER id DROP IDENTITY")
    connection.execute(f"ALTER TABLE t_errors {change}".encode())
    with pytest.raises(ConfigurationError, match=sentence):
        redrive.inspect(Choice(), 10)


@pytest.mark.usefixtures("orphans")
def test_an_error_table_of_other_types_is_read_all_the_same(
    connection: Connection, redrive: Redrive
) -> None:
    connection.execute("ALTER TABLE t_errors DROP field_id, ALTER created_at TYPE text")
    connection.execute("ALTER TABLE t_errors ALTER client_id TYPE varchar(50)")
    assert len(redrive.inspect(Choice(clients=["c1"]), 100)) == 10
    with pytest.raises(ConfigurationError, match=r"created_at .* tells no time"):
        redrive.inspect(Choice(since=datetime.now(UTC)), 10)


def test_a_table_that_cannot_tell_what_became_of_its_records_is_named(
    connection: Connection, redrive: Redrive
) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was ever refused"):
        redrive.inspect(Choice(), 10)
    connection.execute("CREATE TABLE t_errors (record_data jsonb, client_id text)")
    with pytest.raises(ConfigurationError, match="ADD COLUMN resolved_at timestamptz"):
        redrive.inspect(Choice(), 10)


@pytest.mark.usefixtures("orphans")
def test_a_role_that_may_not_change_the_rows_is_told_what_it_lacks(
    connection: Connection, database: str, make_role: MakeRole
) -> None:
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    role = make_role(
        "GRANT ALL ON t TO {role}",
        "GRANT SELECT, INSERT ON t_errors TO {role}",
        "GRANT SELECT ON parents TO {role}",
    )

    def connect() -> Connection:
        opened = psycopg.connect(database, autocommit=True)
        opened.execute(f'SET ROLE "{role}"'.encode())
        return opened

    humble = Redrive(connect, "t", settings=EngineSettings(), run=Run())
    with pytest.raises(ConfigurationError, match="GRANT SELECT, UPDATE, DELETE ON"):
        humble.apply(Choice(), 10, note=quiet)
    assert value(connection, "SELECT count(*) FROM t") == 0


def test_many_rows_are_discarded_without_holding_all_of_them(
    connection: Connection, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read with its record, so that a million of them would not fit into a worker."""
    ErrorTable.open(connection, read_table(connection, "t"))
    connection.execute("INSERT INTO t_errors (record_id) SELECT generate_series(1, 1300)")
    asked: list[int] = []
    read = RefusedRecords.read

    def _read(self: RefusedRecords, *given: Any) -> Any:
        asked.append(given[-1])
        return read(self, *given)

    monkeypatch.setattr(RefusedRecords, "read", _read)
    assert redrive.discard(Choice(), 1_200) == 1_200
    assert max(asked) <= 500
    oldest = "SELECT min(record_id::int) FROM t_errors WHERE resolved_at IS NULL"
    assert value(connection, oldest) == 1_201
    assert redrive.discard(Choice(), 1_200) == 100


def test_large_records_are_read_and_applied_a_few_at_a_time(
    connection: Connection,
    redrive: Redrive,
    open_engine: OpenEngine,
    record: MakeRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is larger than what is read at once comes alone; none is left out."""
    monkeypatch.setattr(refused_records, "_READ_BYTES", 1_000)
    connection.execute("ALTER TABLE t ADD w text")
    sizes = [10, 10, 600, 600, 2_000, 2_000, 10, 10]
    batch = [
        record("INSERT", {"id": n, "parent": n, "w": "w" * size}) for n, size in enumerate(sizes)
    ]
    assert open_engine("t").apply(batch).refused == len(sizes)
    connection.execute("INSERT INTO parents SELECT generate_series(0, 9)")
    notes: list[str] = []
    assert [row.id for row in redrive.inspect(Choice(), 7)] == [1, 2, 3, 4, 5, 6, 7]
    assert redrive.apply(Choice(), 100, note=notes.append) == RedriveOutcome(8, 0, 0)
    assert [note.partition(":")[0] for note in notes] == [
        "rows 1 to 3",
        "rows 4 to 4",
        "rows 5 to 5",
        "rows 6 to 6",
        "rows 7 to 8",
    ]
