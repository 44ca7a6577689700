"""Refused records, applied again from the UI once their cause is mended."""

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

DRAIN = "drain_tables"
REPLAY = "redrive_errors"
FLIGHTS = 300
MISSING = ["BQN", "PSE", "SJU", "STT"]
"""Airports that flights of the sample go to, and that its list of airports doesn't have."""


def test_refused_records_are_inspected_then_applied_when_their_cause_is_mended(
    airflow: RunningAirflow,
    demo_tables: psycopg.Connection[Any],
    admin: Page,
    picture: Picture,
) -> None:
    """Each is applied once, its row tells so, and nothing is left to inspect."""
    messages = all_messages()
    messages["flights"] = [m for m in messages["flights"] if m.operation == "INSERT"][:FLIGHTS]
    with Redis.from_url(airflow.redis_url) as redis:
        traffic.push(redis, messages)
    drain = airflow.client.trigger(DRAIN)
    assert airflow.client.wait_for_run(DRAIN, drain)["state"] == "success"
    refused = resolutions(demo_tables)[None]
    RunPage.of(admin, DRAIN, drain).open_log("batchdrain:flights").follow("Refused records")
    page_of_refused = admin.url
    rows = admin.get_by_role("row").filter(has_text="INSERT")
    expect(rows).to_have_count(refused)
    picture("refused", admin.get_by_role("table").last)

    form = TriggerForm.of(admin, REPLAY)
    form.choose("table", "flights")
    log = replay_log(airflow, admin, form.trigger())
    log.expect_line(re.compile(r"^ *\d+ .* INSERT +foreign_key_violation +dest +\w+ "))
    log.expect_line(f"inspect flights: {refused} found")

    demo_tables.execute(
        "INSERT INTO airports SELECT code, code, 18, -66, 0, -4, 'N', NULL, 'FAA', '1' "
        "FROM unnest(%s::text[]) AS code",
        [MISSING],
    )
    form = TriggerForm.of(admin, REPLAY)
    form.choose("action", "redrive")
    form.choose("table", "flights")
    picture("replay-form", form.dialog, alone=True)
    form.open("Which records")
    form.choose("error_types", "foreign_key_violation")
    log = replay_log(airflow, admin, form.trigger())
    log.expect_line(f"redrive flights: {refused} applied, 0 refused again, 0 left alone")
    picture("replay", log.lines)
    assert resolutions(demo_tables) == {"applied": refused}
    assert demo_tables.execute("SELECT count(*) FROM flights").fetchone() == (FLIGHTS,)
    admin.goto(page_of_refused)
    expect(rows).to_have_count(0)
    admin.get_by_label("resolved ones, too").check()
    admin.get_by_role("button", name="Show").click()
    expect(rows.filter(has_text="applied")).to_have_count(refused)

    form = TriggerForm.of(admin, REPLAY)
    form.choose("table", "flights")
    log = replay_log(airflow, admin, form.trigger())
    log.expect_line("no refused record of flights is left")


def resolutions(connection: psycopg.Connection[Any]) -> dict[str | None, int]:
    """Return how many rows of the error table have each resolution."""
    query = "SELECT resolution, count(*) FROM flights_errors GROUP BY resolution"
    return dict(connection.execute(query).fetchall())


def replay_log(airflow: RunningAirflow, page: Page, run_id: str) -> TaskLog:
    """Return the log of the one task of a replay that has ended well."""
    assert airflow.client.wait_for_run(REPLAY, run_id)["state"] == "success"
    return TaskLog.of(page, REPLAY, run_id, "redrive")
