"""Airflow's own settings as the look at everything sees them."""

from __future__ import annotations

import pytest

from batchdrain.finding import Finding, Level
from batchdrain.preflight.airflow_check import airflow_findings
from batchdrain.preflight.given import Given


def look(queues: int = 3) -> list[Finding]:
    return airflow_findings(Given(), queues)


def of(findings: list[Finding], level: Level) -> list[str]:
    return [f"{each.what} → {each.do}" for each in findings if each.level is level]


def test_the_defaults_of_airflow_will_do() -> None:
    """Only the Test button is off, which keeps no drain from anything."""
    found = look()
    (told,) = of(found, Level.INFO)
    assert "[core] test_connection" in told
    assert {each.level for each in found} == {Level.OK, Level.INFO}


@pytest.mark.parametrize(
    ("section", "name", "value", "level", "expected"),
    [
        ("CORE", "PARALLELISM", "2", Level.INFO, "2 tasks at a time"),
        ("CORE", "MAX_ACTIVE_TASKS_PER_DAG", "2", Level.INFO, "for 3 queues"),
        ("CORE", "MAX_MAP_LENGTH", "2", Level.WARNING, "set [core] max_map_length to 3"),
        ("CORE", "KILLED_TASK_CLEANUP_TIME", "300", Level.INFO, "does not read"),
        ("CORE", "HIDE_SENSITIVE_VAR_CONN_FIELDS", "False", Level.WARNING, "passwords in extra"),
        ("CORE", "DAG_RUN_CONF_OVERRIDES_PARAMS", "False", Level.WARNING, "forms have no effect"),
        ("SCHEDULER", "SCHEDULER_IDLE_SLEEP_TIME", "10", Level.WARNING, "set it to 3.75 or less"),
        ("WORKERS", "MIN_HEARTBEAT_INTERVAL", "60", Level.WARNING, "within 60 s"),
        ("DAG_PROCESSOR", "MIN_FILE_PROCESS_INTERVAL", "1", Level.WARNING, "every 1 s"),
        ("CORE", "PARALLELISM", "many", Level.ERROR, "a setting can't be read"),
    ],
)
def test_a_setting_that_matters_is_told(
    monkeypatch: pytest.MonkeyPatch,
    section: str,
    name: str,
    value: str,
    level: Level,
    expected: str,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
    monkeypatch.setenv(f"AIRFLOW__{section}__{name}", value)
    (told,) = of(look(), level)
    assert expected in told
