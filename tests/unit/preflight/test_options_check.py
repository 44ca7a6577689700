"""The options of section [batchdrain] as the look at everything sees them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batchdrain.finding import Finding, Level
from batchdrain.preflight.given import Given
from batchdrain.preflight.options_check import option_findings

AT_PEAK = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
"""07:30 in Mexico City."""


def look(given: Given | None = None) -> list[Finding]:
    return option_findings(given or Given(tables="orders"), AT_PEAK)


def of(findings: list[Finding], level: Level) -> list[str]:
    return [f"{each.what} → {each.do}" for each in findings if each.level is level]


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TIMEZONE", "America/Mexico_City")


def test_valid_options_are_ok_and_the_schedule_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "orders")
    valid, schedule = look(Given())
    assert (valid.level, schedule.level) == (Level.OK, Level.OK)
    assert valid.what == "every option is valid; set there: tables, timezone"
    assert schedule.what == (
        "runs start every 60 s; every 15 s 07:00\u201308:00 America/Mexico_City; "
        "it is 07:30 there, peak"
    )


def test_every_bad_option_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once, the tables that nobody has set among them."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__CADENCE", "7 s")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__SCOPE", "tenant")
    errors = of(look(Given()), Level.ERROR)
    assert len(errors) == 3
    assert any("AIRFLOW__BATCHDRAIN__TABLES" in text for text in errors)
    assert any("option cadence of section [batchdrain] is '7 s'" in text for text in errors)
    assert any("option scope" in text for text in errors)
    assert "argument prefix is 'a:b'" in of(look(Given("t", prefix="a:b")), Level.ERROR)[0]


def test_a_misspelt_option_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PEAK_CADANCE", "10")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__QQ", "10")
    assert of(look(), Level.WARNING) == [
        "nobody reads its option peak_cadance → did you mean peak_cadence?",
        "nobody reads its option qq → remove it",
    ]


@pytest.mark.parametrize(
    ("options", "level", "expected"),
    [
        ({"MIN_BATCH_SIZE": "9000"}, Level.ERROR, "min_batch_size is 9000, but max_batch_size"),
        ({"LOCK_TIMEOUT": "30"}, Level.ERROR, "lock_timeout must be above 0 and below"),
        ({"PEAK_CADENCE": "120"}, Level.WARNING, "fewer runs at the peak"),
        ({"LEFT_PUSH": "orders, returns"}, Level.WARNING, "left_push names returns, which tables"),
        ({"TIMEZONE": "UTC"}, Level.INFO, "it is 13:30 there, off-peak → set timezone"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], level: Level, expected: str
) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__BATCHDRAIN__{name}", value)
    (told,) = of(look(), level)
    assert expected in told


def test_options_that_go_together_only_in_other_words_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fixed batch size needs no limits, and without a window there is no peak."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__MIN_BATCH_SIZE", "9000")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__BATCH_SIZE", "500")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PEAK_CADENCE", "120")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PEAK_WINDOW", "none")
    assert {each.level for each in look()} == {Level.OK}
