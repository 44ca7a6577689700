"""Holding, looking at and releasing a queue from the UI."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from playwright.sync_api import Page
from redis import Redis

from airflow_pages import Picture, RunPage, TaskLog, TriggerForm
from batchdrain.demo import traffic
from batchdrain.demo.messages import all_messages
from fix_airflow import RunningAirflow

Target = psycopg.Connection[Any]
DRAIN = "drain_tables"
CONTROL = "control_queues"
HELD = "batchdrain:airports"


def test_a_held_queue_is_left_out_of_drains_until_it_is_released(
    airflow: RunningAirflow, demo_tables: Target, admin: Page, picture: Picture
) -> None:
    """It keeps its messages, the run says that it was left out, and the next one applies them."""
    messages = all_messages()
    with Redis.from_url(airflow.redis_url) as redis:
        traffic.push(redis, {table: messages[table] for table in ("airlines", "airports")})

    form = TriggerForm.of(admin, CONTROL)
    form.choose("action", "hold")
    form.choose("tables", "airports")
    picture("hold-form", form.dialog, alone=True)
    log = control_log(airflow, admin, form.trigger())
    log.expect_line(re.compile(rf"^{HELD} +stream +held +15 "))
    log.expect_line(f"hold: done for {HELD}")

    run = drained(airflow, admin)
    assert run.mapped() == ["batchdrain:airlines"]
    run.open_log("list_queues").expect_line(f"{HELD}: 15 messages, left out: it is held")
    assert demo_tables.execute("SELECT count(*) FROM airports").fetchone() == (0,)

    form = TriggerForm.of(admin, CONTROL)
    form.open("Look")
    form.type("messages", "5")
    log = control_log(airflow, admin, form.trigger())
    log.expect_line(re.compile(rf"^{HELD} +stream +held +15 "))
    log.expect_line(re.compile(r"^batchdrain:airlines +stream +idle +0 "))
    log.fold("Oldest messages of batchdrain:airports")
    log.expect_line(re.compile(r"^\d+-\d+ .* INSERT +100 +\d+ +faa, name, lat, lon"))
    picture("look", log.lines)

    form = TriggerForm.of(admin, CONTROL)
    form.choose("action", "release")
    form.choose("tables", "airports")
    log = control_log(airflow, admin, form.trigger())
    log.expect_line(f"release: done for {HELD}")
    assert drained(airflow, admin).mapped() == [HELD]
    assert demo_tables.execute("SELECT count(*) FROM airports").fetchone() == (1458,)


def control_log(airflow: RunningAirflow, page: Page, run_id: str) -> TaskLog:
    """Return the log of the one task of a control run that has ended well."""
    assert airflow.client.wait_for_run(CONTROL, run_id)["state"] == "success"
    return TaskLog.of(page, CONTROL, run_id, "control")


def drained(airflow: RunningAirflow, page: Page) -> RunPage:
    """Return the page of a run of the drain DAG that has ended well."""
    run_id = airflow.client.trigger(DRAIN)
    assert airflow.client.wait_for_run(DRAIN, run_id)["state"] == "success"
    run = RunPage.of(page, DRAIN, run_id)
    run.expect_state("all_drained", "Success")
    return run
