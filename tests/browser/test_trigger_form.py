"""The form that starts a drain by hand: what it takes, what it refuses, and what it starts."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import Page, expect
from redis import Redis

from airflow_pages import Picture, RunPage, TriggerForm
from batchdrain.demo import traffic
from batchdrain.demo.messages import all_messages
from fix_airflow import RunningAirflow

Target = psycopg.Connection[Any]
DAG = "drain_tables"


def test_a_value_of_the_wrong_kind_is_refused_where_it_was_given_and_starts_nothing(
    airflow: RunningAirflow, admin: Page
) -> None:
    """The form stays open, with a sentence that names the Param and the value."""
    before = airflow.client.runs(DAG)
    form = TriggerForm.of(admin, DAG)
    form.open("Batches")
    form.type("batch_size", "1.5")
    form.send()
    refusal = "Invalid input for param batch_size: 1.5 is not of type 'null', 'integer'"
    expect(form.dialog).to_contain_text(refusal)
    assert airflow.client.runs(DAG) == before


def test_a_number_out_of_bounds_and_a_text_never_stay_in_a_field_for_numbers(admin: Page) -> None:
    """What is too small or too large becomes the nearest number that is allowed."""
    form = TriggerForm.of(admin, DAG)
    form.open("Batches")
    for given, kept in (("0", "1"), ("200000", "100000"), ("many", "")):
        expect(form.type("batch_size", given)).to_have_value(kept)


def test_tables_that_were_chosen_and_taken_away_again_mean_all_of_them(admin: Page) -> None:
    """The form can be sent as if none had been chosen."""
    form = TriggerForm.of(admin, DAG)
    form.choose("tables", "airports")
    form.take_away("tables")
    expect(form.submit).to_be_enabled()


def test_a_chosen_table_is_drained_and_the_others_are_left_alone(
    airflow: RunningAirflow, demo_tables: Target, admin: Page, picture: Picture
) -> None:
    """The run has one drain, named after the queue; the other queue keeps its messages."""
    messages = all_messages()
    with Redis.from_url(airflow.redis_url) as redis:
        traffic.push(redis, {table: messages[table] for table in ("airlines", "airports")})
        form = TriggerForm.of(admin, DAG)
        form.choose("tables", "airports")
        picture("trigger-form", form.dialog, alone=True)
        run = RunPage.of(admin, DAG, form.trigger())
        run.expect_state("batchdrain:airports", "Success")
        run.expect_state("all_drained", "Success")
        assert run.mapped() == ["batchdrain:airports"]
        assert redis.xlen("batchdrain:airlines") == len(messages["airlines"])
    assert demo_tables.execute("SELECT count(*) FROM airports").fetchone() == (1458,)
    assert demo_tables.execute("SELECT count(*) FROM airlines").fetchone() == (0,)
