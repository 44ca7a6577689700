"""The brake: over a drain, too large a share of refused records stops it."""

from __future__ import annotations

import pytest

from batchdrain.drain.brake import Brake, foreseen
from batchdrain.drain.report import DrainLimits
from batchdrain.engine.records import BatchResult, RecordResult, Refusal
from batchdrain.errors import BrakeError

WRONG_TYPE = Refusal("invalid_text_representation", "secret value", "22P02", "amount")
MISSING = Refusal("not_found", "no such row")


def result(good: int, *bad: Refusal) -> BatchResult:
    entries = [RecordResult("INSERT", "1-0") for _ in range(good)]
    entries += [RecordResult("INSERT", "1-0", refusal=refusal) for refusal in bad]
    return BatchResult(entries, len(bad))


def test_too_many_refused_records_stop_the_batch_and_are_described() -> None:
    """The commonest error type and its column are named, no value is."""
    brake = Brake(0.5, 10)
    with pytest.raises(BrakeError) as raised:
        brake.judge(result(4, *[WRONG_TYPE] * 5, MISSING))
    said = str(raised.value)
    assert "6 of 10 records" in said
    assert "most often invalid_text_representation in column amount (5 of the last 10)" in said
    assert "max_refused_share=0.5" in said
    assert "secret" not in said


def test_an_error_without_column_is_named_alone() -> None:
    with pytest.raises(BrakeError, match=r"most often not_found \(10 of"):
        Brake(0.5, 10).judge(result(0, *[MISSING] * 10))


def test_the_share_itself_is_still_allowed() -> None:
    Brake(0.5, 10).judge(result(5, *[MISSING] * 5))


def test_few_records_prove_nothing() -> None:
    Brake(0.5, 10).judge(result(0, *[MISSING] * 9))


def test_only_committed_batches_count() -> None:
    """A batch that is judged twice, because a server was away, is not counted twice."""
    brake = Brake(0.5, 10)
    for _ in range(5):
        brake.judge(result(0, *[MISSING] * 9))
    brake.count(result(0, *[MISSING] * 9))
    with pytest.raises(BrakeError, match="10 of 10"):
        brake.judge(result(0, MISSING))


def test_good_batches_make_room() -> None:
    brake = Brake(0.5, 10)
    brake.count(result(20))
    brake.judge(result(0, *[MISSING] * 20))
    with pytest.raises(BrakeError, match="21 of 41"):
        brake.judge(result(0, *[MISSING] * 21))


def test_a_share_of_one_lets_everything_through_and_of_none_nothing() -> None:
    Brake(1.0, 10).judge(result(0, *[MISSING] * 100))
    with pytest.raises(BrakeError):
        Brake(0.0, 10).judge(result(99, MISSING))


def test_a_batch_without_records_is_no_reason_to_brake() -> None:
    Brake(0.0, 1).judge(result(0))


def test_it_is_foreseen_in_the_batches_of_a_drain() -> None:
    """The first batch alone would stop the drain, whatever comes later."""
    limits = DrainLimits(batch_records=10, brake_after=10)
    bad_first = result(4, *[WRONG_TYPE] * 6)
    both = BatchResult([*bad_first.results, *result(90).results], 6)
    assert "6 of 10 records" in (foreseen(limits, both) or "")
    good_first = BatchResult([*result(90).results, *bad_first.results], 6)
    assert foreseen(limits, good_first) is None


def test_with_too_few_records_it_is_told_from_when_on_it_acts() -> None:
    bad = result(1, *[WRONG_TYPE] * 8)
    told = foreseen(DrainLimits(batch_records=10, brake_after=10), bad) or ""
    assert "8 of 9 records would be refused" in told
    assert "acts once a drain has seen brake_after=10 records" in told
    assert foreseen(DrainLimits(max_refused_share=1.0), bad) is None
    assert foreseen(DrainLimits(), result(0)) is None
