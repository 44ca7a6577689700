"""A drain's limits, its stop signal, and how its end is told."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from batchdrain.drain import DrainLimits, DrainOutcome, Ending, StopSignal
from batchdrain.errors import ConfigurationError

OUTCOME = DrainOutcome(
    queue="batchdrain:t",
    table="t",
    ending=Ending.EMPTY,
    messages=4,
    records=7,
    applied=5,
    refused=2,
    lost=0,
    batches=2,
    isolated=1,
    seconds=1.234,
    left=0,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_records": 0},
        {"batch_bytes": -1},
        {"attempts": 0},
        {"max_records": 0},
        {"max_seconds": -1.0},
        {"max_refused_share": 1.5},
        {"max_refused_share": -0.1},
    ],
)
def test_a_limit_that_makes_no_sense_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigurationError, match=name):
        DrainLimits(**wrong)


def test_the_defaults_and_the_extremes_are_allowed() -> None:
    DrainLimits()
    DrainLimits(batch_records=1, batch_bytes=1, attempts=1, max_refused_share=0)
    DrainLimits(max_records=1, max_seconds=0.1, max_refused_share=1)


def test_a_stop_signal_wakes_whoever_waits() -> None:
    stop = StopSignal()
    assert not stop.wait(0.01)
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    started = time.monotonic()
    assert stop.wait(30)
    assert time.monotonic() - started < 10
    assert stop.is_set()
    timer.join()


def test_the_end_is_told_in_one_line() -> None:
    assert OUTCOME.sentence() == (
        "batchdrain:t → t: empty: 5 applied, 2 refused in 2 batches (1 isolated) and 1.23 s, 0 left"
    )


def test_losses_and_remarks_are_told_only_when_there_are_any() -> None:
    told = replace(OUTCOME, ending=Ending.HANDED_OVER, lost=3, remark="to dag run").sentence()
    assert "handed over (to dag run): 5 applied" in told
    assert told.endswith("0 left, 3 lost before they were read")
