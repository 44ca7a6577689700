"""One row per batch, written in the batch's own transaction; every reported total comes from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL

from batchdrain.engine.run import Run
from batchdrain.engine.transaction import Command

TABLE = SQL("""
CREATE TABLE IF NOT EXISTS batchdrain.batch_log (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dag_id        text NOT NULL,
    run_id        text NOT NULL,
    task_id       text NOT NULL,
    try_number    integer NOT NULL,
    map_index     integer,
    queue         text NOT NULL,
    table_name    text NOT NULL,
    style         text NOT NULL,
    messages      bigint NOT NULL,
    records       bigint NOT NULL,
    applied       bigint NOT NULL,
    refused       bigint NOT NULL,
    lost          bigint NOT NULL,
    isolated      boolean NOT NULL,
    bytes         bigint NOT NULL,
    position_from text NOT NULL,
    position_to   text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    seconds       double precision NOT NULL
)""")
"""`bytes` is the size of the records' JSON, decompressed; times are the server's."""

INDEX = SQL("CREATE INDEX IF NOT EXISTS batch_log_run ON batchdrain.batch_log (dag_id, run_id)")

_INSERT = """
INSERT INTO batchdrain.batch_log (
    dag_id, run_id, task_id, try_number, map_index, queue, table_name, style, messages, records,
    applied, refused, lost, isolated, bytes, position_from, position_to,
    started_at, finished_at, seconds)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
       transaction_timestamp(), t.finished,
       extract(epoch FROM t.finished - transaction_timestamp())
  FROM clock_timestamp() AS t(finished)
RETURNING id"""

_AMEND = """
UPDATE batchdrain.batch_log
   SET applied = $2, refused = $3, isolated = $4, finished_at = t.finished,
       seconds = extract(epoch FROM t.finished - started_at)
  FROM clock_timestamp() AS t(finished)
 WHERE id = $1"""

_TOTALS = """
SELECT queue, table_name,
       sum(messages)::bigint, sum(records)::bigint, sum(applied)::bigint, sum(refused)::bigint,
       sum(lost)::bigint,
       count(*) FILTER (WHERE messages > 0),
       count(*) FILTER (WHERE isolated),
       min(started_at), max(finished_at)
  FROM batchdrain.batch_log
 WHERE dag_id = %s AND run_id = %s
 GROUP BY queue, table_name
 ORDER BY queue, table_name"""


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """What the log keeps of one batch.

    `lost` counts messages that Redis dropped before they were read; an entry may tell of them
    alone. `bytes` is the size of the records' JSON, decompressed.
    """

    queue: str
    table: str
    style: str
    messages: int
    records: int
    applied: int
    refused: int
    isolated: bool
    bytes: int
    position_from: str
    position_to: str
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What one run did with one queue; `isolated` counts batches, times are the server's."""

    queue: str
    table: str
    messages: int
    records: int
    applied: int
    refused: int
    lost: int
    batches: int
    isolated: int
    started_at: datetime
    finished_at: datetime


def insert(run: Run, entry: BatchEntry) -> Command:
    """Return the command that logs a batch in its own transaction; it returns the row's id."""
    return Command(
        _INSERT,
        (
            run.dag_id,
            run.run_id,
            run.task_id,
            run.try_number,
            run.map_index,
            entry.queue,
            entry.table,
            entry.style,
            entry.messages,
            entry.records,
            entry.applied,
            entry.refused,
            entry.lost,
            entry.isolated,
            entry.bytes,
            entry.position_from,
            entry.position_to,
        ),
    )


def amend(entry_id: int, applied: int, refused: int, isolated: bool) -> Command:
    """Return the command for a logged batch of which records turned out to be refused after all."""
    return Command(_AMEND, (entry_id, applied, refused, isolated))


def totals(connection: psycopg.Connection[Any], dag_id: str, run_id: str) -> list[Totals]:
    """Sum up what a run has committed, one element per queue and table."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [Totals(*row) for row in cursor.execute(_TOTALS, (dag_id, run_id))]
