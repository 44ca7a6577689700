"""What the tests with a browser share: Chromium, a real Airflow with two users, and pictures."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FloatRect,
    Locator,
    Page,
    StorageState,
    expect,
)

from airflow_pages import PATIENCE, WIDTH, Picture, sign_in
from batchdrain.demo.airflow_client import AirflowClient
from batchdrain.demo.airflow_server import AirflowServer
from batchdrain.demo.airflow_settings import AirflowSettings
from batchdrain.demo.installation import METADATA, TARGET
from batchdrain.demo.servers import PostgresServer, ValkeyServer
from fix_airflow import OPTIONS, RunningAirflow

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
SHIPPED = REPOSITORY / "dags"

DRAIN = "drain_tables"
DAGS = (DRAIN, "control_queues", "redrive_errors")
CHROMIUM = "BATCHDRAIN_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""What the program is called on Debian, on Ubuntu, and by Google."""

HEIGHT = 860
MARGIN = 24
"""Pixels of the page that a picture shows below what it is about."""
SETTINGS = {
    "react-resizable-panels:grid-ltr": json.dumps(
        {"details-panel,main-panel": {"expandToSizes": {}, "layout": [23, 77]}}
    ),
    "log_show_timestamp": "false",
    "log_wrap": "true",
}
"""What users can set in the UI: a grid with room for several runs, logs with room for long lines.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that asks for pictures."""
    parser.addoption(
        "--save-pictures", action="store_true", help="save the pictures in docs/images anew"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the browser before Airflow is started for nothing."""
    if chromium() is None:
        raise pytest.UsageError(
            f"The tests with a browser need Chromium, and none of {', '.join(NAMES)} is on PATH: "
            "install it (Debian and Ubuntu: apt-get install chromium), or set "
            f"{CHROMIUM} to the program."
        )
    expect.set_options(timeout=PATIENCE)


def chromium() -> str | None:
    """Return the browser's program, the one that the environment names if it names any."""
    return os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own browser, not one that Playwright would download."""
    return {**browser_type_launch_args, "executable_path": chromium()}


@pytest.fixture(scope="session")
def airflow() -> Iterator[RunningAirflow]:
    """An Airflow with the three shipped DAGs; nothing is drained but what a test triggers.

    Its servers are embedded ones, so that pictures show the names that `make up` has.
    """
    with PostgresServer(fsync=False) as postgres, ValkeyServer(fsync=False) as valkey:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            for database in (METADATA, TARGET):
                connection.execute(f"CREATE DATABASE {database}".encode())
        schedule = {"cadence": 3600, "peak_window": "none", "timezone": zone_with_a_quiet_hour()}
        settings = AirflowSettings(
            metadata_url=postgres.url_of(METADATA),
            postgres_url=postgres.url_of(TARGET),
            redis_url=valkey.url,
            options={
                **OPTIONS,
                "batchdrain": {**OPTIONS["batchdrain"], **schedule, "lock_timeout": 1},
            },
        )
        with AirflowServer(settings, {f"{name}.py": SHIPPED / f"{name}.py" for name in DAGS}) as it:
            for name in DAGS:
                it.wait_for_dag(name)
            wait_for_first_run(it.client)
            yield RunningAirflow(it, settings.postgres_url, settings.redis_url)


def zone_with_a_quiet_hour() -> str:
    """Return a time zone in which no full hour, when the schedule starts a run, is near."""
    return "UTC" if datetime.now(UTC).minute < 30 else "Asia/Kolkata"


def wait_for_first_run(client: AirflowClient) -> None:
    """Return when the schedule's run for the latest past slot is over."""
    deadline = time.monotonic() + 120
    while not (runs := client.runs(DRAIN)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    client.wait_for_run(DRAIN, str(runs[0]["dag_run_id"]))


@pytest.fixture(scope="session")
def base_url(airflow: RunningAirflow) -> str:
    """Where paths without a host lead."""
    return airflow.server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Pages in English, all of the same size."""
    return {
        **browser_context_args,
        "viewport": {"width": WIDTH, "height": HEIGHT},
        "locale": "en-US",
        "timezone_id": "UTC",
        "reduced_motion": "reduce",
    }


def session_of(client: AirflowClient, browser: Browser, arguments: dict[str, Any]) -> StorageState:
    """Sign a user in, and return what the browser keeps of it."""
    with browser.new_context(**arguments) as context:
        page = patient(context.new_page())
        page.goto("/")
        sign_in(page, client.user, client.password)
        expect(page.get_by_role("link", name="Dags").first).to_be_visible()
        page.evaluate("settings => Object.assign(localStorage, settings)", SETTINGS)
        return context.storage_state()


@pytest.fixture(scope="session")
def admin_session(
    airflow: RunningAirflow, browser: Browser, browser_context_args: dict[str, Any]
) -> StorageState:
    """The session of the user that may do everything."""
    return session_of(airflow.client, browser, browser_context_args)


@pytest.fixture(scope="session")
def viewer_session(
    airflow: RunningAirflow, browser: Browser, browser_context_args: dict[str, Any]
) -> StorageState:
    """The session of the user that may only look."""
    return session_of(airflow.viewer(), browser, browser_context_args)


@pytest.fixture
def anybody(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of a browser in which nobody is signed in."""
    return patient(new_context().new_page())


@pytest.fixture
def viewer(new_context: Callable[..., BrowserContext], viewer_session: StorageState) -> Page:
    """A page of the user that may only look."""
    return patient(new_context(storage_state=viewer_session).new_page())


@pytest.fixture
def admin(
    new_context: Callable[..., BrowserContext],
    admin_session: StorageState,
    airflow: RunningAirflow,
    demo_tables: object,
) -> Page:
    """A page of the user that may do everything, with nothing triggered and nothing drained yet."""
    for dag_id in DAGS:
        for run in airflow.client.runs(dag_id):
            # The schedule would make its run anew.
            if run["run_type"] == "manual":
                path = f"/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}"
                airflow.client.request("DELETE", path)
    return patient(new_context(storage_state=admin_session).new_page())


def patient(page: Page) -> Page:
    """Have a page wait as long for what is awaited as a slow machine may take."""
    page.set_default_timeout(PATIENCE)
    return page


@pytest.fixture
def picture(pytestconfig: pytest.Config) -> Picture:
    """See Picture; does nothing unless pictures are asked for."""

    def _save(name: str, part: Locator, *, alone: bool = False, width: int = WIDTH) -> None:
        if not pytestconfig.getoption("--save-pictures"):
            return
        page, file = part.page, IMAGES / f"{name}.png"
        page.set_viewport_size({"width": width, "height": 1100})
        page.mouse.move(0, 0)
        expect(page.locator("[class*=skeleton], [class*=spinner]")).to_have_count(0)
        expect(page.get_by_role("status")).to_have_count(0)
        if alone:
            part.screenshot(path=file, animations="disabled")
            return
        box = part.bounding_box()
        assert box is not None
        clip: FloatRect = {
            "x": 0,
            "y": 0,
            "width": width,
            "height": box["y"] + box["height"] + MARGIN,
        }
        page.screenshot(path=file, clip=clip, animations="disabled")

    return _save
