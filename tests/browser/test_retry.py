"""A drain that fails for a while: what its users see of it, and that they need do nothing."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from playwright.sync_api import Page
from redis import Redis

from airflow_pages import Picture, RunPage
from batchdrain.demo import traffic
from batchdrain.demo.messages import all_messages
from fix_airflow import RunningAirflow

DAG = "drain_tables"
QUEUE = "batchdrain:airlines"


def test_a_drain_that_cannot_get_its_table_is_tried_again_and_recovers(
    airflow: RunningAirflow,
    demo_tables: psycopg.Connection[Any],
    admin: Page,
    picture: Picture,
) -> None:
    """The first try tells why it failed; a later one applies everything, once."""
    with Redis.from_url(airflow.redis_url) as redis:
        traffic.push(redis, {"airlines": all_messages()["airlines"]})
    with psycopg.connect(airflow.target_url) as other:
        other.execute("LOCK TABLE airlines IN SHARE MODE")
        run_id = airflow.client.trigger(DAG)
        run = RunPage.of(admin, DAG, run_id)
        run.expect_state(QUEUE, "Running")
        log = run.open_log(QUEUE)
        log.expect_try(2)
    log.expect_state("Success")
    log.expect_line(f"{QUEUE} → airlines: empty: 16 applied, 0 refused")
    assert airflow.client.wait_for_run(DAG, run_id)["state"] == "success"
    log.choose_try(1)
    log.expect_line(re.compile(r"^attempt 1 failed, next in .*lock"))
    log.expect_line(re.compile(rf"^{QUEUE}: failed for now: .*lock"))
    log.fold("AirflowException")
    picture("retry", log.lines, width=1440)
    assert demo_tables.execute("SELECT count(*) FROM airlines").fetchone() == (16,)
