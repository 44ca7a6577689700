"""Who may look at all."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from airflow_pages import sign_in
from fix_airflow import RunningAirflow


def test_a_password_leads_to_the_page_that_was_asked_for(
    airflow: RunningAirflow, anybody: Page
) -> None:
    """Without one, or with a wrong one, nothing is shown but the way to sign in."""
    anybody.goto("/dags/drain_tables")
    expect(anybody.get_by_role("heading", name="Sign into Airflow")).to_be_visible()
    sign_in(anybody, airflow.client.user, "not the password")
    expect(anybody.get_by_text("Invalid credentials")).to_be_visible()
    sign_in(anybody, airflow.client.user, airflow.client.password)
    expect(anybody.get_by_role("heading", name="drain_tables")).to_be_visible()
