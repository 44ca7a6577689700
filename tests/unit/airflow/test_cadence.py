"""The schedule as cron expressions and in words."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import MultipleCronTriggerTimetable
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from pendulum import DateTime, instance

from batchdrain.cadence import Cadence

MEXICO = Cadence(60, 15, (7 * 60, 8 * 60), "America/Mexico_City")


def starts(cadence: Cadence, begin: datetime, count: int) -> list[DateTime]:
    """Return the next start times that Airflow computes from the crons."""
    timetable = coerce_to_core_timetable(
        MultipleCronTriggerTimetable(*cadence.crons(), timezone=cadence.timezone)
    )
    restriction = TimeRestriction(earliest=instance(begin), latest=None, catchup=True)
    found, last = [], None
    for _ in range(count):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        assert info is not None
        last = info.data_interval
        found.append(info.run_after)
    return found


def test_runs_are_a_minute_apart_and_at_the_peak_fifteen_seconds():
    zone = ZoneInfo("America/Mexico_City")
    before = starts(MEXICO, datetime(2025, 3, 3, 6, 58, tzinfo=zone), 6)
    assert [f"{time.astimezone(zone):%H:%M:%S}" for time in before] == [
        "06:58:00",
        "06:59:00",
        "07:00:00",
        "07:00:15",
        "07:00:30",
        "07:00:45",
    ]
    after = starts(MEXICO, datetime(2025, 3, 3, 7, 59, 30, tzinfo=zone), 4)
    assert [f"{time.astimezone(zone):%H:%M:%S}" for time in after] == [
        "07:59:30",
        "07:59:45",
        "08:00:00",
        "08:01:00",
    ]


@pytest.mark.parametrize(
    "cadence",
    [
        MEXICO,
        Cadence(60, 15, None, "UTC"),
        Cadence(1800, 60, (0, 1440), "UTC"),
        Cadence(1800, 5, (23 * 60 + 45, 15), "UTC"),
        Cadence(120, 30, (6 * 60 + 30, 9 * 60 + 15), "UTC"),
    ],
)
def test_crons_start_exactly_the_runs_of_the_cadence(cadence):
    assert covered(cadence) == covered_by_hand(cadence)


def test_the_default_schedule_is_two_short_crons():
    assert MEXICO.crons() == ("* * * * *", "* 7 * * * */15")


def test_clocks_that_are_put_back_or_forward_stop_no_runs():
    """The night of each has one hour more, or less, than others, and a run for each minute."""
    cadence = Cadence(60, 15, (7 * 60, 8 * 60), "America/New_York")
    zone = ZoneInfo(cadence.timezone)
    for day in (datetime(2026, 11, 1, tzinfo=zone), datetime(2026, 3, 8, tzinfo=zone)):
        times = starts(cadence, day, 5 * 60)
        assert {(b - a).total_seconds() for a, b in pairwise(times)} == {60}


def covered(cadence: Cadence) -> list[str]:
    """Return the first starts of a day, by the crons."""
    times = starts(cadence, datetime(2025, 3, 3, tzinfo=UTC), 600)
    return [time.isoformat() for time in times if time.day == 3]


def covered_by_hand(cadence: Cadence) -> list[str]:
    """Return the same, worked out second by second."""
    day = datetime(2025, 3, 3, tzinfo=UTC)
    chosen = []
    for second in range(86400):
        moment = datetime.fromtimestamp(day.timestamp() + second, UTC)
        step = cadence.peak if cadence.is_peak(moment) else cadence.off_peak
        if second % step == 0:
            chosen.append(instance(moment).isoformat())
    return chosen[:600]


def test_the_cadence_stands_in_words():
    assert MEXICO.words() == "every 60 s; every 15 s 07:00\u201308:00 America/Mexico_City"
    assert Cadence(300, 15, None, "UTC").words() == "every 300 s"


def test_the_peak_is_told_in_the_configured_zone():
    zone = ZoneInfo("America/Mexico_City")
    assert MEXICO.is_peak(datetime(2025, 3, 3, 7, 0, tzinfo=zone))
    assert MEXICO.is_peak(datetime(2025, 3, 3, 7, 59, 59, tzinfo=zone).astimezone(UTC))
    assert not MEXICO.is_peak(datetime(2025, 3, 3, 8, 0, tzinfo=zone))
