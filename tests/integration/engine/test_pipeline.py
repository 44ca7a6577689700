"""What a batch's statements do to one another and to those of other drains (SEMANTICS, §8)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import BatchResult, Record
from batchdrain.engine.settings import STATEMENT_STYLES
from fix_engine import MakeRecord, OpenEngine, refused, value

Connection = psycopg.Connection[Any]

in_every_style = pytest.mark.parametrize("style", STATEMENT_STYLES)

SLOW = """
CREATE TABLE t (id int PRIMARY KEY, v int, CHECK (pg_sleep(0.002)::text = ''))"""
KEYS = range(100)


def in_parallel(
    engines: Sequence[BatchEngine], batches: Sequence[list[Record]]
) -> list[BatchResult]:
    """Apply each batch with its own engine, all at the same moment."""
    barrier = threading.Barrier(len(engines))

    def apply(engine: BatchEngine, batch: list[Record]) -> BatchResult:
        engine.open()
        barrier.wait()
        return engine.apply(batch)

    with ThreadPoolExecutor(len(engines)) as threads:
        return list(threads.map(apply, engines, batches))


def opposed(record: MakeRecord, operation: str) -> list[list[Record]]:
    """The same keys in two batches, first to last and last to first."""
    forth = [record(operation, {"id": n, "v": 1}) for n in KEYS]
    return [forth, forth[::-1]]


@in_every_style
def test_drains_that_insert_the_same_keys_do_not_deadlock(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Each waits for the other's first key, and then finds all of them taken."""
    connection.execute(SLOW)
    engines = [open_engine("t"), open_engine("t")]
    results = in_parallel(engines, opposed(record, "INSERT"))
    assert sorted(result.applied for result in results) == [0, len(KEYS)]
    assert value(connection, "SELECT count(*) FROM t") == len(KEYS)


@in_every_style
def test_drains_that_change_the_same_rows_do_not_deadlock(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(SLOW.replace("0.002", "0"))
    rows = list(KEYS)
    random.Random(5).shuffle(rows)
    connection.execute("INSERT INTO t SELECT unnest(%s::int[])", (rows,))
    connection.execute("ALTER TABLE t ADD CHECK (pg_sleep(0.002)::text = '') NOT VALID")
    engines = [open_engine("t"), open_engine("t")]
    results = in_parallel(engines, opposed(record, "UPDATE"))
    assert [result.applied for result in results] == [len(KEYS), len(KEYS)]
    assert not any(result.isolated for result in results)


@in_every_style
@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_rows_are_locked_in_key_order_however_the_table_is_read(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord, operation: str
) -> None:
    """Of a table of this size PostgreSQL would rather read all rows, as they lie there."""
    connection.execute(b"""
CREATE TABLE t (id uuid PRIMARY KEY, v int, w text);
INSERT INTO t SELECT md5(n::text)::uuid, 0, repeat('x', 100) FROM generate_series(1, 3000) AS n;
ANALYZE t""")
    query = b"SELECT array_agg(id::text ORDER BY id) FROM (SELECT id FROM t LIMIT 1000) AS r"
    keys = value(connection, query.decode())
    body = {"v": 1} if operation == "UPDATE" else {}
    batch = [record(operation, {"id": key, **body}) for key in keys]
    random.Random(5).shuffle(batch)
    engine = open_engine("t")
    engine.open()
    with psycopg.connect(connection.info.dsn, password=connection.info.password) as other:
        other.execute("SELECT FROM t WHERE id = %s FOR UPDATE", (keys[500],))
        waiting = threading.Thread(target=engine.apply, args=(batch,))
        waiting.start()
        lock = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not value(connection, lock):
            time.sleep(0.01)
        query = b"SELECT id::text FROM t FOR UPDATE SKIP LOCKED"
        with connection.transaction():
            free = {key for (key,) in connection.execute(query)}
    waiting.join()
    assert [key for key in keys if key not in free] == keys[:501]


def test_statements_in_queue_order_would_deadlock(connection: Connection, database: str) -> None:
    """The control: what the two tests above would see if locks were not taken in key order."""
    connection.execute(SLOW)
    inserting = "INSERT INTO t SELECT n FROM generate_series(0, 99) AS n ORDER BY n {}"
    barrier = threading.Barrier(2)

    def insert(order: str) -> str | None:
        with psycopg.connect(database) as own:
            barrier.wait()
            try:
                own.execute(inserting.format(order).encode())
            except psycopg.Error as error:
                return error.sqlstate
        return None

    with ThreadPoolExecutor(2) as threads:
        assert "40P01" in list(threads.map(insert, ("ASC", "DESC")))


@in_every_style
def test_what_was_prepared_in_a_batch_that_failed_is_prepared_anew(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """The server skips what follows an error, so a client may believe in statements it lacks."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int, w text)")
    engine = open_engine("t")
    failing = [
        record("INSERT", {"id": 1, "v": "x"}),
        record("UPSERT", {"id": 2, "v": 2}),
        record("UPDATE", {"id": 3, "v": 3}),
    ]
    for first in range(10, 100, 10):
        assert refused(engine.apply(failing)) == {
            0: "invalid_text_representation",
            2: "not_found",
        }
        # The first of these are isolated in advance: bad records tend to come in rows.
        for again in range(4):
            clean = engine.apply(
                [
                    record("INSERT", {"id": first + again, "v": 1}),
                    record("UPSERT", {"id": first + again, "w": "w"}),
                    record("UPDATE", {"id": first + again, "v": 2}),
                    record("DELETE", {"id": first + again}),
                ]
            )
            assert refused(clean) == {}
        assert not clean.isolated
