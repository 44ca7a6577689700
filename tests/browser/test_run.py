"""A run of the drain DAG as its users follow it: tasks by name, logs, totals."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from playwright.sync_api import Page, expect
from redis import Redis

from airflow_pages import Picture, RunPage, TaskLog, TriggerForm
from batchdrain.demo import traffic
from batchdrain.demo.messages import all_messages
from fix_airflow import RunningAirflow

DAG = "drain_tables"
QUEUES = ["batchdrain:airlines", "batchdrain:airports", "batchdrain:flights"]
REFUSED = 662
"""Flights to airports that the sample doesn't have, and what happened to them afterwards."""


def test_a_run_is_followed_by_the_names_of_its_queues_down_to_the_totals(
    airflow: RunningAirflow,
    demo_tables: psycopg.Connection[Any],
    admin: Page,
    picture: Picture,
) -> None:
    """The drains run under their queues' names, log a line per batch, and the totals add up."""
    with Redis.from_url(airflow.redis_url) as redis:
        pushed = traffic.push(redis, all_messages())
    form = TriggerForm.of(admin, DAG)
    form.open("Batches")
    form.type("batch_size", "5000")
    # While this is held, flights wait for airlines, and their drain can't end before it was seen.
    with psycopg.connect(airflow.target_url) as other:
        other.execute("LOCK TABLE airlines IN SHARE MODE")
        run_id = form.trigger()
        run = RunPage.of(admin, DAG, run_id)
        run.expect_state("batchdrain:flights", "Running")
        assert run.mapped() == QUEUES
    run.expect_state("batchdrain:flights", "Success")
    for task in ("list_queues", "summarize_errors", "all_drained"):
        run.expect_state(task, "Success")
    run.expect_over()
    picture("run", run.table, width=1440)

    log = run.open_log("batchdrain:flights")
    last = re.compile(
        rf"batchdrain:flights → flights: empty: {24_000 - REFUSED} applied, {REFUSED}"
    )
    log.expect_line(last)
    assert last.match(log.last_line())
    log.expect_line(re.compile(r"^batch 5: \d+ messages, .* applied, .* refused"))
    picture("drain-log", log.lines, width=1440)

    summary = TaskLog.of(admin, DAG, run_id, "summarize_errors")
    summary.expect_line(f"this run: {pushed - REFUSED} applied, {REFUSED} refused, 0 lost")
    for queue in QUEUES:
        summary.expect_line(re.compile(rf"^{queue} +public\.\w+ +[0-9 ]+$"))
    summary.expect_line(re.compile(r"^foreign_key_violation +dest +JFK +261 "))
    picture("summary", summary.lines, width=1480)
    expect(summary.lines).not_to_contain_text("Traceback")
