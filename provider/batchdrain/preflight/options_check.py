"""Looks at the options of section `[batchdrain]`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from batchdrain import configuration as options
from batchdrain.cadence import Cadence
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import ConfigurationError
from batchdrain.finding import Finding, Level
from batchdrain.option import SECTION, Option
from batchdrain.preflight.given import Given

OPTIONS = f"section [{SECTION}]"
"""The subject of what is found about the options."""


def option_findings(given: Given, now: datetime) -> list[Finding]:
    """Look whether every option is valid, by itself and beside the others.

    `now` is aware; it tells whether the peak window is open.
    """
    bad = [
        Finding(Level.ERROR, OPTIONS, sentence)
        for option in options.OPTIONS
        if (sentence := _complaint(partial(given.read, option))) is not None
    ]
    together = [*_batch_sizes(given), *_timeouts(given), *_left_push(given), *_schedule(given, now)]
    if not bad:
        told = ", ".join(sorted(_section())) or "none"
        bad = [Finding(Level.OK, OPTIONS, f"every option is valid; set there: {told}")]
    return [*bad, *_unknown(), *together]


def _complaint(action: Callable[[], object]) -> str | None:
    try:
        action()
    except ConfigurationError as error:
        return str(error)
    return None


def _section() -> dict[str, object]:
    """Return what the section and the environment set, by the options' names, without defaults."""
    from airflow.sdk import conf

    known = {option.name: option for option in options.OPTIONS}
    values = conf.getsection(SECTION) or {}
    return {
        name: value
        for name, value in values.items()
        if name not in known or not _is_default(known[name], value)
    }


def _is_default(option: Option[Any], value: object) -> bool:
    """Airflow mixes the defaults in, and makes numbers of texts."""
    try:
        return option.default is not None and option.parse(value) == option.parse(option.default)
    except ValueError:
        return False


def _unknown() -> list[Finding]:
    """A misspelt option is one that nobody reads."""
    known = [option.name for option in options.OPTIONS]
    found = []
    for name in sorted(set(_section()) - set(known)):
        close = difflib.get_close_matches(name, known, 1)
        do = f"did you mean {close[0]}?" if close else "remove it"
        what = f"nobody reads its option {name}"
        found.append(Finding(Level.WARNING, OPTIONS, what, do))
    return found


def _batch_sizes(given: Given) -> list[Finding]:
    fixed = given.read_if_valid(options.BATCH_SIZE)
    least = given.read_if_valid(options.MIN_BATCH_SIZE)
    most = given.read_if_valid(options.MAX_BATCH_SIZE)
    if fixed is not None or least is None or most is None or least <= most:
        return []
    what = f"min_batch_size is {least}, but max_batch_size is {most}"
    return [Finding(Level.ERROR, OPTIONS, what, "mend one of them")]


def _timeouts(given: Given) -> list[Finding]:
    lock = given.read_if_valid(options.LOCK_TIMEOUT)
    statement = given.read_if_valid(options.STATEMENT_TIMEOUT)
    if lock is None or statement is None:
        return []
    complaint = _complaint(lambda: EngineSettings(lock_timeout=lock, statement_timeout=statement))
    return [] if complaint is None else [Finding(Level.ERROR, OPTIONS, complaint)]


def _left_push(given: Given) -> list[Finding]:
    """A table that is named in left_push alone is likely a misspelt one."""
    allowed = given.read_if_valid(options.TABLES)
    chosen = given.read_if_valid(options.LEFT_PUSH)
    if allowed is None or chosen is None:
        return []
    stray = [name for name in chosen.names if not allowed.covers(name)]
    if not stray:
        return []
    what = f"left_push names {', '.join(stray)}, which tables does not"
    return [Finding(Level.WARNING, OPTIONS, what, "mend the name, or take it out")]


def _schedule(given: Given, now: datetime) -> list[Finding]:
    """Say when runs start, for a peak window in the wrong zone is easily overlooked."""
    off_peak = given.read_if_valid(options.CADENCE)
    peak = given.read_if_valid(options.PEAK_CADENCE)
    zone = given.read_if_valid(options.TIMEZONE)
    window = given.read_if_valid(options.PEAK_WINDOW)
    if off_peak is None or peak is None or zone is None:
        return []
    rhythm = Cadence(off_peak, peak, window, zone)
    what = f"runs start {rhythm.words()}"
    if window is None:
        return [Finding(Level.OK, OPTIONS, what)]
    local = f"{now.astimezone(ZoneInfo(zone)):%H:%M}"
    what += f"; it is {local} there, {'peak' if rhythm.is_peak(now) else 'off-peak'}"
    if peak > off_peak:
        do = "set peak_cadence below cadence, or peak_window to none"
        return [Finding(Level.WARNING, OPTIONS, f"{what}: fewer runs at the peak", do)]
    if "timezone" not in _section():
        do = "set timezone, if load peaks at these hours of another zone"
        return [Finding(Level.INFO, OPTIONS, what, do)]
    return [Finding(Level.OK, OPTIONS, what)]
