"""The log of batches, and the totals that come from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import psycopg
import pytest

from batchdrain.engine.batch_log import BatchEntry, amend, insert, totals
from batchdrain.engine.position import create_state
from batchdrain.engine.run import Run
from batchdrain.engine.transaction import BEGIN, COMMIT, ROLLBACK, send

Connection = psycopg.Connection[tuple[object, ...]]

RUN = Run("dag", "run", "drain", 1, 0)

ENTRY = BatchEntry(
    queue="batchdrain:t",
    table="public.t",
    style="recordset",
    messages=10,
    records=20,
    applied=20,
    refused=0,
    isolated=False,
    bytes=999,
    position_from="0-0",
    position_to="10-0",
)


@pytest.fixture
def state(connection: Connection) -> Connection:
    create_state(connection)
    return connection


def log(connection: Connection, run: Run, entry: BatchEntry) -> int:
    row = send(connection, [BEGIN, insert(run, entry)])[1].fetchone()
    send(connection, [COMMIT])
    assert row is not None
    return int(row[0])


def test_totals_sum_up_what_a_run_committed(state: Connection) -> None:
    """By queue, over all tries; another run and a batch that was rolled back do not count."""
    log(state, RUN, ENTRY)
    log(state, replace(RUN, try_number=2), replace(ENTRY, applied=17, refused=3, isolated=True))
    log(state, RUN, replace(ENTRY, messages=0, records=0, applied=0, lost=4))
    log(state, RUN, replace(ENTRY, queue="batchdrain:u", table="public.u"))
    log(state, Run("dag", "another"), ENTRY)
    send(state, [BEGIN, insert(RUN, ENTRY), ROLLBACK])
    first, second = totals(state, "dag", "run")
    assert (first.queue, first.table) == ("batchdrain:t", "public.t")
    assert (first.messages, first.records, first.applied, first.refused) == (20, 40, 37, 3)
    assert (first.lost, first.batches, first.isolated) == (4, 2, 1)
    assert first.started_at.astimezone(UTC) <= first.finished_at.astimezone(UTC)
    assert (second.queue, second.applied) == ("batchdrain:u", 20)


def test_a_run_without_batches_has_no_totals(state: Connection) -> None:
    assert totals(state, "dag", "run") == []


def test_a_logged_batch_is_amended_when_records_turn_out_refused(state: Connection) -> None:
    """Its times grow, the rest of it stays."""
    cursors = send(state, [BEGIN, insert(RUN, ENTRY)])
    row = cursors[1].fetchone()
    assert row is not None
    before = state.execute("SELECT seconds FROM batchdrain.batch_log").fetchall()[0][0]
    send(state, [amend(row[0], 19, 1, True), COMMIT])
    logged = state.execute(
        "SELECT applied, refused, isolated, bytes, map_index, position_to,"
        " seconds > %s, finished_at > started_at FROM batchdrain.batch_log",
        (before,),
    ).fetchone()
    assert logged == (19, 1, True, 999, 0, "10-0", True, True)


def test_a_drain_that_is_not_mapped_has_no_map_index(state: Connection) -> None:
    log(state, Run(), ENTRY)
    assert state.execute("SELECT map_index FROM batchdrain.batch_log").fetchone() == (None,)


def test_totals_are_found_by_index(state: Connection) -> None:
    state.execute("SET enable_seqscan = off")
    plan = state.execute(
        "EXPLAIN SELECT 1 FROM batchdrain.batch_log WHERE dag_id = 'd' AND run_id = 'r'"
    ).fetchall()
    assert "batch_log_run" in str(plan)
