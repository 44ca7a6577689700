"""A run alerts of what crosses a threshold, with the figures, and of nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batchdrain.engine.batch_log import Totals
from batchdrain.operators.alerts import Thresholds, Waiting, crossed
from batchdrain.operators.message_age import waited

NOW = datetime(2025, 3, 7, 7, 30, tzinfo=UTC)
EVERYTHING = Thresholds(refused_share=0.1, isolated_share=0.5, backlog=100, oldest=60)


def totals(*, records: int = 100, refused: int = 0, batches: int = 4, isolated: int = 0) -> Totals:
    applied = records - refused
    return Totals("q", "t", records, records, applied, refused, 0, batches, isolated, NOW, NOW)


def entry(seconds: float) -> str:
    """The id of a stream's entry that was added so long ago."""
    return f"{int((NOW - timedelta(seconds=seconds)).timestamp() * 1000)}-0"


def test_nothing_is_too_much_without_thresholds():
    bad = totals(refused=100, isolated=4)
    assert crossed(Thresholds(), [bad], [Waiting("q", 10**9, entry(10**6))], NOW) == []


def test_exactly_at_the_thresholds_nobody_is_told():
    at = [totals(refused=10, isolated=2)]
    assert crossed(EVERYTHING, at, [Waiting("q", 100, entry(60))], NOW) == []
    assert crossed(EVERYTHING, [], [], NOW) == []


@pytest.mark.parametrize(
    ("of_run", "waiting", "sentence"),
    [
        (
            [totals(refused=2), totals(refused=19)],
            [],
            "21 of 200 records were refused (10.5%), more than 10.0%",
        ),
        ([totals(isolated=3)], [], "3 of 4 batches were isolated (75.0%), more than 50.0%"),
        ([], [Waiting("a", 101, None)], "a: 101 messages wait, more than 100"),
        (
            [],
            [Waiting("b", 1, entry(61))],
            "b: the oldest message has waited 61 s, more than 60 s",
        ),
    ],
)
def test_each_threshold_has_its_sentence(of_run, waiting, sentence):
    assert crossed(EVERYTHING, of_run, waiting, NOW) == [sentence]


def test_an_id_that_is_no_time_does_not_tell_how_long_a_message_has_waited():
    assert waited("17-3", NOW) is None
    assert waited("1764174790000000-1", NOW) is None
    assert waited(None, NOW) is None
    assert waited(entry(5), NOW) == 5
    assert waited(entry(-5), NOW) == 0
