"""What runs leave behind, and that it can be pruned as docs/how-to/pruning.md says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from redis import Redis

from fix_airflow import RunningAirflow
from page_code import code
from walkthrough import HOW_TO

Connection = psycopg.Connection[Any]
PAGE = HOW_TO / "pruning.md"
TEXT = PAGE.read_text(encoding="utf-8")
DAG = "drain_tables"
PRUNED_BY = {
    "asset_event": "timestamp",
    "dag_run": "start_date",
    "log": "dttm",
    "task_instance": "start_date",
    "xcom": "timestamp",
}
"""From airflow/utils/db_cleanup.py of Airflow 3.3, for the tables that tell of runs."""
RECORDS = {
    "airlines": '{"operation": "UPSERT", "client_id": "c", "ver": "1", '
    '"record": {"carrier": "AA", "name": "American"}}',
    "airports": '{"operation": "UPSERT", "client_id": "c", "ver": "1", "record": {"faa": "JFK", '
    '"name": "Kennedy", "lat": 40, "lon": -73, "alt": 13, "tz": -5, "dst": "A"}}',
}


@pytest.fixture
def metadata(airflow: RunningAirflow) -> Iterator[Connection]:
    """A connection to Airflow's own database."""
    url = airflow.server.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as opened:
        yield opened


def push(airflow: RunningAirflow, *tables: str) -> None:
    """Append a message to the streams of the tables."""
    with Redis.from_url(airflow.redis_url) as redis:
        for table in tables:
            redis.xadd(f"batchdrain:{table}", {"data": RECORDS[table]})


def finished(airflow: RunningAirflow, *tables: str) -> str:
    """Run the DAG to its end with a backlog for these tables, and return the run's id."""
    push(airflow, *tables)
    run_id = airflow.client.trigger(DAG)
    assert airflow.client.wait_for_run(DAG, run_id, 90)["state"] == "success"
    time.sleep(1)  # The executor's last words on a task come after the run has ended.
    return run_id


def make_old(metadata: Connection) -> None:
    """Let all runs of the DAG be of twenty days ago, in the columns by which Airflow prunes."""
    for table, column in PRUNED_BY.items():
        query = sql.SQL("UPDATE {} SET {} = now() - interval '20 days' WHERE {} = %s").format(
            sql.Identifier(table),
            sql.Identifier(column),
            sql.Identifier("source_dag_id" if table == "asset_event" else "dag_id"),
        )
        metadata.execute(query, (DAG,))


def rows(metadata: Connection, run_id: str) -> dict[str, int]:
    """Return how many rows of each table tell of a run, but for the request that started it.

    Not of what tasks were called with, which Airflow itself keeps for a few runs only.
    """
    tables = metadata.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND column_name IN ('run_id', 'source_run_id') "
        "AND table_name <> 'rendered_task_instance_fields'"
    ).fetchall()
    counts = {}
    for table, column in tables:
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
            sql.Identifier(table), sql.Identifier(column)
        )
        (counts[table],) = metadata.execute(query, (run_id,)).fetchone() or (0,)
    (requests,) = metadata.execute(
        "SELECT count(*) FROM log WHERE run_id = %s AND event = 'trigger_dag_run'", (run_id,)
    ).fetchone() or (0,)
    (by_alias,) = metadata.execute(
        "SELECT count(*) FROM asset_alias_asset_event AS a JOIN asset_event AS e "
        "ON e.id = a.event_id WHERE e.source_run_id = %s",
        (run_id,),
    ).fetchone() or (0,)
    return {**counts, "log": counts["log"] - requests, "asset_alias_asset_event": by_alias}


def log_files(airflow: RunningAirflow, run_id: str) -> list[Path]:
    """Return the log files of a run's tasks."""
    folder = airflow.server.home / "logs" / f"dag_id={DAG}" / f"run_id={run_id}"
    return [file for file in folder.rglob("*") if file.is_file()]


def claimed(row: str) -> tuple[int, int, int]:
    """Return a row of the page's first table: of an empty run, with one queue, for each more."""
    (found,) = re.findall(rf"^\| {row} \| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.M)
    empty, one, more = map(int, found)
    return empty, one, more


def test_a_run_leaves_what_the_page_says(
    airflow: RunningAirflow, demo_tables: Connection, metadata: Connection
) -> None:
    """Rows and log files: of a run that finds nothing, of one with one queue, and with two."""
    runs = [
        finished(airflow),
        finished(airflow, "airlines"),
        finished(airflow, "airlines", "airports"),
    ]
    for name, left in (
        ("rows in Airflow's tables", [rows(metadata, run) for run in runs]),
        ("log files", [{"files": len(log_files(airflow, run))} for run in runs]),
    ):
        empty, one, more = claimed(name)
        assert [sum(counts.values()) for counts in left] == [empty, one, one + more], left


def test_a_day_is_what_its_runs_add_up_to() -> None:
    """The page's second table follows from its first."""
    (kb_per_row,) = re.findall(r"A row takes some ([\d.]+) kB", TEXT)
    rows_of, files_of, kb_of = map(
        claimed, ("rows in Airflow's tables", "log files", "kB of log files")
    )
    days = re.findall(r"^\| ([^|]*\d s[^|]*)" + r" \| ([\d,]+)" * 5 + r" \|$", TEXT, re.M)
    assert len(days) == 4
    for name, *figures in days:
        runs, rows_, row_mb, files, file_mb = (int(figure.replace(",", "")) for figure in figures)
        off_peak, *at_peak = (int(number) for number in re.findall(r"(\d+) s\b", name))
        assert runs == (24 - len(at_peak)) * 3600 // off_peak + sum(3600 // s for s in at_peak)
        queues = 3 if "three queues" in name else 0
        assert rows_ == runs * of_run(rows_of, queues)
        assert files == runs * of_run(files_of, queues)
        assert row_mb == round(rows_ * float(kb_per_row) / 1000)
        assert file_mb == round(runs * of_run(kb_of, queues) / 1000)


def of_run(claims: tuple[int, int, int], queues: int) -> int:
    """Return what a run with so many queues leaves."""
    empty, one, more = claims
    return one + (queues - 1) * more if queues else empty


def test_airflow_may_forget_all_runs_and_drains_go_on_where_they_were(
    airflow: RunningAirflow, demo_tables: Connection, metadata: Connection
) -> None:
    """The page's commands as they stand there, for Airflow's database and for the log files.

    The runs are made old instead of the commands young: a moment of today would take the rows by
    which the running components report, and now and then a component with them.
    """
    run_id = finished(airflow, "airlines")
    files = log_files(airflow, run_id)
    clean, remove = (block.strip() for block in code(PAGE, "bash"))
    shell(airflow, clean)
    assert sum(rows(metadata, run_id).values()) > 0, "it is too young"
    make_old(metadata)
    shell(airflow, clean)
    assert set(rows(metadata, run_id).values()) == {0}

    shell(airflow, remove)
    assert all(file.exists() for file in files), "they are too young"
    long_ago = time.time() - 20 * 24 * 3600
    for file in files:
        os.utime(file, (long_ago, long_ago))
    shell(airflow, remove)
    assert not any(file.exists() for file in files)
    for folder in {file.parent for file in files}:
        os.utime(folder, (long_ago, long_ago))
    shell(airflow, remove)
    assert not any(file.parent.exists() for file in files)

    again = finished(airflow, "airlines")
    log = airflow.client.task_log(DAG, again, "drain", 0)
    assert "batch 1: 1 messages" in log
    assert [len(log_files(airflow, again))] == [3]


def shell(airflow: RunningAirflow, commands: str) -> None:
    """Run commands of the page where the scheduler runs."""
    environment = dict(airflow.server.environment)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", commands],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
