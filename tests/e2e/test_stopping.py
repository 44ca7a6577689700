"""A drain that is stopped, whoever stops it: nothing lost, nothing twice, and the log tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from redis import Redis

from fix_airflow import RunningAirflow
from stopped_drains import FOLLOWERS, RECORDS, TABLES, VALUE, StoppedDrains

every_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture(scope="module")
def target(airflow: RunningAirflow) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the target database, empty at first."""
    with (
        psycopg.connect(airflow.target_url, autocommit=True) as connection,
        Redis.from_url(airflow.redis_url) as redis,
    ):
        redis.flushdb()
        connection.execute("DROP SCHEMA IF EXISTS batchdrain CASCADE; DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        yield connection
        redis.flushdb()


@pytest.fixture(scope="module")
def drains(airflow: RunningAirflow, target: psycopg.Connection[Any]) -> StoppedDrains:
    """The scenario, played to its end."""
    scenario = StoppedDrains(airflow, target)
    scenario.stop_all()
    return scenario


@every_table
def test_nothing_is_lost_and_nothing_applied_twice(drains, airflow, target, table):
    """An INSERT that came twice would be a refused record."""
    rows = SQL("SELECT count(*) FROM {}").format(Identifier(table))
    refused = SQL("SELECT count(*) FROM {}").format(Identifier(f"{table}_errors"))
    assert target.execute(rows).fetchone() == (RECORDS,)
    assert target.execute(refused).fetchone() == (0,)
    assert drains.committed(table) == RECORDS
    with Redis.from_url(airflow.redis_url) as redis:
        assert redis.xlen(f"batchdrain:{table}") == 0


def test_a_drain_ends_within_four_seconds_of_sigterm_and_its_retry_goes_on(drains):
    """At a batch boundary: what the first try has committed, the second does not repeat."""
    last = drains.last_line("terminated")
    first = drains.committed("terminated", attempt=1)
    assert "failed for now: stopped from outside" in last.text
    assert f"{RECORDS - first} left in the queue" in last.text
    assert f"this try has committed {first // 10} batches: {first} applied, 0 refused" in last.text
    assert (last.moment - drains.terminated_at).total_seconds() < 4.0
    assert 0 < first < RECORDS
    assert drains.task("terminated")["state"] == "success"
    assert drains.task("terminated")["try_number"] == 2
    assert drains.committed("terminated", attempt=2) == RECORDS - first
    assert f"empty: {RECORDS - first} applied" in drains.last_line("terminated", attempt=2).text


def test_a_task_marked_failed_stops_at_a_batch_boundary_and_is_not_tried_again(drains):
    """Airflow tells it with the next heartbeat; the next run takes the rest."""
    first = drains.committed("marked_failed", run=0)
    last = drains.last_line("marked_failed")
    assert "failed for now: stopped from outside" in last.text
    assert drains.task("marked_failed")["state"] == "failed"
    assert drains.task("marked_failed")["try_number"] == 1
    assert drains.task("marked_failed", run=1)["state"] == "success"
    later = drains.last_line("marked_failed", run=1).text
    assert f"{RECORDS - first} left in the queue" in last.text
    assert f"empty: {RECORDS - first} applied" in later


def test_a_drain_killed_with_sigkill_is_tried_again_from_its_last_commit(drains):
    """It can say nothing more: its last line is the last batch that is committed."""
    first = drains.committed("killed", attempt=1)
    assert drains.last_line("killed").text.startswith("batch ")
    assert 0 < first < RECORDS
    assert drains.task("killed")["try_number"] == 2
    assert f"empty: {RECORDS - first} applied" in drains.last_line("killed", attempt=2).text


def test_execution_timeout_is_an_emergency_brake_that_is_safe(drains):
    last = drains.last_line("timed_out").text
    assert "timed_out: stopped by execution_timeout; this try has committed" in last
    assert drains.task("timed_out")["state"] == "success"
    assert drains.task("timed_out")["try_number"] > 1


def test_max_seconds_ends_a_drain_well_and_the_next_run_goes_on(drains):
    last = drains.last_line("limited").text
    assert "limited: max_seconds: " in last
    assert drains.task("limited")["state"] == "success"
    assert drains.task("limited")["try_number"] == 1
    told = [event["extra"] for event in drains.events("limited")]
    assert told[0]["ending"] == "max_seconds"
    assert told[0]["left"] == RECORDS - told[0]["applied"] > 0
    assert sum(each["applied"] for each in told) == RECORDS


@every_table
def test_no_log_shows_a_value(drains, table):
    for attempt in range(1, drains.task(table)["try_number"] + 1):
        lines = [line.whole for line in drains.log(table, attempt)]
        assert lines
        assert VALUE not in "".join(lines)


def test_each_table_has_an_event_with_its_counts_and_a_dag_scheduled_on_it_starts(drains):
    """A retry tells of the earlier tries, too; where nothing was applied there is no event."""
    for table in ("terminated", "killed", "timed_out"):
        (event,) = drains.events(table)
        assert (event["extra"]["applied"], event["extra"]["table"]) == (RECORDS, table)
    (event,) = drains.events("marked_failed")
    assert event["source_run_id"] == drains.runs[1]
    assert f"{RECORDS} applied, 0 refused" in drains.follower_log()
    for follower in FOLLOWERS:
        assert {run["run_type"] for run in drains.follower_runs(follower)} == {"asset_triggered"}


def test_every_task_links_to_its_tables_refused_records(drains):
    """A task that was marked failed, too."""
    for table in TABLES:
        link = drains.link(table)
        assert f"/batchdrain/dags/drain_stopped/refused?table={table}&run=" in str(link)
