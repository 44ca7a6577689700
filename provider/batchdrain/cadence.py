"""How often queues are drained, as cron expressions and in words. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

HOURS = range(24)
MINUTES = range(60)


class Lingers(StrEnum):
    """When drains stay on their queues after these are empty."""

    OFF = "off"
    PEAK = "peak"
    ALWAYS = "always"

    def words(self) -> str:
        """Return it as a clause for people, empty where drains never linger."""
        return {
            Lingers.OFF: "",
            Lingers.PEAK: "lingering at the peak",
            Lingers.ALWAYS: "lingering",
        }[self]


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between two runs: `off_peak`, and `peak` inside `window` in `timezone`.

    A cadence divides a minute, or it is whole minutes that divide an hour. `window` holds two times
    of day in minutes since midnight, the end left out; it may lie across midnight. None: no peak.
    """

    off_peak: int
    peak: int
    window: tuple[int, int] | None
    timezone: str

    def crons(self) -> tuple[str, ...]:
        """Return cron expressions that together are the schedule; six fields have the seconds last.

        Airflow starts one run where several of them meet. So the one off the peak goes on through
        the peak where each of its runs is one of the peak's, too: in the hour that comes twice when
        clocks are put back, Airflow starts runs both times only of a cron for every hour.
        """
        crons: list[str] = []
        for seconds, at_peak in ((self.off_peak, False), (self.peak, True)):
            hours_by_minutes: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
            for hour in HOURS:
                minutes = tuple(
                    minute
                    for minute in MINUTES
                    if self._at(hour * 60 + minute, at_peak=at_peak)
                    and (seconds <= 60 or minute % (seconds // 60) == 0)
                )
                if minutes:
                    hours_by_minutes[minutes].append(hour)
            for minutes, hours in hours_by_minutes.items():
                fields = f"{_field(minutes, MINUTES)} {_field(hours, HOURS)} * * *"
                crons.append(fields if seconds >= 60 else f"{fields} */{seconds}")
        return tuple(crons)

    def is_peak(self, moment: datetime) -> bool:
        """Tell whether an aware moment lies in the peak window."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        return self._in_window(local.hour * 60 + local.minute)

    def words(self) -> str:
        """Return the cadence as a sentence part, for people."""
        text = f"every {self.off_peak} s"
        if self.window is None:
            return text
        start, end = map(_clock, self.window)
        return f"{text}; every {self.peak} s {start}\u2013{end} {self.timezone}"

    def _at(self, minute_of_day: int, *, at_peak: bool) -> bool:
        """Tell whether a minute belongs to the crons of the peak, or to the others."""
        met = self._in_window(minute_of_day)
        return met is at_peak or (met and self.off_peak % self.peak == 0)

    def _in_window(self, minute_of_day: int) -> bool:
        if self.window is None:
            return False
        start, end = self.window
        if start < end:
            return start <= minute_of_day < end
        return minute_of_day >= start or minute_of_day < end


def _clock(minute_of_day: int) -> str:
    return f"{minute_of_day // 60:02d}:{minute_of_day % 60:02d}"


def _field(values: Iterable[int], whole: range) -> str:
    """Write a cron field, consecutive values as ranges."""
    chosen = list(values)
    if chosen == list(whole):
        return "*"
    ranges: list[list[int]] = []
    for value in chosen:
        if ranges and ranges[-1][1] == value - 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
