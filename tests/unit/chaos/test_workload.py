"""The account that `make chaos` ends with sees each record that is lost, doubled or wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.workload import Account, Found, Workload, account

MESSAGES = 40


def pushed() -> Workload:
    workload = Workload()
    workload.more(MESSAGES)
    return workload


def applied(workload: Workload) -> Found:
    """What is there when every record was applied once."""
    return Found(
        rows=[*enumerate(workload.payloads, 1), *workload.keyed.items()],
        refused=list(workload.refused),
        counts={
            "messages": MESSAGES,
            "applied": MESSAGES - 4,
            "refused": 4,
            "lost": 0,
            "position": MESSAGES,
            "left": 0,
            "in flight": 0,
        },
    )


def test_records_applied_once_each_add_up() -> None:
    """Keyed rows have their last value, or are gone."""
    workload = pushed()
    assert workload.keyed == {-1: 8, -3: 28}
    assert list(workload.refused) == ["no number 9", "no number 19", "no number 29", "no number 39"]
    assert account(workload, applied(workload)) == Account()


def test_what_is_missing_is_lost() -> None:
    """Rows with and without a key of the producer's own, and refused records."""
    workload = pushed()
    whole = applied(workload)
    found = replace(whole, rows=list(whole.rows)[1:-1], refused=list(whole.refused)[1:])
    assert account(workload, found) == Account(lost=3)


def test_what_is_there_twice_was_applied_twice() -> None:
    workload = pushed()
    whole = applied(workload)
    found = replace(whole, rows=[*whole.rows, (99, 0)], refused=[*whole.refused, "no number 9"])
    assert account(workload, found) == Account(duplicated=2)


@pytest.mark.parametrize(
    ("row", "mismatch"),
    [
        ((-1, 7), "row -1 has payload 7, not 8"),
        ((-2, 17), "row -2 is still there, or there again"),
        ((99, 12345), "there is a row with payload 12345, which was never pushed"),
    ],
)
def test_a_row_that_should_be_another_is_a_mismatch(row: tuple[int, int], mismatch: str) -> None:
    workload = pushed()
    whole = applied(workload)
    found = replace(whole, rows=[each for each in whole.rows if each[0] != row[0]] + [row])
    assert account(workload, found) == Account(mismatches=(mismatch,))


def test_a_good_record_that_was_refused_and_each_wrong_count_are_mismatches() -> None:
    workload = pushed()
    whole = applied(workload)
    counts = {**whole.counts, "position": 39, "in flight": 1}
    found = replace(whole, refused=[*whole.refused, "3"], counts=counts)
    assert account(workload, found) == Account(
        mismatches=(
            "a record was refused that is good: 3",
            "position: 39, not 40",
            "in flight: 1, not 0",
        )
    )
